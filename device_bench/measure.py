"""Interleaved measurement: every file in its own process, the processes in turn, until the medians settle."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from device_bench import stats
from device_bench.energy import Counter, counter
from device_bench.plan import Case, Plan, Subject
from device_bench.process import Process
from device_bench.records import Measurement
from edgepress.environment import environment
from edgepress.errors import EdgepressError
from edgepress.files import sha256
from export.base.registry import size_bytes

__all__ = ["Plan", "Subject", "measure", "measure_each"]

Progress = Callable[[float], None]


@dataclass
class _Lane:
    """One file, its process, and its samples of the present case as they come in."""

    subject: Subject
    plan: Plan
    energy: Counter | None
    process: Process | None = None
    broken: str = ""
    """Why its file cannot be opened at all."""
    error: str = ""
    """Why it has no samples of the present case."""
    runs: int = 1
    warm_up_runs: int = 0
    energy_j: float = 0.0
    rounds: list[list[float]] = field(default_factory=list)

    def start(self, case: Case) -> None:
        """Open the file, if that is still to be done, and warm up."""
        self.error, self.rounds, self.warm_up_runs, self.energy_j = self.broken, [], 0, 0.0
        if not self.error and self.process is None:
            try:
                self.process = Process(self.subject, self.plan)
            except EdgepressError as error:
                self.error = self.broken = str(error)
        if case.kind == "latency":
            self._attempt(lambda process: self._warm_up(process, case))

    def _attempt(self, work: Callable[[Process], None]) -> None:
        if self.error or self.process is None:
            return
        try:
            work(self.process)
        except EdgepressError as error:
            self.error = str(error)
            self.close()

    def _warm_up(self, process: Process, case: Case) -> None:
        """Until two blocks in a row agree; sets how many runs make a block."""
        plan, start = self.plan, time.monotonic()
        last = stats.percentile(process.run(case, plan.warm_up_runs), 50)
        self.warm_up_runs = plan.warm_up_runs
        self.runs = max(3, round(plan.smallest_block_ms / last))
        while time.monotonic() - start < plan.warm_up_s:
            middle = stats.percentile(process.run(case, self.runs), 50)
            self.warm_up_runs += self.runs
            if abs(middle - last) <= plan.steady * last:
                return
            last = middle

    def take(self, case: Case) -> None:
        """One round."""
        self._attempt(lambda process: self._round(process, case))

    def _round(self, process: Process, case: Case) -> None:
        if self.energy is not None:
            self.energy()  # what others used in the meantime
        self.rounds.append(process.run(case, self.runs))
        if self.energy is not None:
            self.energy_j += self.energy()

    @property
    def settled(self) -> bool:
        """By the medians of rounds: runs within one are not independent of each other."""
        medians = [stats.percentile(samples, 50) for samples in self.rounds]
        return len(medians) > 1 and stats.bootstrap(medians).half_width <= self.plan.target_half_width

    @property
    def enough(self) -> bool:
        """Whether it has as many runs, over as much time, as a figure needs at least."""
        samples = [sample for samples in self.rounds for sample in samples]
        return len(samples) >= self.plan.min_runs and sum(samples) >= 1000 * self.plan.min_time_s

    def close(self) -> None:
        """End its process, if there is one."""
        if self.process is not None:
            self.process.close()
            self.process = None


def measure(
    subjects: Sequence[Subject], plan: Plan, progress: Progress = lambda _: None
) -> list[Measurement]:
    """Measure all subjects at all cases, one record each, in the order of the subjects.

    Raises:
        EdgepressError: a file cannot be opened, or its process died.
    """
    found = []
    with closing(measure_each(subjects, plan, progress)) as records:
        for record in records:
            if record.error:
                raise EdgepressError(record.error)
            found.append(record)
    names = [subject.name for subject in subjects]
    return sorted(found, key=lambda record: names.index(record.name))


def measure_each(
    subjects: Sequence[Subject], plan: Plan, progress: Progress = lambda _: None, run: str = ""
) -> Generator[Measurement, None, None]:
    """Measure case by case; the records of a case come as soon as it is done.

    At each case rounds go over all files in turn (A B, B A, ...), so that whatever else the machine does
    in the meantime falls on all of them. A file that cannot be opened, or whose process dies, has a
    record that says so, and the others go on; at the next case it is started again.

    Args:
        subjects: the files; the first is the one that others are compared with.
        plan: shapes and stopping rule.
        progress: called after each round with the share of the time budget that is spent, 0..1.
        run: what the records say they were measured in; a new name where it is empty.
    """
    run = run or uuid.uuid4().hex[:12]
    energy = counter(plan.device) if plan.energy else None
    lanes = [_Lane(subject, plan, energy) for subject in subjects]
    start = time.monotonic()
    try:
        for index, case in enumerate(plan.cases, start=1):
            for lane in lanes:
                lane.start(case)
            _take_rounds(lanes, case, start, index / len(plan.cases), progress)
            yield from [_record(lane, case, run) for lane in lanes]
    finally:
        for lane in lanes:
            lane.close()


def _take_rounds(lanes: Sequence[_Lane], case: Case, start: float, share: float, progress: Progress) -> None:
    plan, order, taken = lanes[0].plan, list(lanes), 0
    while order := [lane for lane in order if not lane.error]:
        order.reverse()  # A B, B A, ...: coming second must not be a disadvantage
        for lane in order:
            lane.take(case)
        taken += 1
        spent = (time.monotonic() - start) / plan.budget_s
        progress(min(spent, 1.0))
        if _done(order, case, taken, spent >= share):
            return


def _done(lanes: Sequence[_Lane], case: Case, taken: int, overdue: bool) -> bool:
    plan, alive = lanes[0].plan, [lane for lane in lanes if not lane.error]
    if case.kind == "pass":
        return taken >= plan.passes
    if taken < plan.min_rounds or not all(lane.enough for lane in alive):
        return False
    return overdue or all(lane.settled for lane in alive)


def _record(lane: _Lane, case: Case, run: str) -> Measurement:
    subject, plan, process = lane.subject, lane.plan, lane.process
    failed = bool(lane.error) or process is None
    loaded = {} if process is None or failed else process.loaded
    settled = not failed and lane.settled
    known = {**facts(subject), "rows": subject.known.get("rows", 0) if case.kind == "pass" else 0}
    return Measurement(
        name=subject.name,
        file=subject.path.name,
        runtime=loaded.get("runtime", ""),
        device=plan.device,
        threads=plan.threads,
        batch=case.batch,
        sequence_length=case.sequence_length,
        load_ms=loaded.get("load_ms", 0.0),
        first_forward_ms=loaded.get("first_forward_ms", 0.0),
        peak_memory_bytes=process.peak_memory_bytes if process else 0,
        warm_up_runs=lane.warm_up_runs,
        samples_ms=() if failed else tuple(tuple(samples) for samples in lane.rounds),
        settled=settled,
        environment={**environment().to_dict(), **loaded.get("environment", {})},
        warnings=() if settled or failed else (f"median not within {plan.target_half_width:.0%}",),
        kind=case.kind,
        padding=case.padding,
        run=run,
        taken_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        energy_j=lane.energy_j if lane.energy and not failed else None,
        error=lane.error,
        **known,
    )


def facts(subject: Subject) -> dict[str, Any]:
    """What its records say of the file; one that is no file, or of no known format, has no size."""
    if "file_sha256" in subject.known:
        return dict(subject.known)
    try:
        own = {"file_sha256": sha256(subject.path), "size_bytes": size_bytes(subject.path)}
    except (EdgepressError, OSError):
        own = {"file_sha256": "", "size_bytes": 0}
    return {**own, **subject.known}
