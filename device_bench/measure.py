"""Interleaved measurement: launch by launch, the files' processes in turn, until the medians settle."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timezone
from statistics import fmean

from device_bench import stats
from device_bench.cpu_affinity import CpuAffinity
from device_bench.facts import of_case, with_facts
from device_bench.plan import Case, Plan, Target
from device_bench.process import Process, Start, of_each
from device_bench.records import Measurement
from device_bench.session import Session, Taken
from device_bench.waiting import warn_of_busy_machine
from edgepress.core import console
from edgepress.core.environment import environment
from edgepress.core.errors import EdgepressError

__all__ = ["Plan", "Target", "measure", "measure_each", "measure_shown"]

Progress = Callable[[float], None]
WAITED_DIGITS = 4


def measure(
    targets: Sequence[Target],
    plan: Plan,
    progress: Progress = lambda _: None,
    start_process: Start = Process,
    tolerant: bool = False,
) -> list[Measurement]:
    """Measure all targets at all cases, one record each, in the order of the targets and cases.

    Args:
        targets, plan, progress, start_process: as `measure_each` takes them.
        tolerant: whether a file that fails is named and has no records, while others go on.

    Raises:
        EdgepressError: a file cannot be opened, or its process died.
    """
    found = []
    with closing(measure_each(targets, plan, progress, start_process=start_process)) as records:
        for record in records:
            if not record.error:
                found.append(record)
            elif tolerant:
                console.warn(f"{record.name} is not timed: {record.error}")
            else:
                raise EdgepressError(record.error)
    names, cases = [target.name for target in targets], plan.cases
    return sorted(found, key=lambda record: (names.index(record.name), cases.index(Case.of(record))))


def measure_shown(targets: Sequence[Target], plan: Plan, tolerant: bool = False) -> list[Measurement]:
    """Run `measure` with a progress bar that shows the spent share of the time budget, and warn of a busy
    machine.
    """
    with console.progress() as progress:
        task = progress.add_task("timing, interleaved", total=1.0)
        found = measure(
            targets, plan, lambda share: progress.update(task, completed=share), tolerant=tolerant
        )
    warn_of_busy_machine(found)
    return found


def measure_each(
    targets: Sequence[Target],
    plan: Plan,
    progress: Progress = lambda _: None,
    run: str = "",
    start_process: Start = Process,
) -> Generator[Measurement, None, None]:
    """Measure; the records of a case come as soon as its medians have settled or the budget is spent.

    In each launch every file has a new process, which is warmed up at all cases that are still open. Then
    rounds go over the cases, and in each round over all files (A B, B A, ...), so that whatever else the
    machine does in the meantime falls on all of them. A file that cannot be opened, or whose process dies,
    has a record that says so, and the others go on; at the next case it is started again.

    Args:
        targets: the files; the first is the one that others are compared with.
        plan: shapes and stopping rule.
        progress: called after each round with the share of the time budget that is spent, 0..1.
        run: what the records say they were measured in; a new name where it is empty.
        start_process: starts the process of a file.
    """
    energy = None
    if plan.energy:
        from device_bench.energy import counter

        energy = counter(plan.device)
    sessions = [Session(with_facts(target), plan, energy, start_process) for target in targets]
    measurement = _Measurement(sessions, plan, progress, run or uuid.uuid4().hex[:12])
    for group in plan.groups:
        yield from measurement.records(group)


class _Measurement:
    """The launches of a group of cases, one after another."""

    def __init__(self, sessions: Sequence[Session], plan: Plan, progress: Progress, run: str) -> None:
        self._sessions, self._plan, self._progress, self._run = sessions, plan, progress, run
        self._order = list(sessions)
        self._cores = CpuAffinity(plan.threads)
        self._start = time.monotonic()

    def records(self, cases: Sequence[Case]) -> Iterator[Measurement]:
        """Launch until no case is open; what has its least launches is also kept when the user interrupts."""
        open_, launches, longest_s = list(cases), 0, 0.0
        try:
            while open_:
                begun = time.monotonic()
                self._launch(open_ if launches < self._plan.launches else self._least_known(open_))
                launches += 1
                # A launch that would not end within the budget is not begun.
                longest_s = max(longest_s, time.monotonic() - begun)
                last = self._spent_s + longest_s > self._plan.budget_s
                for case in [case for case in open_ if self._done(case, last)]:
                    open_.remove(case)
                    yield from self._records_of(case)
        except KeyboardInterrupt:
            for case in open_ if launches >= self._plan.launches else ():
                yield from self._records_of(case)
            raise

    def _least_known(self, cases: Sequence[Case]) -> list[Case]:
        """Cases whose medians are known no better than their mean: what varies most from launch to
        launch has most launches.
        """
        widths = [max(taken.half_width for taken in self._alive(case)) for case in cases]
        mean = min(fmean(widths), max(widths))  # a mean of equal numbers may be rounded above them
        return [case for case, width in zip(cases, widths, strict=True) if width >= mean]

    @property
    def _spent_s(self) -> float:
        return time.monotonic() - self._start

    def _launch(self, cases: Sequence[Case]) -> None:
        """A process of each file through all cases, each round of them on the same cores."""
        if self._plan.device == "cpu":
            self._bind(self._cores.draw())
        try:
            of_each(Session.load, self._order, self._plan.device)
            for case in cases:
                self._start_case(case)
            self._take_turns(cases)
        finally:
            for session in self._sessions:
                session.close()
        self._order.reverse()
        for session in self._sessions:
            for case in cases:
                session.keep(case)

    def _start_case(self, case: Case) -> None:
        self._bind(self._cores.undisturbed())
        for session in self._order:
            session.start(case)

    def _bind(self, cores: tuple[int, ...]) -> None:
        for session in self._sessions:
            session.bind(cores)

    def _take_turns(self, cases: Sequence[Case]) -> None:
        """A round of each case in turn, until all have enough; less is enough once the launch has had its
        share of the budget.

        So each case is spread over the launch, and what slows the machine for some seconds does not fall on
        one of them alone. No case has more rounds than it needs while others still take theirs: a further
        launch says more than further rounds, which share what this one drew (Kalibera and Jones 2013).
        """
        late_at = time.monotonic() + self._plan.budget_s / self._plan.launches
        while open_ := self._lacking(cases, time.monotonic() > late_at):
            for case in open_:
                self._take_round(case)

    def _take_round(self, case: Case) -> None:
        turn = max(len(session.present[case].rounds) for session in self._sessions)
        # A B, B A, ... at each case: coming second must not be a disadvantage.
        self._bind(self._cores.undisturbed())
        for session in self._order if turn % 2 == 0 else self._order[::-1]:
            session.take(case)
        self._progress(min(self._spent_s / self._plan.budget_s, 1.0))

    def _lacking(self, cases: Sequence[Case], late: bool) -> list[Case]:
        sessions = self._sessions
        return [
            case
            for case in cases
            if any(session.alive(case) and not session.enough(case, late) for session in sessions)
        ]

    def _done(self, case: Case, last: bool) -> bool:
        alive = self._alive(case)
        if not alive:
            return True
        launches = max(len(taken.launches) for taken in alive)
        if case.kind == "pass":
            return launches >= self._plan.passes
        if launches < self._plan.launches:
            return False
        return last or all(taken.settled(self._plan.target_half_width) for taken in alive)

    def _alive(self, case: Case) -> list[Taken]:
        return [session.taken[case] for session in self._sessions if session.alive(case)]

    def _records_of(self, case: Case) -> Iterator[Measurement]:
        baseline = self._sessions[0].target.name
        for session in self._sessions:
            yield _record(session, case, self._run, baseline)


def _record(session: Session, case: Case, run: str, baseline: str) -> Measurement:
    target, plan, taken = session.target, session.plan, session.taken[case]
    launches = () if taken.error else tuple(taken.launches)
    loaded = {} if taken.error else session.loaded
    settled = bool(launches) and taken.settled(plan.target_half_width)
    known = of_case(target.known, case)
    return Measurement(
        name=target.name,
        file=target.path.name,
        runtime=loaded.get("runtime", ""),
        device=plan.device,
        threads=plan.threads,
        batch=case.batch,
        sequence_length=case.sequence_length,
        load_ms=stats.median_or_zero([launch.load_ms for launch in launches]),
        first_forward_ms=stats.median_or_zero([launch.first_forward_ms for launch in launches]),
        peak_memory_bytes=int(stats.median_or_zero([launch.peak_memory_bytes for launch in launches])),
        warm_up_runs=taken.warm_up_runs,
        samples_ms=tuple(tuple(samples) for rounds in taken.launches_ms for samples in rounds)
        if launches
        else (),
        launches=launches,
        waited=tuple(round(share, WAITED_DIGITS) for share in taken.waited) if launches else (),
        settled=settled,
        environment={**environment().to_dict(), **loaded.get("environment", {})},
        warnings=()
        if settled or taken.error
        else (f"median not within {100 * plan.target_half_width:.0f} %",),
        kind=case.kind,
        padding=case.padding,
        run=run,
        baseline=baseline,
        taken_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        energy_j=taken.energy_j if session.energy and launches else None,
        error=taken.error,
        **known,
    )
