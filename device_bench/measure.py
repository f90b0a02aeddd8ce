"""Interleaved measurement: every file in its own process, the processes in turn, until the medians settle."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_bench import stats
from device_bench.records import Measurement
from edgepress.environment import environment
from edgepress.errors import EdgepressError
from edgepress.files import sha256
from export.base.registry import size_bytes


@dataclass(frozen=True)
class Subject:
    """One file to measure."""

    name: str
    path: Path


@dataclass(frozen=True)
class Plan:
    """What to measure and when it is enough."""

    sequence_lengths: tuple[int, ...] = (16, 64, 128)
    batch: int = 1
    threads: int = 1
    vocabulary: int = 30_000
    warm_up_runs: int = 5
    smallest_block_ms: float = 40.0
    """A round takes as many runs of a file as fill this time, at least 3."""
    min_rounds: int = 12
    target_half_width: float = 0.03
    """Enough when the 95 % interval of each median is this close, as a share of it."""
    budget_s: float = 40.0


@dataclass
class _Series:
    """The samples of one file at one sequence length, as they come in."""

    runs: int
    rounds: list[list[float]] = field(default_factory=list)

    def settled(self, plan: Plan) -> bool:
        """By the medians of rounds: runs within one are not independent of each other."""
        medians = [stats.percentile(samples, 50) for samples in self.rounds]
        return len(medians) > 1 and stats.bootstrap(medians).half_width <= plan.target_half_width


class Process:
    """A child process that runs one file; the only thing here that knows its protocol."""

    def __init__(self, subject: Subject, plan: Plan) -> None:
        self.subject = subject
        self._plan = plan
        command = [sys.executable, "-m", "device_bench.cpu", str(subject.path)]
        command += [str(plan.threads), str(plan.vocabulary)]
        # A session of its own: Ctrl-C is ours to handle, and the end of its input stops it.
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.peak_memory_bytes = 0
        try:
            self.loaded = self._read()
        except BaseException:
            self.close()
            raise

    def run(self, sequence_length: int, runs: int) -> list[float]:
        """Times of `runs` runs [ms]."""
        request = {"batch": self._plan.batch, "sequence_length": sequence_length, "runs": runs}
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # reading the answer says why the child is gone
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        answer = self._read()
        self.peak_memory_bytes = answer["peak_memory_bytes"]
        samples: list[float] = answer["samples_ms"]
        return samples

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        line = self._child.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        if not line or "error" in answer:
            last_words = self._child.stderr.read().strip().splitlines()[-1:]
            reason = answer.get("error") or " ".join(last_words) or "its process was killed"
            raise EdgepressError(f"measuring {self.subject.path.name} failed: {reason}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._child.kill()
        self._child.communicate()


@contextmanager
def _processes(subjects: Sequence[Subject], plan: Plan) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        processes = []
        for subject in subjects:
            process = Process(subject, plan)
            stack.callback(process.close)
            processes.append(process)
        yield processes


def measure(
    subjects: Sequence[Subject], plan: Plan, progress: Callable[[float], None] = lambda _: None
) -> list[Measurement]:
    """Measure all subjects at all sequence lengths, one record each.

    Rounds go over all lengths and all files in turn (A B, B A, ...), so that whatever else the machine
    does in the meantime falls on all of them.

    Args:
        subjects: the files; the first is the one that others are compared with.
        plan: shapes and stopping rule.
        progress: called after each round with the share of the time budget that is spent, 0..1.

    Raises:
        EdgepressError: a file cannot be opened, or its process died.
    """
    with _processes(subjects, plan) as processes:
        series = {
            (process.subject, length): _Series(_block_runs(process, length, plan))
            for length in plan.sequence_lengths
            for process in processes
        }
        _take_rounds(processes, series, plan, progress)
        return [
            _record(process, length, series[process.subject, length], plan)
            for process in processes
            for length in plan.sequence_lengths
        ]


def _block_runs(process: Process, length: int, plan: Plan) -> int:
    """Warm up, and say how many runs make a block."""
    warm = process.run(length, plan.warm_up_runs)
    return max(3, round(plan.smallest_block_ms / stats.percentile(warm, 50)))


def _take_rounds(
    processes: Sequence[Process],
    series: dict[tuple[Subject, int], _Series],
    plan: Plan,
    progress: Callable[[float], None],
) -> None:
    start = time.monotonic()
    order = list(processes)
    for taken in range(1, sys.maxsize):
        order.reverse()  # A B, B A, ...: coming second must not be a disadvantage
        for length in plan.sequence_lengths:
            for process in order:
                own = series[process.subject, length]
                own.rounds.append(process.run(length, own.runs))
        spent = (time.monotonic() - start) / plan.budget_s
        progress(min(spent, 1.0))
        enough = taken >= plan.min_rounds
        if enough and (spent >= 1.0 or all(own.settled(plan) for own in series.values())):
            return


def _record(process: Process, length: int, own: _Series, plan: Plan) -> Measurement:
    path = process.subject.path
    return Measurement(
        name=process.subject.name,
        file=path.name,
        file_sha256=sha256(path),
        size_bytes=size_bytes(path),
        runtime=process.loaded["runtime"],
        device="cpu",
        threads=plan.threads,
        batch=plan.batch,
        sequence_length=length,
        load_ms=process.loaded["load_ms"],
        first_forward_ms=process.loaded["first_forward_ms"],
        peak_memory_bytes=process.peak_memory_bytes,
        warm_up_runs=plan.warm_up_runs,
        samples_ms=tuple(tuple(samples) for samples in own.rounds),
        settled=own.settled(plan),
        environment=environment().to_dict(),
        warnings=() if own.settled(plan) else (f"median not within {plan.target_half_width:.0%}",),
    )
