"""Which runtime opens a file; each is imported on first use: measuring one costs no other's memory."""

from collections.abc import Callable
from pathlib import Path

from edgepress.errors import EdgepressError
from export.runner import Runner


def _onnx(path: Path, threads: int) -> Runner:
    from export.onnx import OnnxRunner

    return OnnxRunner(path, threads)


RUNTIMES: dict[str, Callable[[Path, int], Runner]] = {".onnx": _onnx}


def open_runner(path: Path, threads: int = 1) -> Runner:
    """The runner for a file, by its ending.

    Raises:
        EdgepressError: no runtime reads this file, or it is damaged.
    """
    if path.suffix not in RUNTIMES:
        raise EdgepressError(f"no runtime here reads {path.name}", f"known: {', '.join(RUNTIMES)}")
    return RUNTIMES[path.suffix](path, threads)
