"""A file of a measurement: the process of its present launch, and its samples case by case."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device_bench import stats
from device_bench.plan import Case, Plan, Target
from device_bench.process import Process, Start
from device_bench.records import Launch
from device_bench.stats import Rounds
from edgepress.core.errors import EdgepressError

if TYPE_CHECKING:
    from device_bench.energy import Counter

# Two launches may be alike by luck, and a rule that stops at the first luck stops too often.
FEWEST_LAUNCHES = 3


@dataclass
class Taken:
    """Results of one file at one case, over all launches."""

    launches: list[Launch] = field(default_factory=list)
    launches_ms: list[Rounds] = field(default_factory=list)
    """Samples by launch and round."""
    waited: list[float] = field(default_factory=list)
    """Share of waiting for a core, by round; empty where it is not known."""
    warm_up_runs: int = 0
    energy_j: float = 0.0
    error: str = ""
    """Error for which the file has no figure here; empty: none."""

    def settled(self, target_half_width: float) -> bool:
        """Whether the median is known this closely."""
        return len(self.launches) >= FEWEST_LAUNCHES and self.half_width <= target_half_width

    @property
    def half_width(self) -> float:
        """Half width of the median's interval, as a share of the median."""
        return stats.latency(self.launches_ms).half_width


@dataclass
class Present:
    """Results of one file at one case in the present launch."""

    process: Process | None = None
    """Process that was warmed up at the case; None before."""
    runs: int = 1
    """Number of runs of a round."""
    rounds: list[list[float]] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    energy_j: float = 0.0
    peak_memory_bytes: int = 0
    """Peak memory before larger cases came [bytes]."""
    cores: set[int] = field(default_factory=set)
    """Cores that the rounds ran on."""

    def launch(self, process: Process) -> Launch:
        """The launch as the record has it."""
        known: dict[str, Any] = {name: process.loaded[name] for name in ("load_ms", "first_forward_ms")}
        known |= {"peak_memory_bytes": self.peak_memory_bytes, "cores": tuple(sorted(self.cores))}
        return Launch(rounds=len(self.rounds), **known)


@dataclass
class Session:
    """A file and its samples so far."""

    target: Target
    plan: Plan
    energy: Counter | None = None
    start_process: Start = Process
    taken: dict[Case, Taken] = field(default_factory=lambda: defaultdict(Taken))
    loaded: dict[str, Any] = field(default_factory=dict)
    """What the last process said of itself."""
    broken: str = ""
    """Why the file cannot be opened at all."""
    process: Process | None = None
    cores: tuple[int, ...] = ()
    """What its process is bound to."""
    present: dict[Case, Present] = field(default_factory=lambda: defaultdict(Present))

    def bind(self, cores: tuple[int, ...]) -> None:
        """Move its process, or the one to come, to these cores."""
        if self.process is not None:
            self.process.bind(cores)
        self.cores = cores

    def load(self) -> None:
        """Start the present launch's process ahead of its first case, which is told of a failure."""
        self.present.clear()
        with suppress(EdgepressError):
            if not self.broken:
                self._open()

    def start(self, case: Case) -> None:
        """Begin a case in the present launch: start the process where there is none, and warm up."""
        self.taken[case].error = self.taken[case].error or self.broken
        self._attempt(case, lambda: self._warm_up(case))

    def take(self, case: Case) -> None:
        """Take the samples of one round."""
        self._attempt(case, lambda: self._round(case))

    def keep(self, case: Case) -> None:
        """Count the present launch's rounds."""
        taken, present = self.taken[case], self.present[case]
        if taken.error or present.process is None:
            return
        taken.launches.append(present.launch(present.process))
        taken.launches_ms.append(present.rounds)
        taken.waited += present.waited
        taken.energy_j += present.energy_j

    def close(self) -> None:
        """End the launch and its process."""
        if self.process is not None:
            self.process.close()
            self.process = None

    def alive(self, case: Case) -> bool:
        """Whether it still gives samples of this case."""
        return not self.taken[case].error

    def enough(self, case: Case, late: bool) -> bool:
        """Whether this launch's rounds are enough; half of them are where it takes too long already."""
        plan, rounds = self.plan, self.present[case].rounds
        samples = [sample for samples in rounds for sample in samples]
        if case.kind == "pass":
            return bool(samples)
        return (
            len(rounds) >= (plan.rounds // 2 if late else plan.rounds)
            and len(samples) * plan.launches >= plan.min_runs
            and sum(samples) * plan.launches >= 1000 * plan.min_time_s
        )

    def _attempt(self, case: Case, work: Callable[[], None]) -> None:
        """Do a piece of work; where it fails this case has an error, and the next one a new process."""
        if self.alive(case):
            try:
                work()
            except EdgepressError as error:
                self.taken[case].error = str(error)
                self.close()

    def _open(self) -> Process:
        if self.process is None:
            try:
                self.process = self.start_process(self.target, self.plan, self.cores)
            except EdgepressError as error:
                self.broken = str(error)
                raise
            self.loaded = self.process.loaded
        return self.process

    def _warm_up(self, case: Case) -> None:
        """Have a process that knows the case; an earlier one may have died of another case."""
        present, process = self.present[case], self._open()
        if present.process is not process:
            present.process = process
            if case.kind == "latency":
                self._steady(process, case, present)

    def _steady(self, process: Process, case: Case, present: Present) -> None:
        """Run until two blocks in a row agree; sets how many runs make a block."""
        plan, start = self.plan, time.monotonic()
        (last,) = process.run(case, 1)  # reserves memory for the shape: slower than all others
        runs, steady = 1, False
        while not steady and time.monotonic() - start < plan.warm_up_s:
            present.runs = plan.runs_a_round(last)
            middle = stats.percentile(process.run(case, present.runs), 50)
            steady = abs(middle - last) <= plan.steady * last
            runs, last = runs + present.runs, middle
        present.runs = plan.runs_a_round(last)
        present.peak_memory_bytes = process.peak_memory_bytes
        self.taken[case].warm_up_runs += runs

    def _round(self, case: Case) -> None:
        self._warm_up(case)
        present, process = self.present[case], self._open()
        present.cores |= set(self.cores)
        if self.energy is not None:
            self.energy()  # what others used in the meantime
        present.rounds.append(process.run(case, present.runs))
        if process.waited is not None:
            present.waited.append(process.waited)
        if self.energy is not None:
            present.energy_j += self.energy()
        if case.kind == "pass":
            present.peak_memory_bytes = process.peak_memory_bytes
