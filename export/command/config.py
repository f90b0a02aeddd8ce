"""The flags of `python -m export`."""

from dataclasses import dataclass
from typing import Annotated

from edgepress.core.option_values import described
from export.core.config import ExportConfig
from export.core.registry import formats

FORMATS_HELP = (
    f"Formats: {', '.join(formats())}. What is special to one (the opset, Core ML's lengths) has its flags "
    "in python -m export.FORMAT."
)


@dataclass(frozen=True, kw_only=True)
class FormatsConfig(ExportConfig):
    """Write a model in several formats, and compare each file with the model before it is kept.

    python -m export --model outputs/minilm-movie_reviews --formats onnx torchscript coreml
    """

    formats: Annotated[tuple[str, ...], described(FORMATS_HELP)] = ("onnx", "torchscript", "coreml")
