"""Runner: a model behind one call, whatever its runtime."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

import numpy as np
from typing_extensions import Self

Batch = Mapping[str, np.ndarray]


class Runner(Protocol):
    """Takes `input_ids`, `attention_mask`, ... (batch, sequence) int64 and gives logits (batch, labels), or
    (batch, sequence, labels) of a model that labels tokens; start and end are the labels of one that
    answers questions.

    A call returns when the logits lie in host memory, so that timing it needs no case by device.
    """

    runtime: str
    """Name and version of what runs the model."""

    def __call__(self, batch: Batch) -> np.ndarray: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
