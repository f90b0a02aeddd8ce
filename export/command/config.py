"""The flags of `python -m export`."""

from dataclasses import dataclass

from export.core.config import ExportConfig


@dataclass(frozen=True, kw_only=True)
class FormatsConfig(ExportConfig):
    """Write a model in several formats, and compare each file with the model before it is kept.

    python -m export --model outputs/minilm-movie_reviews --formats onnx torchscript coreml
    """

    formats: tuple[str, ...] = ("onnx", "torchscript", "coreml")
    """Formats: onnx, torchscript, torch_export, coreml, openvino, executorch, litert. What is special to one
    (the opset, Core ML's lengths) has its flags in python -m export.FORMAT."""
