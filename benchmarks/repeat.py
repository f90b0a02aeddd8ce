"""One comparison, taken twice: do its figures agree, how narrow are they, and what did they cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from benchmarks.goals import Goal
from device_bench import stats
from device_bench.compare.config import MEMORY_NOISE
from device_bench.measure import measure
from device_bench.plan import Plan, Target
from device_bench.records import Measurement
from device_bench.stats import Interval
from edgepress.core.console import step
from edgepress.core.tables import markdown_table

TARGET, SECONDS = 0.03, 60.0
# Launches that stop the moment they reach the goal stop at moments that happened to be even, and lie within a
# few minutes, of which the machine has better and worse ones: there are more of them, and they aim higher.
# What is known that well leaves its time to the others.
AIM, LAUNCHES = 0.02, 12
SECONDS_GOAL = "longest time of a configuration [s]"
TYPED = "python -m benchmarks.device_bench"
HEADINGS = ("model", "batch x tokens", "fp32 [ms]", "int8 [ms]", "speed-up", "once more", "once more / first")


Both = tuple[Measurement, Measurement]
"""fp32 and int8, measured in turn."""


@dataclass(frozen=True)
class Comparison:
    """Models' fp32 files and their int8 files at some shapes, all of them in one measurement.

    One, for a shared machine has better and worse minutes: what is measured within one says nothing of the
    next. Here all shapes share launches, and the one hardest to know has what others leave.
    """

    files: Mapping[str, tuple[Path, Path]]
    """fp32 and int8 by the model's name."""
    lengths: tuple[int, ...]
    batches: tuple[int, ...]

    @property
    def shapes(self) -> int:
        """Number of shapes of each file."""
        return len(self.lengths) * len(self.batches)

    def take(self, budget_s: float) -> tuple[list[Both], float]:
        """fp32 and int8 at each shape, and the mean time of a file at a shape, launches included [s]."""
        named = [(name, path) for name, both in self.files.items() for path in both]
        targets = [Target(f"{name} {path.stem}", path) for name, path in named]
        configurations = len(targets) * self.shapes
        whole_s = budget_s * configurations
        plan = Plan(self.lengths, self.batches, launches=LAUNCHES, target_half_width=AIM, budget_s=whole_s)
        start = time.monotonic()
        found = measure(targets, plan)
        seconds = (time.monotonic() - start) / configurations
        launches = max(len(record.launches) for record in found)
        step(f"{seconds:.1f} s a configuration, {launches} launches")
        return self._pairs(found), seconds

    def _pairs(self, found: Sequence[Measurement]) -> list[Both]:
        by_file = [found[first : first + self.shapes] for first in range(0, len(found), self.shapes)]
        models = zip(by_file[::2], by_file[1::2], strict=True)
        return [both for fp32, int8 in models for both in zip(fp32, int8, strict=True)]


@dataclass(frozen=True)
class Pair:
    """The same two files at the same shape, in both measurements."""

    first: Both
    again: Both

    def ratios(self) -> tuple[Interval, Interval]:
        """The int8 file's speed-up in each."""
        return _speed_up(self.first), _speed_up(self.again)

    def change(self, level: float) -> Interval:
        """The second speed-up over the first, as two independent estimates."""
        once, twice = (
            stats.launch_ratios(*(r.launches_ms for r in both)) for both in (self.first, self.again)
        )
        return stats.change(once, twice, level)

    def row(self, level: float) -> tuple[str, ...]:
        """Return the cells of this row in the table."""
        fp32, int8 = self.first
        medians = (stats.latency(record.launches_ms) for record in self.first)
        times = (f"{own.value:.2f} ± {100 * own.half_width:.1f} %" for own in medians)
        ratios = (_text(own, 2) for own in self.ratios())
        shape = f"{fp32.batch} x {int8.sequence_length}"
        return (fp32.name.split()[0], shape, *times, *ratios, _text(self.change(level), 3))


def _speed_up(pair: tuple[Measurement, Measurement]) -> Interval:
    slow, fast = pair
    return stats.paired_ratio(slow.launches_ms, fast.launches_ms)


def _text(own: Interval, digits: int) -> str:
    return f"{own.value:.{digits}f} [{own.low:.{digits}f}, {own.high:.{digits}f}]"


@dataclass(frozen=True)
class Repeated:
    """The comparison, taken twice one after another."""

    pairs: Sequence[Pair]
    """A pair for each ratio."""
    seconds: float
    """The longest that a configuration of one comparison took, on average over its shapes."""

    @classmethod
    def of(cls, found: Sequence[Measurement], seconds: float) -> Repeated:
        """Pair the measurements again from `records`, as they were kept."""
        pairs = list(zip(found[::2], found[1::2], strict=True))
        half = len(pairs) // 2
        return cls([Pair(*both) for both in zip(pairs[:half], pairs[half:], strict=True)], seconds)

    @property
    def records(self) -> list[Measurement]:
        """Records of the first measurement, then of the second."""
        return [*chain(*(pair.first for pair in self.pairs)), *chain(*(pair.again for pair in self.pairs))]

    @property
    def level(self) -> float:
        """Confidence level of each change's interval: all of k hold 1 in 95 % of cases (Sidak 1967)."""
        return float(stats.LEVEL ** (1 / len(self.pairs)))

    @property
    def table(self) -> str:
        """Table of all changes, in Markdown."""
        return markdown_table(HEADINGS, [pair.row(self.level) for pair in self.pairs])

    def goals(self) -> Iterator[Goal]:
        """Whether both agree, how narrow the intervals are and what they cost, and how steady memory is.

        Two speed-ups agree when the interval of their quotient holds 1 (`stats.change` at `level`): the
        difference of their logarithms is no more than both standard errors explain. Of a method whose
        intervals are honest this goal fails in one of twenty trials, however many ratios there are; one
        whose intervals leave out the spread from launch to launch fails far more often.
        """
        changes = [pair.change(self.level) for pair in self.pairs]
        apart = sum(not own.low <= 1 <= own.high for own in changes)
        yield Goal(f"same comparison twice: of {len(changes)} ratios disagree", 0, apart, False, TYPED)
        widest = max(stats.latency(r.launches_ms).half_width for r in self.records)
        yield Goal("widest 95 % interval of a median, half [%]", 100 * TARGET, 100 * widest, False, TYPED)
        yield Goal(SECONDS_GOAL, SECONDS, self.seconds, False, TYPED)
        yield from self._memory()

    def _memory(self) -> Iterator[Goal]:
        limit, every = 100 * MEMORY_NOISE, self.records
        twice = zip(every[: len(every) // 2], every[len(every) // 2 :], strict=True)
        apart = max(_spread([own.peak_memory_bytes for own in both]) for both in twice)
        yield Goal("peak memory: largest difference of the two [%]", limit, apart, False, TYPED)
        launches = max(_spread([one.peak_memory_bytes for one in own.launches]) for own in every)
        yield Goal("peak memory: largest difference of launches [%]", limit, launches, False, TYPED)


def _spread(values: Sequence[float]) -> float:
    """Distance from the least to the greatest [% of the median]."""
    return float(100 * np.ptp(values) / np.median(values))


def repeat(comparison: Comparison, budget_s: float) -> Repeated:
    """Take it, then take it once more."""
    taken = []
    for turn in ("first", "once more"):
        step(f"the comparison: {turn}")
        taken.append(comparison.take(budget_s))
    pairs = [Pair(*both) for both in zip(*(found for found, _ in taken), strict=True)]
    return Repeated(pairs, max(seconds for _, seconds in taken))
