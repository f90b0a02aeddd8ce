"""The campaign as a pipeline: make the material, run each command in peace, disturb it, write the record."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.faults import disk, processes, report
from benchmarks.faults.commands import OUT, RESULTS, typed
from benchmarks.faults.config import INTERRUPTED, MUTATIONS, FaultsConfig, shortened
from benchmarks.faults.interruption import (
    Disturbance,
    Undisturbed,
    killed,
    moments,
    shares,
    undisturbed,
    without_room,
)
from benchmarks.faults.material import ENVIRONMENT, Material, make_material
from benchmarks.faults.mutations import plan
from benchmarks.faults.openers import damaged
from benchmarks.faults.report import FaultCase
from edgepress.core import console, interruption
from edgepress.core.errors import EdgepressError, ExpectationError

Call = Callable[[Path], FaultCase]
FIRST = INTERRUPTED[0]
"""Makes the artifact that the others start from."""


def campaign(config: FaultsConfig) -> Path:
    """Run the command and return the folder of the record.

    Raises:
        EdgepressError: bad input, or a command fails without any disturbance (exit code 2).
        ExpectationError: something came that must not (exit code 1); the record is written.
    """
    config.check()
    config = shortened(config)
    with tempfile.TemporaryDirectory(prefix="edgepress-faults-") as name:
        scratch = Path(name)
        os.environ.update(ENVIRONMENT, MPLCONFIGDIR=str(scratch / "matplotlib"))
        console.step("importing, and making a tiny model and its data")
        processes.preload()
        material = make_material(scratch / "material")
        with ProcessPoolExecutor(config.workers, get_context("fork"), _heed_interrupt) as pool:
            try:
                found = list(_run(config, pool, material, scratch))
            except BaseException:  # what has not begun is not waited for
                pool.shutdown(cancel_futures=True)
                raise
    report.write(config, found)
    return _concluded(config, found)


def _heed_interrupt() -> None:
    """Let a worker end at Ctrl-C as if it had been told to: an idle one would show a traceback."""
    signal.signal(signal.SIGINT, lambda *_: sys.exit(interruption.INTERRUPTED))


def _run(
    config: FaultsConfig, pool: ProcessPoolExecutor, material: Material, scratch: Path
) -> Iterator[FaultCase]:
    """All cases, as they end."""
    mounts = config.sizes > 0 and disk.can_mount(scratch)
    if config.sizes and not mounts:
        console.warn("no case of a full file system: mounting one needs root")
    runs = _in_peace(
        [name for name in INTERRUPTED if name in config.commands], pool, material, scratch, mounts
    )
    calls: list[Call] = [*_calls(config, runs, material, mounts)]
    if MUTATIONS in config.commands:
        calls += [partial(damaged, material, job) for job in plan(config.mutations, config.seed)]
    waiting = [pool.submit(_in_a_folder, call, scratch) for call in calls]
    for number, each in enumerate(as_completed(waiting), start=1):
        case = each.result()
        console.step(f"[{number}/{len(waiting)}] {report.line(case)}")
        yield case


def _in_peace(
    commands: list[str], pool: ProcessPoolExecutor, material: Material, scratch: Path, mounts: bool
) -> dict[str, Undisturbed]:
    """An undisturbed run of each command; the first one also makes what the others start from."""
    console.step("running each command undisturbed")
    own = {}
    if FIRST in commands:
        own[FIRST] = pool.submit(undisturbed, FIRST, material, scratch, mounts).result()
        shutil.copytree(own[FIRST].kept / OUT, material.teacher)
    for made in (material.teacher, material.old):
        if not made.exists():
            pool.submit(_make, made, material, scratch).result()
    others = {
        name: pool.submit(undisturbed, name, material, scratch, mounts) for name in commands if name != FIRST
    }
    own.update({name: future.result() for name, future in others.items()})
    if "recipe" in own:
        shutil.copytree(own["recipe"].kept / RESULTS, material.old_results)
        (material.old_results / "README.md").write_text("# Another table\n", encoding="utf-8")
    return {name: own[name] for name in commands}


def _make(artifact: Path, material: Material, scratch: Path) -> None:
    """An artifact of the first command; the old one has another seed."""
    work = scratch / f"making-{artifact.name}"
    seed = ["--seed", str(int(artifact == material.old))]
    ended = processes.run([*typed(FIRST, material, work), *seed], scratch / "home", scratch / "making.log")
    if ended.code:
        raise EdgepressError(f"{FIRST} failed undisturbed: {ended.screen[-2000:]}")
    shutil.copytree(work / OUT, artifact)


def _calls(
    config: FaultsConfig, runs: dict[str, Undisturbed], material: Material, mounts: bool
) -> Iterator[Callable[[Path], Disturbance]]:
    """Every case of every command: what takes longest comes first, so that the end is not waited for."""
    for name, own in sorted(runs.items(), key=lambda item: -item[1].writing_s):
        for moment in moments(name, config.moments, config.seed):
            yield partial(killed, name, material, own, moment)
        for share in shares(name, config.sizes, config.seed) if mounts else ():
            yield partial(without_room, name, material, own, share)


def _in_a_folder(call: Call, scratch: Path) -> FaultCase:
    """One case in a folder of its own."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        return call(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _concluded(config: FaultsConfig, found: list[FaultCase]) -> Path:
    report.show(found)
    console.step(f"written: {config.output}")
    wrong = sum(bool(case.problems) for case in found)
    if wrong:
        raise ExpectationError(
            f"{wrong} of {len(found)} cases left what they must not", "the record says which"
        )
    return config.output
