"""Artifact: a model folder that other people's loaders read, and the manifest.json that says what it is."""

import json
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.fields import require_fields
from edgepress.core.files import (
    refuse_existing,
    refuse_links_outside,
    require_inside,
    sha256,
    staged_folder,
    stored_bytes,
    to_json,
)

MANIFEST = "manifest.json"
CARD = "README.md"
"""The model card: the user's to edit, so it is in the manifest and never compared with it."""
SCHEMA_VERSION = 1
PACKAGES = (
    "edgepress",
    "torch",
    "transformers",
    "optimum",
    "onnx",
    "onnxruntime",
    "coremltools",
    "openvino",
    "nncf",
    "executorch",
    "ai-edge-litert",
    "litert-torch",
    "ai-edge-quantizer",
    "numpy",
)

# What the model itself is kept in; the formats' names are those of export's modules.
MODEL_FORMATS = {
    ".safetensors": "safetensors",
    ".onnx": "onnx",
    ".pt": "torchscript",
    ".pt2": "torch_export",
    ".mlpackage": "coreml",
    ".xml": "openvino",
    ".bin": "openvino",
    ".pte": "executorch",
    ".tflite": "litert",
}
FORMATS = {**MODEL_FORMATS, ".json": "json", ".txt": "text", ".md": "card"}
# What the files of config and tokenizer end in.
SETTINGS = (".json", ".txt", ".model", ".codes", ".vocab")
# Folders that are one file to whoever opens them.
PACKAGES_ON_DISK = (".mlpackage",)


@dataclass(frozen=True)
class ModelRecord:
    """Identity of a model, and the origin of its weights."""

    name: str
    architecture: str
    parameters: int
    weights: str
    """hub, index, local, trained or random."""
    head_trained: bool
    """False where the classifier's weights are random, whatever the encoder's are: no accuracy then."""
    hub_id: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Step:
    """A technique that was applied, with its flags and figures."""

    technique: str
    config: dict[str, Any]
    seconds: float
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FileRecord:
    """A file of the folder, with its hash and size."""

    path: str
    format: str
    precision: str
    size_bytes: int
    sha256: str
    parity: dict[str, Any] | None = None
    """How far its logits are from its parent's."""


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json."""

    name: str
    model: ModelRecord
    task: str | None
    seed: int
    steps: tuple[Step, ...]
    parent: str | None = None
    """SHA-256 of the parent's manifest, where the parent is an artifact."""
    files: tuple[FileRecord, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] | None = None
    """What was understood of the task's data: columns, labels, splits and their files (`Task.understood`)."""
    schema_version: int = SCHEMA_VERSION


PartT = TypeVar("PartT", ModelRecord, Step, FileRecord)


