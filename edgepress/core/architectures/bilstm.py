"""BiLSTM classifiers: one recurrent layer in each direction, read at its ends or through attention."""

from typing import Any

import torch
from torch import nn

from edgepress.core.architectures.base import SmallClassifier, SmallConfig


class BiLstmConfig(SmallConfig):
    """The sizes of a BiLSTM."""

    model_type = "edgepress_bilstm"

    def __init__(self, hidden_size: int = 64, attention: bool = False, **rest: Any) -> None:
        """Set the sizes: `hidden_size` a direction; `attention` weighs all states instead of the last."""
        self.hidden_size = hidden_size
        self.attention = attention
        super().__init__(**rest)


class BiLstmForSequenceClassification(SmallClassifier):
    """A bidirectional LSTM (Graves & Schmidhuber 2005) and one dense layer.

    The text vector is each direction's last state or, with attention, the weighted sum of all states
    (`Attention`). Each direction is an LSTM of its own, and the second one reads the tokens of each row
    backwards, the padding still behind them: that gives packed sequences' states out of operations that
    every format has.
    """

    config_class = BiLstmConfig

    def __init__(self, config: BiLstmConfig) -> None:
        super().__init__(config, 2 * config.hidden_size)
        self.forwards = nn.LSTM(config.embedding_size, config.hidden_size, batch_first=True)
        self.backwards = nn.LSTM(config.embedding_size, config.hidden_size, batch_first=True)
        self.attention = Attention(2 * config.hidden_size) if config.attention else None
        self.post_init()

    def text_vector(self, embedded: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(batch, 2 * hidden_size)."""
        last = mask.sum(1, keepdim=True) - 1
        forwards, _ = self.forwards(embedded)
        backwards, _ = self.backwards(_reverse(embedded, last))
        if self.attention is None:
            return torch.cat([_state(forwards, last), _state(backwards, last)], 1)
        return self.attention(torch.cat([forwards, _reverse(backwards, last)], 2), mask)


class Attention(nn.Module):
    """Additive attention of one learned query (Yang et al. 2016, eq. 5-7).

    u = tanh(W h + b), a = softmax(u . u_w), and the text is the sum of a h. Zhou et al. 2016 put the same on
    a BiLSTM, without W and b.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(width, width)
        self.query = nn.Linear(width, 1, bias=False)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(batch, sequence, width) and (batch, sequence) -> (batch, width)."""
        scores = self.query(torch.tanh(self.projection(states)))
        scores = scores.masked_fill(mask.unsqueeze(2) == 0, torch.finfo(scores.dtype).min)
        return (scores.softmax(1) * states).sum(1)


def _reverse(sequence: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """The tokens 0..last of each row in the opposite order, what is behind them anywhere."""
    position = torch.arange(sequence.size(1), device=sequence.device)
    order = (last - position).abs()  # beyond `last` any valid number will do
    return sequence.gather(1, order.unsqueeze(2).expand_as(sequence))


def _state(states: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """The state of each row's last token: (batch, hidden_size)."""
    return states.gather(1, last.unsqueeze(2).expand(-1, -1, states.size(2))).squeeze(1)
