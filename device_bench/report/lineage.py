"""Artifacts of the files that were measured: what was done to them, and whether they are still the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_bench.records import Measurement
from edgepress.core.artifact import Manifest, is_artifact, read_manifest
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256


@dataclass(frozen=True)
class Lineage:
    """An artifact and the steps that made it."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    parent: str
    """Name of the parent, or what is known of it."""


def find_artifacts(named: Iterable[Path], record_files: Iterable[Path]) -> list[Lineage]:
    """The named artifacts, and those in whose folder a record file lies.

    Raises:
        EdgepressError: a named folder is none, or its manifest is unreadable.
    """
    folders = list(named)
    for folder in folders:
        if not is_artifact(folder):
            raise EdgepressError(f"{folder} is no artifact: no manifest.json", "name folders of outputs/")
    folders += [path.parent for path in record_files if is_artifact(path.parent)]
    read = {folder.resolve(): (folder, read_manifest(folder)) for folder in folders}
    hashes = {key: sha256(key / "manifest.json") for key in read}
    names = {hashes[key]: manifest.name for key, (_, manifest) in read.items()}
    return [
        Lineage(folder, manifest, hashes[key], _parent(manifest, names))
        for key, (folder, manifest) in read.items()
    ]


def _parent(manifest: Manifest, names: dict[str, str]) -> str:
    if manifest.parent is None:
        return "none"
    return names.get(manifest.parent, f"manifest {manifest.parent[:12]}, not among the artifacts here")


def changed(record: Measurement, artifacts: Sequence[Lineage]) -> str:
    """Say whether the measured file has changed since; empty where it has not, or its artifact is unknown.

    A record without an artifact's name is compared with the artifact in whose folder the record lies, which
    its run names (`series.load`).
    """
    for own in artifacts:
        beside = not record.artifact and Path(record.run).parent.resolve() == own.folder.resolve()
        if own.manifest.name == record.artifact or beside:
            hashes = {file.sha256 for file in own.manifest.files if Path(file.path).name == record.file}
            if not hashes:
                return "no longer in its artifact"
            return "" if record.file_sha256 in hashes else "changed since it was measured"
    return ""
