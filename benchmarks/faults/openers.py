"""One damaged file, and the command that opens it."""

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import processes
from benchmarks.faults.material import TASK, Material
from benchmarks.faults.mutations import MANIFEST, RECIPE, RECORDS, UNDAMAGED, Job, mutate
from benchmarks.faults.processes import Ended
from device_bench import records
from device_bench.records import Launch, Measurement
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError

HANG_S = 30.0
MEMORY = 1 << 30
"""Most that opening a tiny file may take beyond the imports [bytes]."""
ADDRESS_SPACE = 8 << 30
"""A command is refused more than this, lest a huge size takes the machine down [bytes]."""
NO_MEMORY = ("can't allocate memory", "MemoryError", "bad_alloc", "std::length_error")
EXIT_CODES = (0, 1, 2)


@dataclass(frozen=True)
class Damaged:
    """One damaged file, and what came."""

    job: Job
    command: str
    """Module and verb of the command."""
    code: int
    said: str
    seconds: float
    memory: int
    """Beyond the imports [bytes]."""
    problems: tuple[str, ...]
    content: bytes = b""
    """The damaged file, where there is a problem."""


def damaged(material: Material, job: Job, folder: Path) -> Damaged:
    """Damage a copy of a file, and open it by a command that writes below `folder`."""
    file, typed = _copied(material, job, folder)
    content = mutate(file.read_bytes(), job)
    file.write_bytes(content)
    target = folder / "written" / "out"
    target.parent.mkdir()
    args = [str(target) if word == "TARGET" else word for word in typed]
    ended = processes.run(args, folder / "home", folder / "log", HANG_S, ADDRESS_SPACE)
    problems = tuple(each.replace(str(folder), "FOLDER") for each in _problems(job, ended, target))
    said = ended.error.replace(str(folder), "FOLDER")
    kept = content if problems else b""
    command = " ".join(typed[: 2 if typed[0] == "device_bench" else 1])
    return Damaged(job, command, ended.code, said, ended.seconds, ended.memory, problems, kept)


def _copied(material: Material, job: Job, folder: Path) -> tuple[Path, list[str]]:
    """The file to damage, and what is typed to open it."""
    if job.file == RECIPE:
        file = Path(shutil.copy(material.recipe, folder / RECIPE))
        return file, [
            "compress.recipe",
            str(file),
            "--data",
            str(material.data),
            "--check",
            "--output",
            "TARGET",
        ]
    if job.file == RECORDS:
        return _records(job, folder)
    source = material.teacher if job.file == MANIFEST else material.model
    model = Path(shutil.copytree(source, folder / "model"))
    data = ["--task", TASK, "--data", str(material.data)]
    return model / job.file, ["export.onnx", "--model", str(model), *data, "--output", "TARGET"]


def _records(job: Job, folder: Path) -> tuple[Path, list[str]]:
    """Records of two files, for a command that reads such."""
    file, whole = folder / RECORDS, folder / "whole.jsonl"
    for path in (file, whole):
        records.append(path, [_measured("small", 2.0), _measured("smaller", 1.0)])
    verb = random.Random(job.seed).choice(("report", "charts", "compare"))
    if verb == "compare":
        return file, ["device_bench", verb, str(whole), str(file)]
    return file, ["device_bench", verb, "--records", str(file), "--output", "TARGET"]


def _measured(name: str, milliseconds: float) -> Measurement:
    rounds = tuple((milliseconds * (1 + step / 1000),) * 3 for step in range(12))
    return Measurement(
        name=name,
        file=f"{name}.onnx",
        file_sha256="ab" * 32,
        size_bytes=1_000_000,
        runtime="onnxruntime 1.31.1",
        device="cpu",
        threads=1,
        batch=1,
        sequence_length=128,
        load_ms=100.0,
        first_forward_ms=12.0,
        peak_memory_bytes=200_000_000,
        warm_up_runs=5,
        samples_ms=rounds,
        settled=True,
        environment={"cpu": "Test CPU", "cores": 2, "system": "Linux 6", "versions": {"python": "3.11"}},
        launches=tuple(
            Launch(rounds=6, load_ms=100.0, first_forward_ms=12.0, peak_memory_bytes=2 * 10**8) for _ in "12"
        ),
        taken_at="2026-01-01T00:00:00+00:00",
        tokenize_ms=(0.1, 0.2),
    )


def _problems(job: Job, ended: Ended, target: Path) -> Iterator[str]:
    if job.mutation == UNDAMAGED and ended.code:
        yield f"undamaged, and exit code {ended.code}: {ended.error}"
    if ended.traceback:
        yield f"traceback: {ended.raised}"
    if ended.hung:
        yield f"hung: ended after {HANG_S:g} s"
    elif ended.code not in EXIT_CODES:
        yield f"exit code {ended.code}: {ended.error}"
    if ended.memory > MEMORY or any(word in ended.screen for word in NO_MEMORY):
        yield f"memory: {ended.memory / 1e6:.0f} MB beyond the imports: {ended.error}"
    yield from _written(ended, target)


def _written(ended: Ended, target: Path) -> Iterator[str]:
    """A command that fails writes nothing; what one has written is whole."""
    if ended.code:
        yield from (f"left: {name}" for name in sorted(os.listdir(target.parent)))
    elif (target / MANIFEST).exists():
        try:
            open_artifact(target)
        except EdgepressError as error:
            yield str(error)
