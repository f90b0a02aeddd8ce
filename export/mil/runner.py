"""A saved `.mlpackage` behind the call that every runner has: Core ML on macOS, the interpreter elsewhere."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgepress.errors import EdgepressError, first_line
from export.base.runner import Batch, Runner
from export.mil.package import Inputs, inputs_of, load_spec, quiet
from export.mil.program import Program

Predict = Callable[[Mapping[str, np.ndarray]], np.ndarray]


class CoreMlRunner(Runner):
    """A package of any batch size and lengths: rows go through in groups of its batch size.

    Rows shorter than the package takes are padded on the right with id 0 that is not attended to.
    """

    def __init__(self, path: Path) -> None:
        spec = load_spec(path)
        self._inputs = inputs_of(spec)
        if sys.platform == "darwin":
            self.runtime = f"Core ML, macOS {platform.mac_ver()[0]}"
            self._predict = _core_ml(path)
        else:
            self.runtime = f"coremltools {version('coremltools')} interpreted in numpy"
            self._predict = Program(path, spec)

    def __call__(self, batch: Batch) -> np.ndarray:
        """Logits (rows, labels) float32.

        Raises:
            EdgepressError: a row is longer than the package takes.
        """
        fed = {name: batch[name].astype(np.int32) for name in self._inputs.names}
        rows, size = len(fed["input_ids"]), self._inputs.shapes.batch or 1
        groups = [
            {name: value[start : start + size] for name, value in fed.items()}
            for start in range(0, rows, size)
        ]
        return np.concatenate([self._run(group) for group in groups])

    def _run(self, group: Mapping[str, np.ndarray]) -> np.ndarray:
        rows = len(group["input_ids"])
        return np.asarray(self._predict(_fit(group, self._inputs))[:rows], dtype=np.float32)

    def close(self) -> None:
        """Release the weights."""
        del self._predict


def _fit(group: Mapping[str, np.ndarray], inputs: Inputs) -> dict[str, np.ndarray]:
    length = group["input_ids"].shape[1]
    longest = max(inputs.shapes.lengths, default=inputs.longest)
    if length > longest:
        raise EdgepressError(
            f"an input of {length} tokens is longer than the package takes ({longest})", "truncate the text"
        )
    short = max(inputs.shortest - length, 0)
    padded = {name: np.pad(value, ((0, 0), (0, short))) for name, value in group.items()}
    return inputs.shapes.fit(padded)


def _core_ml(path: Path) -> Predict:
    with quiet():
        import coremltools

        try:
            model = coremltools.models.MLModel(str(path))
        except Exception as error:  # Core ML's own errors come as RuntimeError and others
            raise EdgepressError(f"{path}: Core ML cannot open it: {first_line(error)}") from error
    return lambda inputs: model.predict(dict(inputs))["logits"]
