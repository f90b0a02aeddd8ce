"""A saved `.mlpackage`: quiet access to coremltools, what shapes it takes, its program and its facts."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgepress.core.errors import EdgepressError, first_line
from export.core.shapes import Shapes

MODEL = Path("Data", "com.apple.CoreML", "model.mlmodel")
WEIGHTS = MODEL.with_name("weights")
# Facts that have a place of their own in a package's metadata.
PLACES = {"author": "author", "license": "license", "version": "versionString"}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep coremltools' progress bars and its remarks on other libraries' versions off the screen.

    What fails raises, and what is wrong beyond that shows in the comparison with the parent.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        import coremltools  # noqa: F401 - its loggers take hold of stderr as it is now

        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def load_spec(path: Path) -> Any:
    """The package's protobuf, without its weights.

    Raises:
        EdgepressError: it is none, or damaged.
    """
    with quiet():
        import coremltools

        try:
            spec = coremltools.utils.load_spec(str(path))
        except Exception as error:  # coremltools and its package reader raise whatever comes
            raise EdgepressError(f"{path}: coremltools cannot open it: {first_line(error)}") from error
    if spec.WhichOneof("Type") != "mlProgram":
        raise EdgepressError(f"{path} is no ML Program", "export it anew")
    return spec


def load_program(path: Path, spec: Any) -> Any:
    """The package's `main` function in pymil, coremltools' form of a program, with its weights.

    Raises:
        EdgepressError: the weights are missing or damaged.
    """
    with quiet():
        from coremltools.converters.mil.frontend.milproto.load import load

        try:
            program = load(spec, spec.specificationVersion, str(path / WEIGHTS))
        except Exception as error:  # as above
            raise EdgepressError(f"{path}: coremltools cannot read it: {first_line(error)}") from error
    return program.functions["main"]


def shapes_of(spec: Any) -> Shapes:
    """The shapes that a package takes, read off its description."""
    kind = spec.description.input[0].type.multiArrayType
    batch, length = kind.shape
    listed = [size.shape[1] for size in kind.enumeratedShapes.shapes]
    if listed:
        return Shapes(batch, tuple(sorted(listed)))
    if kind.shapeRange.sizeRanges:
        sizes = kind.shapeRange.sizeRanges[1]
        return Shapes(batch, least=sizes.lowerBound, most=sizes.upperBound)
    return Shapes(batch, (length,))


def describe(path: Path, facts: Mapping[str, str]) -> None:
    """Add facts to the metadata of a saved package."""
    spec = load_spec(path)
    metadata = spec.description.metadata
    for name, fact in facts.items():
        if name in PLACES:
            setattr(metadata, PLACES[name], fact)
        else:
            metadata.userDefined[name] = fact
    (path / MODEL).write_bytes(spec.SerializeToString())


def layer_of(weight: str) -> str:
    """The module of the torch model that a weight belongs to, with _ for its dots.

    coremltools names a weight of module a.b `model_a_b_weight`, and with what was done to it since.
    """
    return weight.removeprefix("model_").rpartition("_weight")[0]
