"""Find the files to measure in what the user names: artifact folders, single files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_bench.cpu import SMALLEST_VOCABULARY
from device_bench.plan import Target
from edgepress.core import console
from edgepress.core.artifact import Artifact, FileRecord, is_artifact, open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256
from export.core.registry import format_of, formats

WEIGHTS = "safetensors"


@dataclass(frozen=True)
class Selection:
    """Selection among the files of artifacts, and modes in which torch runs the weights themselves."""

    formats: tuple[str, ...] = ()
    """Formats to take; empty takes all, likewise `precisions`."""
    precisions: tuple[str, ...] = ()
    modes: dict[str, str] = field(default_factory=dict)
    """Mode -> its name in tables, for `model.safetensors`."""

    def takes(self, format_name: str, precision: str) -> bool:
        """Whether a file of this format and precision is among them."""
        asked = self.formats, self.precisions
        return all(not some or own in some for some, own in zip(asked, (format_name, precision), strict=True))


def find_targets(paths: Sequence[Path], selection: Selection) -> list[Target]:
    """Every file that this machine can time fairly, in the order given.

    Folders that are no artifacts are named and passed over: a shell's `outputs/*` names those too.

    Raises:
        EdgepressError: a path does not exist, an artifact was altered, a file has an unknown ending, or
            nothing is left.
    """
    found = [target for path in paths for target in _subjects_of(path, selection)]
    if not found:
        raise EdgepressError(
            "no files to measure", "--artifacts takes folders that export or quantize wrote, or model files"
        )
    return found


def _subjects_of(path: Path, selection: Selection) -> Iterator[Target]:
    if is_artifact(path):
        yield from _of_artifact(open_artifact(path), selection)
    elif not path.exists():
        raise EdgepressError(f"no such file or folder: {path}")
    elif path.is_dir() and path.suffix not in {own.suffix for own in formats().values()}:
        console.warn(f"{path} is no artifact (it has no manifest.json): passed over")
    elif _fair(format_of(path).name):
        own = format_of(path)
        yield Target(path.name, path, known={"file_sha256": sha256(path), "format": own.name})


def _fair(format_name: str) -> bool:
    """Whether its runtime here is the one that its users have; says so where it is not."""
    own = formats()[format_name]
    if not own.timed:
        console.warn(f"{own.title}: its runtime is not on this machine, so its files are not timed")
    return own.timed


def _of_artifact(artifact: Artifact, selection: Selection) -> Iterator[Target]:
    facts = _facts_of_artifact(artifact)
    for record in artifact.manifest.files:
        path = artifact.folder / record.path
        known = {
            **facts,
            "file_sha256": record.sha256,  # as opening the artifact has made sure
            "format": record.format,
            "precision": record.precision,
        }
        # What was never compared with the model (a second file that takes strings) is nothing to compare.
        timed = record.format in formats() and record.parity is not None
        if timed and selection.takes(record.format, record.precision) and _fair(record.format):
            yield Target(f"{artifact.manifest.name}/{path.name}", path, known=known)
        if record.format == WEIGHTS:
            yield from _of_weights(artifact, record, known, selection)


def _of_weights(
    artifact: Artifact, record: FileRecord, known: dict[str, Any], selection: Selection
) -> Iterator[Target]:
    path = artifact.folder / record.path
    for mode, title in selection.modes.items():
        sized = {**known, "size_bytes": record.size_bytes}
        yield Target(f"{artifact.manifest.name}/{title}", path, mode, known=sized)


def _facts_of_artifact(artifact: Artifact) -> dict[str, Any]:
    model = artifact.manifest.model
    return {
        "artifact": artifact.manifest.name,
        "artifact_sha256": sha256(artifact.manifest_path),
        "parameters": model.parameters,
        "weights": model.weights,
        "task": artifact.manifest.task or "",
    }


def smallest_vocabulary(targets: Sequence[Target]) -> int:
    """The least number of token ids that the models know; a file alone does not say."""
    return min(_vocabulary(target.path) for target in targets)


def _vocabulary(path: Path) -> int:
    for folder in path.parents[:2]:
        if is_artifact(folder) and (folder / "config.json").is_file():
            content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            return int(content.get("vocab_size", SMALLEST_VOCABULARY))
    return SMALLEST_VOCABULARY
