"""Running one step in a process of its own, unless the ledger has its inputs: then it is done already."""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from compress.recipe.run.code_digest import code_digest, libraries
from compress.recipe.run.plan import Run
from compress.recipe.schema.verbs import command_line
from edgepress.core import console
from edgepress.core.artifact import MANIFEST, open_artifact, read_manifest
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256, staged_folder, writable_folder, write_whole
from edgepress.core.identity import differences, library_versions
from edgepress.core.interruption import INTERRUPTED
from edgepress.core.locking import exclusive_lock, noted
from edgepress.core.splits import data_root, local_split
from edgepress.core.subcommand import Subcommand

LOCK = ".running"
INPUTS = "inputs"
LEDGER = ".runs"


@dataclass(frozen=True)
class RunLedger:
    """A folder with a JSON file for each finished run."""

    folder: Path

    def known(self, name: str) -> dict[str, Any] | None:
        """Return the last note of a run; None where there is none, or none that can be read."""
        try:
            content = json.loads(self._path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) and isinstance(content.get(INPUTS), dict) else None

    def note(self, name: str, content: Mapping[str, Any]) -> None:
        """Write whole or not at all."""
        write_whole(self._path(name), json.dumps(content, indent=2, sort_keys=True) + "\n")

    def _path(self, name: str) -> Path:
        return writable_folder(self.folder) / f"{name}.json"


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The places at which two nested mappings differ: `flags.epochs`, ..."""
    return [own.place for own in differences(before, now)]


@contextmanager
def at_work(folder: Path) -> Iterator[Path]:
    """Keep a second run of the same recipe, or a step that outlived a killed one, from writing here too.

    Gives the folder in which a step's process is `noted`.

    Raises:
        EdgepressError: somebody is at work.
    """
    mark = folder / LOCK
    busy = f"{folder}: a run of this recipe is still going on"
    with exclusive_lock(mark, busy, "wait for it or end it, or name another --output"):
        yield mark


class StepError(EdgepressError):
    """A step failed; it has said why, and its exit code is the recipe's."""

    def __init__(self, run: Run, code: int) -> None:
        ended = f"was killed by signal {-code}" if code < 0 else f"failed (exit code {code})"
        super().__init__(f"{run.title} {ended}", "what was done is kept; the same command goes on from here")
        self.exit_code = code if code in (1, 2, console.UNFORESEEN) else EdgepressError.exit_code


