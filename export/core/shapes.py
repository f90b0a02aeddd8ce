"""Shapes of the inputs that an exported file takes."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from export.core.runner import Batch, Runner

OF_TOKENS = 3
"""Dimensions of logits of tokens: (rows, tokens, labels)."""


@dataclass(frozen=True)
class Shapes:
    """Batch sizes and sequence lengths; the default takes any."""

    batch: int | None = None
    """The one batch size, or None for any."""
    lengths: tuple[int, ...] = ()
    """The sequence lengths [tokens]: one if it is fixed, several where a format lists them, none for any."""
    least: int = 1
    """Shortest length where none is fixed [tokens], and `most`: the longest, None for the model's."""
    most: int | None = None

    @property
    def fixed_length(self) -> int | None:
        """The one length, where there is one."""
        return self.lengths[0] if len(self.lengths) == 1 else None

    @property
    def longest(self) -> int | None:
        """The longest length that is taken; None for the model's."""
        return max(self.lengths, default=self.most)

    def fit(self, batch: Batch) -> dict[str, np.ndarray]:
        """The batch padded on the right to the nearest shape that is taken; (rows, length) int64.

        Padding is id 0 and not attended to. Rows are repeated to fill a fixed batch size.

        Raises:
            ValueError: the batch is larger than any shape that is taken.
        """
        rows, length = batch["input_ids"].shape
        wanted = self._nearest(length)
        if wanted is None or rows > (self.batch or rows):
            raise ValueError(f"no shape of {self} takes a batch of {rows} rows of {length} tokens")
        padding = ((0, (self.batch or rows) - rows), (0, wanted - length))
        return {
            name: np.pad(np.pad(value, (padding[0], (0, 0)), mode="edge"), ((0, 0), padding[1]))
            for name, value in batch.items()
        }

    def _nearest(self, length: int) -> int | None:
        if self.lengths:
            return min((own for own in self.lengths if own >= length), default=None)
        return max(length, self.least) if length <= (self.most or length) else None

    def run(self, call: Callable[[Batch], np.ndarray], batch: Batch) -> np.ndarray:
        """Logits of a batch of any number of rows, from a `call` that takes these shapes only.

        Those of tokens, (rows, tokens, labels), are without those of the padding.

        Raises:
            ValueError: the sequence is longer than any that is taken.
        """
        rows, length = batch["input_ids"].shape
        step = self.batch or rows
        parts = [
            {name: value[at : at + step] for name, value in batch.items()} for at in range(0, rows, step)
        ]
        found = np.concatenate([call(self.fit(part))[: len(part["input_ids"])] for part in parts])
        return found[:, :length] if found.ndim == OF_TOKENS else found


class ShapedRunner(Runner):
    """A file that takes these shapes only, and its inputs by name."""

    shapes: Shapes
    names: Sequence[str]
    """Inputs of the file, in its own order."""

    def __call__(self, batch: Batch) -> np.ndarray:
        return self.shapes.run(self.run, {name: batch[name] for name in self.names})

    @abstractmethod
    def run(self, batch: Batch) -> np.ndarray:
        """Logits of a batch of one of the shapes."""
