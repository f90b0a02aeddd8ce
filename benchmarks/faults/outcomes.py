"""Outcomes of a disturbed command: the old output, the new one, or something that is neither."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.commands import OUT, RESULTS, target
from edgepress.core.artifact import is_artifact, open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256

OLD, NEW, ASIDE = "old", "new", "aside"
"""aside: killed between the two renames of `staged_folder`; the next command puts the old one back."""
# Not TorchScript: names in its code count what the process had traced before.
WEIGHTS = ("*.safetensors", "*.onnx")
# What a recipe keeps beside its steps.
KEPT = (".runs", ".running")


@dataclass(frozen=True)
class Expected:
    """Files that an undisturbed run leaves."""

    command: str
    files: frozenset[str]
    """Names of the files of its target."""
    weights: Mapping[str, str]
    """File below the working folder -> SHA-256."""


def expected(command: str, work: Path) -> Expected:
    """Read the files that an undisturbed run left in its working folder."""
    return Expected(command, _files(work / target(command)), weights(work))


def weights(work: Path) -> dict[str, str]:
    """SHA-256 of every file of weights that a user finds below a working folder."""
    found = (path for pattern in WEIGHTS for path in work.rglob(pattern))
    shown = ((path.relative_to(work), path) for path in found)
    return {str(name): sha256(path) for name, path in sorted(shown) if not _hidden(name)}


def _hidden(name: Path) -> bool:
    return any(part.startswith(".") for part in name.parts)


def _files(folder: Path) -> frozenset[str]:
    return frozenset(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def state(wanted: Expected, work: Path, old: str) -> str:
    """Classify the output at the target: old (by its SHA-256), new or aside; else say what is wrong."""
    own = work / target(wanted.command)
    if not own.exists():
        aside = own.with_name(f".{own.name}.previous")
        return ASIDE if aside.exists() and sha256(aside) == old else "the target is gone"
    if sha256(own) == old:
        return OLD
    return next(_wrong(wanted, own), NEW)


def _wrong(wanted: Expected, own: Path) -> Iterator[str]:
    """What keeps a target from being the whole new output."""
    if missing := wanted.files - _files(own):
        yield f"neither old nor new: no {', '.join(sorted(missing))}"
    if wanted.command == "recipe":
        yield from _broken_json(own)
    else:
        yield from _damage(own)


def _broken_json(folder: Path) -> Iterator[str]:
    for path in (*folder.glob("*.json"), *folder.glob("*.jsonl")):
        lines = (
            path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        )
        try:
            for line in lines:
                json.loads(line)
        except ValueError as error:
            yield f"neither old nor new: {path.name}: {error}"


def _damage(folder: Path) -> Iterator[str]:
    if not is_artifact(folder):
        yield f"neither old nor new: {folder.name} has no manifest"
        return
    try:
        open_artifact(folder)
    except EdgepressError as error:
        yield f"neither old nor new: {error}"


def half_written(wanted: Expected, work: Path) -> list[str]:
    """List what a user would wrongly take for a result: visible files that are no whole artifact."""
    strangers = [f"left: {path.name}" for path in _visible(work) if path.name not in (OUT, RESULTS)]
    if wanted.command != "recipe":
        return strangers
    steps = [path for path in _visible(work / OUT) if path.is_dir()] if (work / OUT).exists() else []
    return [*strangers, *(problem for step in steps for problem in _damage(step))]


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def leftovers(work: Path, failed: bool) -> list[str]:
    """List hidden files that a command should have removed.

    A failed command may keep the training that it would resume.
    """
    hidden = (path for folder in (work, work / OUT) if folder.exists() for path in folder.iterdir())
    names = [path.name for path in hidden if path.name.startswith(".") and path.name not in KEPT]
    kept = ".training" if failed else "nothing"
    return [f"left: {name}" for name in sorted(names) if not name.endswith(kept)]


def differing(wanted: Expected, work: Path) -> list[str]:
    """Files of weights that are not those of the undisturbed run, byte for byte."""
    found = weights(work)
    names = sorted({*found, *wanted.weights})
    return [f"other bytes: {name}" for name in names if found.get(name) != wanted.weights.get(name)]
