"""Runner: a model behind one call, whatever its runtime."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from typing_extensions import Self

from edgepress.errors import EdgepressError

Batch = Mapping[str, np.ndarray]


class Runner(Protocol):
    """Takes `input_ids`, `attention_mask`, ... (batch, sequence) int64 and gives logits (batch, labels).

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


def _onnx(path: Path, threads: int) -> Runner:
    from export.onnx import OnnxRunner

    return OnnxRunner(path, threads)


# Each opens its runtime on first use: a process that measures one need not import the others.
RUNTIMES: dict[str, Callable[[Path, int], Runner]] = {".onnx": _onnx}


def open_runner(path: Path, threads: int = 1) -> Runner:
    """The runner for a file, by its ending.

    Raises:
        EdgepressError: no runtime reads this file, or it is damaged.
    """
    if path.suffix not in RUNTIMES:
        raise EdgepressError(f"no runtime here reads {path.name}", f"known: {', '.join(RUNTIMES)}")
    return RUNTIMES[path.suffix](path, threads)


def predict_logits(runner: Runner, batches: Sequence[Batch]) -> np.ndarray:
    """The logits of all batches one after the other, shape (rows, labels)."""
    return np.concatenate([runner(batch) for batch in batches])
