"""What a machine's charts show: its files at the shape at which most of them were measured."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from device_bench.records import Measurement
from device_bench.series import Machine, Series, latency, speed_up
from device_bench.stats import Interval


@dataclass(frozen=True)
class Point:
    """One file at the shape that the charts share."""

    label: str
    record: Measurement
    latency: Interval
    score: float | None
    """In percent."""

    @property
    def megabytes(self) -> float:
        return self.record.size_bytes / 1e6


@dataclass(frozen=True)
class View:
    """One machine."""

    machine: Machine
    threads: int
    batch: int
    sequence_length: int
    points: tuple[Point, ...]

    @property
    def conditions(self) -> str:
        """Under which the points were measured."""
        plural = "s" * (self.threads != 1)
        return f"batch {self.batch}, {self.sequence_length} tokens, {self.threads} thread{plural}"

    @property
    def score_label(self) -> str:
        """Metric and task of the scores; empty where nothing was scored, or not all on one task."""
        own = [s.scored for s in self.machine.series if s.scored is not None]
        kinds = {(record.metric or "score", record.task) for record in own}
        if len(kinds) != 1:
            return ""
        metric, task = kinds.pop()
        return f"{metric} on {task} [%]" if task else f"{metric} [%]"

    @property
    def lines(self) -> list[Series]:
        """The files at this number of threads."""
        return [s for s in self.machine.series if s.measured and s.measured[0].threads == self.threads]

    def front(self) -> list[Point]:
        """Files that no other beats: none is as small and as fast, and as accurate where all are scored."""
        return [own for own in self.points if not any(_beats(other, own) for other in self.points)]

    def speed_ups(self) -> list[tuple[Point, Point, Interval]]:
        """Each file with the first of its measurement and the ratio to it."""
        found = []
        for own in self.points:
            base = next(p for p in self.points if p.record.run == own.record.run)
            ratio = speed_up(base.record, own.record) if base is not own else None
            if ratio is not None:
                found.append((own, base, ratio))
        return found


def _beats(other: Point, own: Point) -> bool:
    costs = [(other.megabytes, own.megabytes), (other.latency.value, own.latency.value)]
    if other.score is not None and own.score is not None:
        costs.append((-other.score, -own.score))
    return all(a <= b for a, b in costs) and any(a < b for a, b in costs)


def view(machine: Machine) -> View | None:
    """The machine at the shape that most files have, the smallest batch and the longest rows among equals.

    None where no latency was measured.
    """
    shapes = Counter(
        (r.threads, r.batch, r.sequence_length)
        for series in machine.series
        for r in series.measured
        if r.kind == "latency"
    )
    if not shapes:
        return None
    threads, batch, length = max(shapes, key=lambda s: (shapes[s], -s[0], -s[1], s[2]))
    return View(machine, threads, batch, length, tuple(_points(machine.series, threads, batch, length)))


def _points(series: Sequence[Series], threads: int, batch: int, length: int) -> list[Point]:
    found = []
    for own in series:
        record = own.at(batch, length)
        if record is not None and record.threads == threads:
            scored = own.scored
            score = None if scored is None or scored.score is None else 100 * scored.score
            found.append(Point(own.label, record, latency(record), score))
    return found
