"""Data that the charts of a section show: its files at the shape at which most of them were measured."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from device_bench.grouping import RecordGroup, Section, latency, shape
from device_bench.losses import Loss
from device_bench.records import Measurement
from device_bench.stats import Interval


@dataclass(frozen=True)
class Point:
    """A file at the shape that the charts share."""

    label: str
    record: Measurement
    latency: Interval
    score: float | None
    """Score of the file [%]."""
    bounds: Interval | None
    """The score with its 95 % interval [%], where that is known."""
    speed_up: Interval | None
    """Times as fast as the section's baseline."""
    loss: Loss | None
    """Loss of score against that baseline."""
    is_baseline: bool

    @property
    def megabytes(self) -> float:
        return self.record.size_bytes / 1e6


@dataclass(frozen=True)
class View:
    """Data that the charts of one section show."""

    section: Section
    threads: int
    batch: int
    sequence_length: int
    artifact: str
    """The artifact that all files are of, left out of their labels; empty where they are of several."""
    points: tuple[Point, ...]
    latencies: tuple[tuple[str, tuple[Measurement, ...]], ...]
    """Label and latencies at every shape, of the files with this number of threads."""
    failed: tuple[str, ...]
    """Labels of the files that were not measured at all."""

    @property
    def conditions(self) -> str:
        """Conditions under which the points were measured."""
        return f"batch {self.batch}, {self.sequence_length} tokens, {self.thread_count}"

    @property
    def thread_count(self) -> str:
        return f"{self.threads} thread{'s' * (self.threads != 1)}"

    def absent(self, shown: Collection[str]) -> str:
        """Say which files are missing from a chart that shows these, and why; empty where none is."""
        others = [label for label, _ in self.latencies if label not in shown]
        parts = {"not measured so": others, "failed": self.failed}
        return "; ".join(f"{why}: {', '.join(labels)}" for why, labels in parts.items() if labels)

    @property
    def score_label(self) -> str:
        """Metric and task of the scores; empty where nothing was scored, or not all on one task."""
        own = [s.scored for s in self.section.series if s.scored is not None]
        kinds = {(record.metric or "score", record.task) for record in own}
        if len(kinds) != 1:
            return ""
        metric, task = kinds.pop()
        return f"{metric} on {task} [%]" if task else f"{metric} [%]"

    def front(self) -> list[Point]:
        """Files that no other beats: none is as small and as fast, and as accurate where all are scored."""
        return [own for own in self.points if not any(_beats(other, own) for other in self.points)]

    @property
    def baseline(self) -> str:
        """Label of the file that speed-ups are over; empty where none with these threads is it."""
        return next((own.label for own in self.points if own.is_baseline), "")

    def speed_ups(self) -> list[tuple[Point, Interval]]:
        """The files that were measured in turn with the baseline, and their ratios to it."""
        return [(own, own.speed_up) for own in self.points if own.speed_up is not None]

    def compared(self) -> list[Point]:
        """Points with a speed-up, and the one that they are compared with."""
        return [own for own in self.points if own.speed_up is not None or own.is_baseline]


def _beats(other: Point, own: Point) -> bool:
    costs = [(other.megabytes, own.megabytes), (other.latency.value, own.latency.value)]
    if other.score is not None and own.score is not None:
        costs.append((-other.score, -own.score))
    return all(a <= b for a, b in costs) and any(a < b for a, b in costs)


def view(section: Section) -> View | None:
    """The section at the shape that most files have; None where no latency was measured.

    Among equals it is the smallest batch, and the length that is nearest to that of the task's texts; the
    longest where nobody noted that.
    """
    shapes = Counter(
        (r.threads, r.batch, r.sequence_length)
        for series in section.series
        for r in series.measured
        if r.kind == "latency"
    )
    if not shapes:
        return None
    texts = next((record.text_length for record in section.records if record.text_length), 0)
    threads, batch, length = max(
        shapes, key=lambda s: (shapes[s], -s[0], -s[1], -abs(s[2] - texts) if texts else s[2])
    )
    series = [own for own in section.series if own.records[0].threads == threads]
    names, artifact = _short([own.label for own in series], threads)
    named = list(zip(names, series, strict=True))
    latencies = [(name, tuple(r for r in own.measured if r.kind == "latency")) for name, own in named]
    return View(
        section=section,
        threads=threads,
        batch=batch,
        sequence_length=length,
        artifact=artifact,
        points=tuple(_points(section, named, batch, length)),
        latencies=tuple((name, found) for name, found in latencies if found),
        failed=tuple(name for name, own in named if not own.measured),
    )


def _short(labels: Sequence[str], threads: int) -> tuple[list[str], str]:
    """The labels without what they share (threads, the artifact's name), and that name."""
    plain = [label.removesuffix(f", {threads} thr.") for label in labels]
    folders = {label.rpartition("/")[0] for label in plain}
    if len(plain) > 1 and len(folders) == 1:
        return [label.rpartition("/")[2] for label in plain], folders.pop()
    return plain, ""


def _points(
    section: Section, named: Sequence[tuple[str, RecordGroup]], batch: int, length: int
) -> Iterator[Point]:
    for name, own in named:
        record = own.at(batch, length)
        if record is not None:
            yield Point(
                name,
                record,
                latency(record),
                *_score(own.scored),
                section.speed_up(own, shape(record)),
                section.loss(own),
                own.is_of(section.baseline),
            )


def _score(record: Measurement | None) -> tuple[float | None, Interval | None]:
    """Score and its interval [%]."""
    if record is None or record.score is None:
        return None, None
    score = 100 * record.score
    if record.score_interval is None:
        return score, None
    low, high = record.score_interval
    # A bootstrap's ends need not enclose the score, and no whisker has a length below 0.
    return score, Interval(score, min(100 * low, score), max(100 * high, score))
