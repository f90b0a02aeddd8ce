"""Static classifier: the mean of the embeddings of a text's tokens, and a small head."""

from typing import Any

import torch
from torch import nn

from edgepress.core.architectures.base import SmallClassifier, SmallConfig


class StaticConfig(SmallConfig):
    """The sizes of a static classifier."""

    model_type = "edgepress_static"

    def __init__(self, hidden_size: int = 64, **rest: Any) -> None:
        """Set the sizes: `hidden_size` of the layer between the mean and the classifier."""
        self.hidden_size = hidden_size
        super().__init__(**rest)


class StaticForSequenceClassification(SmallClassifier):
    """Mean of token embeddings, one hidden layer, one dense layer (Iyyer et al. 2015, "Deep Unordered
    Composition Rivals Syntactic Methods for Text Classification").

    A token has one vector wherever it stands: nothing is computed between tokens, and their order is lost.
    What a token weighs in the mean is the length of its vector.
    """

    config_class = StaticConfig

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config, config.hidden_size)
        self.hidden = nn.Linear(config.embedding_size, config.hidden_size)
        self.post_init()

    def text_vector(self, embedded: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Vectors of texts, (batch, hidden_size)."""
        kept = mask.unsqueeze(1).to(embedded.dtype)
        # A product sums the tokens up: one operation, which every format has.
        mean = (kept @ embedded).squeeze(1) / kept.sum(2).clamp(min=1)
        return self.hidden(mean).relu()
