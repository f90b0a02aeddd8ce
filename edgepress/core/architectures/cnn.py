"""CNN classifier: convolutions over the words, and the strongest response of each filter."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from edgepress.core.architectures.base import SmallClassifier, SmallConfig


class CnnConfig(SmallConfig):
    """The sizes of a CNN."""

    model_type = "edgepress_cnn"

    def __init__(self, kernel_sizes: Sequence[int] = (3, 4, 5), filters: int = 64, **rest: Any) -> None:
        """Set the sizes: `kernel_sizes` in tokens, `filters` of each."""
        self.kernel_sizes = list(kernel_sizes)
        self.filters = filters
        super().__init__(**rest)


class CnnForSequenceClassification(SmallClassifier):
    """Convolutions of several widths, ReLU, max-over-time pooling, one dense layer (Kim 2014, section 2).

    A window begins at every token, and where it reaches beyond the last it sees zeros: a text shorter
    than a kernel has windows too, and padding is never what a filter responds to.
    """

    config_class = CnnConfig

    def __init__(self, config: CnnConfig) -> None:
        super().__init__(config, config.filters * len(config.kernel_sizes))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embedding_size, config.filters, size) for size in config.kernel_sizes
        )
        self.post_init()

    def text_vector(self, embedded: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(batch, filters * kernels)."""
        kept = mask.unsqueeze(1).to(embedded.dtype)
        words = embedded.transpose(1, 2) * kept
        sizes = self.config.kernel_sizes
        windows = [functional.pad(words, (0, size - 1)) for size in sizes]
        responses = [layer(words) for layer, words in zip(self.convolutions, windows, strict=True)]
        # After ReLU nothing is below zero, so a zero loses against every window of the text.
        return torch.cat([(response.relu() * kept).amax(2) for response in responses], 1)
