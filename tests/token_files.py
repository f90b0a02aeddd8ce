"""Files of models whose logits are of tokens, in every format: what makes them small and quick to write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import Result, manifest_of

# Format -> flags with which it takes a small model of tokens.
FORMATS: dict[str, tuple[object, ...]] = {
    "onnx": (),
    "torchscript": (),
    "torch_export": (),
    "openvino": (),
    "executorch": ("--sequence-length", 48),
    "litert": ("--signatures", 24, 48),
    "coreml": ("--scheme", "fp32"),
}


def export_one(cli: Callable[..., Result], name: str, model: Path, output: Path) -> Path:
    """The folder of a model's file in one format."""
    flags = ("--model", model, "--output", output, "--eval-samples", 6, *FORMATS[name])
    result = cli(f"export.{name}", *flags)
    assert result.code == 0, result.err
    return output


def file_of(folder: Path, name: str) -> tuple[Path, dict[str, Any], float]:
    """A format's unquantized file in an artifact, what its manifest says of it, and the model's score."""
    manifest = manifest_of(folder)
    metrics = manifest.steps[-1].metrics
    records = {own["file"]: own for own in metrics["files"]}
    paths = [folder / own.path for own in manifest.files if own.format == name]
    path = next(path for path in paths if path.name in records)  # OpenVINO's weights have no record
    return path, records[path.name], metrics["parent_score"]