@dataclass(frozen=True)
class Bench:
    """Runner of a recipe's planned runs."""

    ledger: RunLedger
    mark: Path
    data: Path | None
    ignore_code: bool
    runs: dict[str, Run]
    """Planned runs by name."""
    restart: bool = False
    """Whether a training that was interrupted is begun again."""

    def do(self, run: Run, progress: str, work: Callable[[Run], None] | None = None) -> None:
        """Run a step, or say that it is done.

        Args:
            run: what to do.
            progress: which step of how many.
            work: does it in this process; default: the verb's command, in one of its own, which gives its
                memory back and leaves nothing of its state to the next.

        Raises:
            StepError: it failed.
            KeyboardInterrupt: it was interrupted.
        """
        self.runs[run.name] = run
        inputs = self.inputs(run)
        why = self.why(run, inputs)
        if why is None:
            console.step(f"{progress} {run.title}: nothing changed, not run again")
            return
        if why == "" and self._borrow(run, inputs):
            return
        console.step(f"{progress} {run.title}{f' (again: {why})' if why else ''}")
        start = time.monotonic()
        try:
            (work or self._process)(run)
        except KeyboardInterrupt:
            console.warn(f"steps before it are kept: the same command goes on with {progress} {run.title}")
            raise
        seconds = time.monotonic() - start
        if meanwhile := changed(inputs, self.inputs(run)):
            console.warn(f"{run.title}: {', '.join(meanwhile)} changed while it ran; next time it runs again")
            return
        manifest = sha256(run.output / MANIFEST)
        self.ledger.note(run.name, {"inputs": inputs, "manifest": manifest, "seconds": seconds})

    def finished(self, runs: Iterable[Run]) -> set[str]:
        """Names of the runs that would not be run again, of planned ones in their order."""
        found: set[str] = set()
        for run in runs:
            self.runs[run.name] = run
            if found.issuperset(run.uses) and self.why(run, self.inputs(run)) is None:
                found.add(run.name)
        return found

    @property
    def step_seconds(self) -> dict[str, float]:
        """Run -> what it took when it was done [s]."""
        known = {name: self.ledger.known(name) or {} for name in self.runs}
        return {name: float(entry["seconds"]) for name, entry in known.items() if "seconds" in entry}

    def _borrow(self, run: Run, inputs: Mapping[str, Any]) -> bool:
        """Copy what another recipe made of the very same inputs: the teacher that they share."""
        for other in sorted(run.output.parent.parent.glob(f"*/{run.name}/{MANIFEST}")):
            folder = other.parent
            known = RunLedger(folder.parent / LEDGER).known(run.name)
            if folder == run.output or known is None or self._stale(known, inputs, folder):
                continue
            with staged_folder(run.output, overwrite=True) as stage:
                shutil.copytree(folder, stage, dirs_exist_ok=True)
            self.ledger.note(run.name, known)
            console.step(f"{run.title}: copied from {folder}, which was made of the same")
            return True
        return False

    def why(self, run: Run, inputs: Mapping[str, Any]) -> str | None:
        """Why it has to be run: empty for the first time, None if it has not."""
        known = self.ledger.known(run.name)
        if known is None or not (run.output / MANIFEST).exists():
            return ""
        return self._stale(known, inputs, run.output)

    def _stale(self, known: Mapping[str, Any], inputs: Mapping[str, Any], folder: Path) -> str | None:
        """Why a folder is not what these inputs give; None if it is."""
        differing = changed(known["inputs"], inputs)
        if self.ignore_code:
            differing = [place for place in differing if place.split(".")[0] not in ("code", "versions")]
        if differing:
            return f"{', '.join(differing)} changed"
        if sha256(folder / MANIFEST) != known.get("manifest"):
            return "another command wrote its folder"
        try:
            open_artifact(folder)
        except EdgepressError as error:
            return str(error)
        return None

    def inputs(self, run: Run) -> dict[str, Any]:
        """Everything that decides what a run makes."""
        outputs = {str(self.runs[name].output): name for name in run.uses}
        uses = {name: sha256(self.runs[name].output / MANIFEST) for name in run.uses}
        plain = {flag: _portable(value, outputs) for flag, value in run.flags.items()}
        return {
            "verb": run.verb.name,
            "flags": plain,
            "uses": uses,
            "data": self._data(run, outputs),
            "code": code_digest(run.verb.module),
            "versions": library_versions(libraries(run.verb.module)),
        }

    def _data(self, run: Run, outputs: Mapping[str, str]) -> dict[str, str]:
        """Digests of what the flags name, and of the tasks that the artifacts used were trained on."""
        several = (value if isinstance(value, tuple) else (value,) for value in run.flags.values())
        values = chain.from_iterable(several)
        names = [value for value in values if isinstance(value, str) and value not in outputs]
        return self.digests([*names, *(read_manifest(Path(folder)).task or "" for folder in outputs)])

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Name -> digest, of those names that are a file, folder or split here or below the data root."""
        root = data_root(self.data)
        found = {}
        for name in filter(None, names):
            places = [Path(name), *([root / name] if root else [])]
            place = next(filter(None, map(_present, places)), None)
            if place is not None:
                found[name] = sha256(place)
        return found

    def _process(self, run: Run) -> None:
        """The verb's command, counted among those at work as long as it runs."""
        typed = [*command_line(run.verb, run.flags), "--output", str(run.output), "--overwrite"]
        if run.verb.has("data") and self.data is not None:
            typed += ["--data", str(self.data)]
        if run.verb.has("restart") and self.restart:
            typed.append("--restart")
        command = Subcommand(run.verb.module, typed)
        with noted(self.mark, command.pid):
            code = command.wait()
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise StepError(run, code)


def _portable(value: Any, outputs: Mapping[str, str]) -> Any:
    if isinstance(value, tuple):
        return [_portable(item, outputs) for item in value]
    return f"output of {outputs[value]}" if value in outputs else value


def _present(place: Path) -> Path | None:
    """What lies there; for SET/SPLIT that is the split's file."""
    return place if place.exists() else next(iter(local_split(place.parent, place.name)), None)
