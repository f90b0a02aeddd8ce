"""A .tflite file behind the call that every runner has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.outputs import as_one, file_outputs
from export.core.quiet import quiet_native
from export.core.runner import Batch
from export.core.shapes import ShapedRunner, Shapes
from export.tflite.contents import require_whole

SIGNATURE = re.compile(r"tokens_(\d+)")


class LiteRtRunner(ShapedRunner):
    """A .tflite file in LiteRT's interpreter; a text goes through the shortest signature that takes it.

    A signature reserves its memory when its first text comes; packed weights are shared.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._path = path
        require_whole(path)
        with quiet_native(), self._opening():
            from ai_edge_litert.interpreter import Interpreter

            self._model = Interpreter(str(path), num_threads=threads)
            names = list(self._model.get_signature_list())
        found = [SIGNATURE.fullmatch(name) for name in names]
        lengths = tuple(sorted(int(name[1]) for name in found if name))
        if not lengths:
            raise EdgepressError(
                f"{path}: its signatures are {', '.join(names) or 'none'}, not tokens_N",
                "name a file that export.litert wrote",
            )
        self.runtime = f"ai-edge-litert {version('ai-edge-litert')}"
        self._signatures: dict[int, Any] = {}
        first = self._signature(lengths[0])
        inputs = first.get_input_details()
        self.names = list(inputs)
        self._outputs = file_outputs(first.get_output_details().keys(), str(path))
        self.shapes = Shapes(int(inputs[self.names[0]]["shape"][0]), lengths)

    def __call__(self, batch: Batch) -> np.ndarray:
        """Logits (rows, labels), or of each token, float32.

        Raises:
            EdgepressError: a text is longer than the longest signature.
        """
        length, longest = batch[self.names[0]].shape[1], self.shapes.longest or 0
        if length > longest:
            raise EdgepressError(
                f"{self._path.name}: a text of {length} tokens is longer than its longest signature, "
                f"{longest}",
                f"cut the text, or export with --signatures ... {length}",
            )
        return super().__call__(batch)

    def run(self, batch: Batch) -> np.ndarray:
        own = {name: value.astype(np.int32) for name, value in batch.items()}
        found = self._signature(own[self.names[0]].shape[1])(**own)
        return as_one([found[name] for name in self._outputs])

    def _signature(self, length: int) -> Any:
        """The signature of a length; only a run reserves its memory, and says what the runtime lacks."""
        if length not in self._signatures:
            with quiet_native(), self._opening():
                found = self._model.get_signature_runner(f"tokens_{length}")
                sizes = {name: own["shape"] for name, own in found.get_input_details().items()}
                found(**{name: np.zeros(size, np.int32) for name, size in sizes.items()})
            self._signatures[length] = found
        return self._signatures[length]

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """Make a line of what the interpreter raises: no such file, or an operator that it does not have."""
        try:
            yield
        except (ValueError, RuntimeError) as error:
            raise EdgepressError(f"{self._path}: LiteRT cannot open it: {first_line(error)}") from error

    def close(self) -> None:
        """Release the interpreter and its weights."""
        self._signatures.clear()
        del self._model
