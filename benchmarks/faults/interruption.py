"""One case: a command is killed or has too little room, and then is typed again."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from benchmarks.faults import disk, outcomes, processes
from benchmarks.faults.commands import target, typed
from benchmarks.faults.material import Material
from benchmarks.faults.outcomes import ASIDE, NEW, OLD, Expected
from benchmarks.faults.processes import Ended
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256

# Of a command's moments so many are before it writes anything: there is not much to go wrong.
EARLY = 0.25
PATIENCE_S = 300.0
STILL_GOING_ON = "still going on"
NO_ROOM = ("space", "full")

Phase = Literal["starting", "writing"]


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody disturbed, and what it took."""

    expected: Expected
    starting_s: float
    """Time until something appeared in its working folder [s]."""
    writing_s: float
    """Time from then to its end [s]."""
    room: int
    """The most that it took on its file system [bytes]; 0 where none was mounted."""
    kept: Path
    """Working folder of the command."""


@dataclass(frozen=True)
class Moment:
    """When a command is killed: after this share of one of its phases."""

    phase: Phase
    share: float
    orphans: bool
    """Whether the processes that it started in groups of their own live on."""


@dataclass(frozen=True)
class Disturbance:
    """One disturbance, and what came."""

    command: str
    fault: str
    """Kind of disturbance: kill or full."""
    where: dict[str, Any]
    """The moment, or the room that was given and the room that it needs [bytes]."""
    state: str
    """What lay at the target then: old, new, aside, or what was wrong."""
    code: int
    said: str
    seconds: float
    problems: tuple[str, ...]

    @property
    def lost(self) -> bool:
        """Whether the target was neither old nor new."""
        return self.state not in (OLD, NEW, ASIDE)


def moments(command: str, count: int, seed: int) -> list[Moment]:
    """Draw the moments to kill a command at, one within each of `count` parts of its run."""
    rng = random.Random(f"{command} {seed}")
    early = round(count * EARLY)
    parts: Iterator[tuple[Phase, float]] = (
        ("starting", (index + rng.random()) / early)
        if index < early
        else ("writing", (index - early + rng.random()) / (count - early))
        for index in range(count)
    )
    return [Moment(phase, round(share, 4), bool(index % 2)) for index, (phase, share) in enumerate(parts)]


def shares(command: str, count: int, seed: int) -> list[float]:
    """Draw shares of the disk space that a command needs, from none to just too little."""
    rng = random.Random(f"{command} {seed} room")
    return [round((index + rng.random()) / count * 0.98, 4) for index in range(count)]


def undisturbed(command: str, material: Material, scratch: Path, mounts: bool) -> Undisturbed:
    """Run a command in peace, as a process of its own, and note its phases, its room and its weights.

    Raises:
        EdgepressError: it fails.
    """
    folder, log = scratch / f"{command}-undisturbed", scratch / f"{command}-undisturbed.log"
    work = _prepared(command, material, folder)
    begun, names = time.monotonic(), _names(work)
    process, first = processes.start(typed(command, material, work), folder / "home", log), begun
    try:
        while process.poll() is None:
            if first == begun and _names(work) != names:
                first = time.monotonic()
            time.sleep(processes.POLL_S)
    finally:
        processes.kill(process, orphans=False)
    if process.returncode:
        raise EdgepressError(f"{command} failed undisturbed: {log.read_text()[-2000:]}")
    took = first - begun, time.monotonic() - first
    room = _room(command, material, scratch / f"{command}-room") if mounts else 0
    return Undisturbed(outcomes.expected(command, work), *took, room, work)


def _room(command: str, material: Material, folder: Path) -> int:
    """The most that a command takes on its file system [bytes]."""
    with disk.mounted(folder):
        work, most = _prepared(command, material, folder), [0]
        before = disk.used(folder)

        def watch() -> None:
            most[0] = max(most[0], disk.used(folder) - before)

        processes.run(
            typed(command, material, work), folder / "home", folder.with_suffix(".log"), watch=watch
        )
        return most[0]


def killed(command: str, material: Material, own: Undisturbed, moment: Moment, scratch: Path) -> Disturbance:
    """Kill the command at a moment, and type it again."""
    folder, log = scratch / "case", scratch / "log"
    work = _prepared(command, material, folder)
    old, args = sha256(work / target(command)), typed(command, material, work)
    begun = time.monotonic()
    process = processes.start(args, folder / "home", log)
    try:
        _wait_for(moment, own, work, process)
    finally:
        below = processes.kill(process, moment.orphans)
    ended = Ended(process.returncode, log.read_text(errors="replace"), time.monotonic() - begun)
    problems = [] if ended.code in (-9, 0) else [f"exit code {ended.code} before it was killed"]
    try:
        if any(orphan.is_running() for orphan in below):
            problems += _refused(processes.run(args, folder / "home", log))
            psutil.wait_procs(below, timeout=PATIENCE_S)
        return _judged(command, "kill", asdict(moment), ended, problems, own, folder, old, args, log)
    finally:
        processes.end(below)


