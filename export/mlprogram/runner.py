"""A saved `.mlpackage` behind the call that every runner has: Core ML on macOS, the interpreter elsewhere."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.outputs import as_one, file_outputs, named_as_one
from export.core.runner import Batch, Runner
from export.mlprogram.package import load_spec, quiet, shapes_of
from export.mlprogram.program import Program

Predict = Callable[[Batch], np.ndarray]


class CoreMlRunner(Runner):
    """A package of any shapes: rows go through in groups of its batch size, padded to a length it takes."""

    def __init__(self, path: Path) -> None:
        spec = load_spec(path)
        self.shapes = shapes_of(spec)
        self._names = [feature.name for feature in spec.description.input]
        if sys.platform == "darwin":
            self.runtime = f"Core ML, macOS {platform.mac_ver()[0]}"
            self._predict = _core_ml(path)
        else:
            self.runtime = f"coremltools {version('coremltools')} interpreted in numpy"
            names = {feature.name for feature in spec.description.output}
            program = Program(path, spec, file_outputs(names, str(path)))
            self._predict = lambda inputs: as_one(program(inputs))

    def __call__(self, batch: Batch) -> np.ndarray:
        """Logits (rows, labels) float32.

        Raises:
            EdgepressError: a row is longer than the package takes.
        """
        fed = {name: batch[name].astype(np.int32) for name in self._names}
        try:
            return self.shapes.run(self._predict, fed).astype(np.float32, copy=False)
        except ValueError as error:
            raise EdgepressError(str(error), "truncate the text") from error

    def close(self) -> None:
        """Release the weights of the program."""
        del self._predict


def _core_ml(path: Path) -> Predict:
    with quiet():
        import coremltools

        try:
            model = coremltools.models.MLModel(str(path))
        except Exception as error:  # Core ML's own errors come as RuntimeError and others
            raise EdgepressError(f"{path}: Core ML cannot open it: {first_line(error)}") from error
    return lambda inputs: named_as_one(model.predict(dict(inputs)))