@dataclass(frozen=True)
class Artifact:
    """A folder whose files were verified against its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def manifest_path(self) -> Path:
        return self.folder / MANIFEST

    def file(self, precision: str, file_format: str = "onnx") -> Path:
        """The path of the file with this precision and format."""
        for record in self.manifest.files:
            if (record.format, record.precision) == (file_format, precision):
                return self.folder / record.path
        raise EdgepressError(f"{self.folder} has no {precision} {file_format} file")


def is_artifact(folder: Path) -> bool:
    """Whether the folder was written by this suite."""
    return (folder / MANIFEST).is_file()


def open_artifact(folder: Path) -> Artifact:
    """Read a folder's manifest and compare every file but the card with its recorded size and SHA-256.

    Raises:
        EdgepressError: the manifest is unreadable, or a file is missing, truncated or altered.
    """
    manifest = read_manifest(folder)
    refuse_links_outside(folder)
    for record in manifest.files:
        if record.path != CARD:
            _verify(folder / record.path, record)
    return Artifact(folder, manifest)


def open_to_run(folder: Path, parts: Sequence[Path]) -> Artifact:
    """Read a folder's manifest, and verify what running one file takes: that file, config and tokenizer.

    Nothing else that the manifest lists has to be there.

    Args:
        folder: with the manifest.
        parts: all that makes up the file; where it lies in another place than the manifest says, its record
            is found by its name.

    Raises:
        EdgepressError: the manifest is unreadable, or one of these is missing, truncated or altered.
    """
    manifest = read_manifest(folder)
    refuse_links_outside(folder)
    for record in manifest.files:
        if Path(record.path).suffix in SETTINGS:
            _verify(folder / record.path, record)
    for part in parts:
        _verify_part(part, folder, manifest)
    return Artifact(folder, manifest)


def _verify_part(part: Path, folder: Path, manifest: Manifest) -> None:
    named = [record for record in manifest.files if Path(record.path).name == part.name]
    placed = [record for record in named if (folder / record.path).resolve() == part.resolve()]
    known = placed or named
    if len(known) > 1 and part.exists():  # moved, and its name stands for several
        digest = sha256(part)
        known = [record for record in known if record.sha256 == digest] or known
    for record in known[:1]:
        _verify(part, record)


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest, without checking the files that it lists.

    Raises:
        EdgepressError: the manifest is unreadable.
    """
    try:
        return _parse(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EdgepressError(
            f"{folder / MANIFEST}: unreadable manifest: {first_line(error)}", "make the artifact again"
        ) from error


def _parse(content: dict[str, Any]) -> Manifest:
    require_fields(Manifest, content, signed=("seed",))
    if content["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema version {content['schema_version']}")
    content["model"] = _part(ModelRecord, content["model"])
    content["steps"] = tuple(_part(Step, step) for step in content["steps"])
    content["files"] = tuple(_part(FileRecord, record) for record in content["files"])
    for record in content["files"]:
        require_inside(record.path)
    return Manifest(**content)


def _part(kind: type[PartT], content: dict[str, Any]) -> PartT:
    require_fields(kind, content)
    return kind(**content)


def _verify(path: Path, record: FileRecord) -> None:
    if not (path.is_file() or path.is_dir()):  # a pipe would be read for ever
        raise EdgepressError(f"{path} is missing", "copy it there from the artifact, or make that again")
    if stored_bytes(path) != record.size_bytes or sha256(path) != record.sha256:
        raise EdgepressError(
            f"{path}: truncated or altered (its SHA-256 is not the manifest's)", "make the artifact again"
        )


@dataclass
class Draft:
    """An artifact in the making: write files into `folder`, set `manifest`, and describe what is special."""

    folder: Path
    manifest: Manifest | None = None
    precisions: dict[str, str] = field(default_factory=dict)
    """Relative path -> precision, where it is not fp32 or does not apply."""
    parities: dict[str, dict[str, Any]] = field(default_factory=dict)


def refuse_output(target: Path, overwrite: bool) -> None:
    """Raise if an artifact may not be written at `target`.

    Raises:
        EdgepressError: `target` exists and `overwrite` is false, or it holds something else than an artifact,
            which is never replaced.
    """
    refuse_existing(target, overwrite)
    if target.is_dir() and any(target.iterdir()) and not is_artifact(target):
        raise EdgepressError(
            f"{target} holds something else than an artifact, and is not replaced", "name another --output"
        )


@contextmanager
def create_artifact(target: Path, overwrite: bool) -> Iterator[Draft]:
    """Build an artifact in a folder beside `target`; it takes its place, with its manifest, at the end.

    Raises:
        EdgepressError: `target` exists and `overwrite` is false, or cannot be written.
    """
    refuse_output(target, overwrite)
    with staged_folder(target, overwrite) as stage:
        draft = Draft(stage)
        yield draft
        assert draft.manifest is not None, "a command has to set the manifest of what it made"
        content = asdict(draft.manifest)
        content["files"] = [asdict(record) for record in _records(draft)]
        content["versions"] = versions()
        (stage / MANIFEST).write_text(to_json(content, indent=2) + "\n", encoding="utf-8")


def _records(draft: Draft) -> Iterator[FileRecord]:
    for path in sorted(draft.folder.rglob("*")):
        whole = path.suffix in PACKAGES_ON_DISK
        inside = any(folder.suffix in PACKAGES_ON_DISK for folder in path.relative_to(draft.folder).parents)
        if whole or (path.is_file() and not inside):
            yield _record(path, path.relative_to(draft.folder).as_posix(), draft)


def _record(path: Path, name: str, draft: Draft) -> FileRecord:
    file_format = FORMATS.get(path.suffix, path.suffix.lstrip("."))
    default = "fp32" if path.suffix in MODEL_FORMATS else ""
    return FileRecord(
        path=name,
        format=file_format,
        precision=draft.precisions.get(name, default),
        size_bytes=stored_bytes(path),
        sha256=sha256(path),
        parity=draft.parities.get(name),
    )


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of the packages that decide what a file holds."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