def _wait_for(moment: Moment, own: Undisturbed, work: Path, process: "subprocess.Popen[bytes]") -> None:
    names, writes = _names(work), moment.phase == "writing"
    while writes and process.poll() is None and _names(work) == names:
        time.sleep(processes.POLL_S)
    seconds = moment.share * (own.writing_s if writes else own.starting_s)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _refused(again: Ended) -> list[str]:
    """A step of the killed recipe is still at work: it must not be disturbed by a second one."""
    if again.code == 2 and STILL_GOING_ON in again.screen:  # noqa: PLR2004  # bad use
        return []
    return [f"a second run beside an orphan: exit code {again.code}: {again.error}"] if again.code else []


def without_room(
    command: str, material: Material, own: Undisturbed, share: float, scratch: Path
) -> Disturbance:
    """Run the command with this share of the room that it needs on its file system, then with enough."""
    folder, log = scratch / "case", scratch / "log"
    with disk.mounted(folder):
        work = _prepared(command, material, folder)
        old, args = sha256(work / target(command)), typed(command, material, work)
        room = int(share * own.room)
        disk.resize(folder, disk.used(folder) + room)
        ended = processes.run(args, folder / "home", log)
        disk.resize(folder)
        problems = _complaints(ended) + (outcomes.leftovers(work, failed=True) if ended.code else [])
        where = {"room": room, "needed": own.room}
        return _judged(command, "full", where, ended, problems, own, folder, old, args, log)


def _complaints(ended: Ended) -> list[str]:
    """What is wrong with how a command says that there is no room."""
    if not ended.code:
        return []
    problems = [] if ended.code == EdgepressError.exit_code else [f"exit code {ended.code}: {ended.error}"]
    if not any(word in ended.error.lower() for word in NO_ROOM):
        problems.append(f"the error does not say that the file system is full: {ended.error}")
    return problems


def _judged(
    command: str,
    fault: str,
    where: dict[str, Any],
    ended: Ended,
    problems: Sequence[str],
    own: Undisturbed,
    folder: Path,
    old: str,
    args: Sequence[str],
    log: Path,
) -> Disturbance:
    """Look at what lies there, run the command again, and look once more."""
    work = folder / "work"
    found = outcomes.state(own.expected, work, old)
    problems = [*problems, *([] if found in (OLD, NEW, ASIDE) else [found])]
    problems += [f"traceback: {ended.raised}"] if ended.traceback else []
    if not ended.code and found != NEW:
        problems.append(f"exit code 0, and the target is {found}")
    problems += outcomes.half_written(own.expected, work)
    again = processes.run(args, folder / "home", log)
    problems += [f"again: {problem}" for problem in _after(again, own, work, old)]
    shutil.rmtree(folder, ignore_errors=True)
    said, *shown = (_without_folders(text, work, folder) for text in (ended.error, *problems))
    return Disturbance(command, fault, where, found, ended.code, said, ended.seconds, tuple(shown))


def _without_folders(text: str, work: Path, folder: Path) -> str:
    """A message without the folders of this one machine."""
    return text.replace(str(work), "WORK").replace(str(folder), "FOLDER")


def _after(again: Ended, own: Undisturbed, work: Path, old: str) -> Iterator[str]:
    """What is wrong after the same command, undisturbed."""
    if again.code:
        yield f"exit code {again.code}: {again.error or _last(again.screen)}"
        return
    if again.traceback:
        yield f"traceback: {again.raised}"
    if (found := outcomes.state(own.expected, work, old)) != NEW:
        yield f"the target is {found}"
    yield from outcomes.half_written(own.expected, work)
    yield from outcomes.differing(own.expected, work)
    yield from outcomes.leftovers(work, failed=False)


def _last(screen: str) -> str:
    return (screen.strip().splitlines() or [""])[-1][:300]


def _prepared(command: str, material: Material, folder: Path) -> Path:
    """A working folder with the old output in it, if there is one already."""
    work = folder / "work"
    work.mkdir(parents=True)
    (folder / "home").mkdir()
    old = material.old_results if command == "recipe" else material.old
    if old.exists():
        shutil.copytree(old, work / target(command))
    return work


def _names(work: Path) -> set[str]:
    return set(os.listdir(work))
