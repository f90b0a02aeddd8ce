"""The figures of two records of one file, and whether they differ by more than chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from device_bench.grouping import latency
from device_bench.losses import Loss, loss, score_interval, square_and_add
from device_bench.records import Measurement
from device_bench.stats import Interval
from device_bench.summary import MISSING
from edgepress.core.errors import EdgepressError
from edgepress.core.intervals import points_text
from edgepress.core.option_values import require_numbers

# A file's size differs by the names and versions that are written into it, from one export to the next.
SIZE_NOISE = 1e-4


@dataclass(frozen=True)
class Margins:
    """Thresholds from which on a difference counts as a change."""

    threshold: float = 0.0
    """Share of the old value, beyond the intervals; of all figures but scores."""
    max_drop: float = 0.0
    """Points that a score may lose, beyond its interval."""
    memory_noise: float = 0.0
    """Width of peak memory's band, as a share of it."""

    def check(self) -> None:
        """Raise for a share that is none.

        Raises:
            EdgepressError: there is one.
        """
        if self.threshold > 1:
            share = f"{100 * self.threshold:.0f} % of it"
            raise EdgepressError(
                f"--threshold {self.threshold:g} is a share of the old value: {share}",
                f"--threshold {self.threshold / 100:g} is {self.threshold:g} %",
            )
        require_numbers(type(self), vars(self))


@dataclass(frozen=True)
class Change:
    """A figure that changed."""

    subject: str
    figure: str
    before: str
    after: str
    change: str
    worse: bool
    missing: bool = False
    """Whether the newer measurement does not have it."""
    timed: bool = False
    """Whether it is of times, which a busy machine changes."""

    @property
    def verdict(self) -> str:
        return "missing" if self.missing else "worse" if self.worse else "better"


@dataclass(frozen=True)
class Figure:
    """A figure of a record, with what chance does to it."""

    name: str
    interval: Interval
    form: str
    scale: float = 1.0
    more_is_better: bool = False
    noise: float | None = None
    """Share of the value that two measurements differ by in any case; None: the intervals say it."""
    scored: Measurement | None = None
    """Record of a score, which is compared by its difference; other figures are compared by their ratio."""

    of_file: bool = False
    """Whether it is the same at every shape."""
    timed: bool = False
    """Whether it is of times."""

    @property
    def text(self) -> str:
        own = self.interval
        values = [self.form.format(value / self.scale) for value in (own.value, own.low, own.high)]
        return values[0] if own.low == own.high else f"{values[0]} [{values[1]}, {values[2]}]"


def compare_records(before: Measurement, after: Measurement, margins: Margins) -> Iterator[Change]:
    """The figures whose change has a 95 % interval without zero, and is beyond the threshold; and those that
    are missing now.
    """
    if after.error or before.error:
        if bool(after.error) != bool(before.error):
            now = ("ran", f"failed: {after.error}") if after.error else (f"failed: {before.error}", "runs")
            yield Change(_subject(after), "run", *now, "", worse=bool(after.error))
        return
    yield from changes(with_figures(before, margins), with_figures(after, margins), margins)


def with_figures(record: Measurement, margins: Margins) -> tuple[Measurement, list[Figure]]:
    """A record with the figures that are compared on one machine."""
    return record, [*_figures(record, margins)]


@dataclass(frozen=True)
class Doubt:
    """A figure that did not change, as far as its measurements can show."""

    subject: str
    figure: str
    worst: float
    """Share of the old value that it may be worse by; of a score the points, as a share of 100."""
    allowed: float
    """How much of that is no change."""
    words: str
    """How much worse it may be: a score by points, other figures by their share."""


def doubts(
    before: tuple[Measurement, Sequence[Figure]],
    after: tuple[Measurement, Sequence[Figure]],
    margins: Margins,
) -> Iterator[Doubt]:
    """Yield the figures of two records that are not known to have changed, and how much worse each may be.

    Args:
        before, after, margins: as `changes` takes them.
    """
    ours = {figure.name: figure for figure in after[1]}
    for old in before[1]:
        new = ours.get(old.name)
        if new is not None and old.noise is None and not _changed(old, new, margins):
            words = f"{100 * worst(old, new):.1f} %"
            found, allowed = worst(old, new), margins.threshold
            if old.scored is not None:
                found, allowed = found * _whole(old), margins.max_drop / 100
                words = points_text(100 * found)
            yield Doubt(_subject(after[0], old), old.name, found, allowed, words)


def changes(
    before: tuple[Measurement, Sequence[Figure]],
    after: tuple[Measurement, Sequence[Figure]],
    margins: Margins,
) -> Iterator[Change]:
    """Yield the figures that differ between two records, and those that the second one lacks.

    Args:
        before, after: each record, with its figures.
        margins: thresholds of a change.
    """
    ours = {figure.name: figure for figure in after[1]}
    for old in before[1]:
        new = ours.get(old.name)
        if new is None:
            subject = _subject(before[0], old)
            yield Change(subject, old.name, old.text, MISSING, "", worse=True, missing=True)
        elif _changed(old, new, margins):
            yield _change(_subject(after[0], old), old, new)


def not_measured_again(record: Measurement) -> Change:
    """Say that the newer measurement has no record of this file at this shape."""
    was = "failed" if record.error else "ran"
    return Change(_subject(record), "run", was, MISSING, "", worse=not record.error, missing=True)


def _subject(record: Measurement, figure: Figure | None = None) -> str:
    """What a figure is of: the file, or the file at a shape."""
    return record.name if figure and figure.of_file else f"{record.name}, {shape_text(record)}"


def _change(subject: str, old: Figure, new: Figure) -> Change:
    rise = new.interval.value - old.interval.value
    share = f"{100 * rise / old.interval.value:+.1f} %" if old.interval.value else ""
    lost = loss_of(old, new)
    said = points_text(-lost.points, sign="+") if lost else share
    return Change(
        subject, new.name, old.text, new.text, said, worse=(rise > 0) != new.more_is_better, timed=new.timed
    )


def loss_of(old: Figure, new: Figure) -> Loss | None:
    """What a score lost; None for other figures."""
    return loss(old.scored, new.scored) if old.scored and new.scored else None


def _changed(old: Figure, new: Figure, margins: Margins) -> bool:
    own = difference(old, new)
    if own.low <= 0 <= own.high:
        return False
    if old.scored is None:
        return abs(own.value) > margins.threshold
    return own.value > 0 or -100 * own.value * _whole(old) > margins.max_drop


def _whole(old: Figure) -> float:
    """What a difference is a share of: the old value (a correlation may be below 0), 1 where that is 0."""
    return abs(old.interval.value) or 1.0


def difference(old: Figure, new: Figure) -> Interval:
    """Return the increase of a figure as a share of the old value, with its 95 % interval.

    Times, memory and sizes are of independent measurements, and the interval comes from the interval of each
    (`losses.square_and_add`), of logarithms where the ratio counts. Two intervals may overlap although their
    difference is clear: at equal widths they lie apart only from 1.4 times that difference on. Scores on the
    same texts are paired text by text where the records keep what each text adds (`losses.loss`).

    Where the old value is 0, there is no share of it: the new value with its interval is returned.
    """
    before, after = old.interval, new.interval
    lost = loss_of(old, new)
    if lost is not None and lost.bounds is not None:
        return Interval(*(-end / _whole(old) for end in (lost.value, lost.bounds.high, lost.bounds.low)))
    if not before.value:
        return Interval(after.value, after.low, after.high)
    share = after.value / before.value - 1
    if old.noise is not None:
        return Interval(share, share - old.noise, share + old.noise)
    if old.scored is None and min(before.low, after.low) > 0:
        ends = square_and_add(*(_logarithms(own) for own in (before, after)))
        return Interval(*(math.expm1(end) for end in (ends.value, ends.low, ends.high)))
    ends = square_and_add(before, after)
    return Interval(*(end / abs(before.value) for end in (ends.value, ends.low, ends.high)))


def _logarithms(own: Interval) -> Interval:
    return Interval(*map(math.log, (own.value, own.low, own.high)))


def worst(old: Figure, new: Figure) -> float:
    """Return the share by which a figure may have become worse: the worse end of `difference`."""
    own = difference(old, new)
    return -own.low if new.more_is_better else own.high


def _figures(record: Measurement, margins: Margins) -> Iterator[Figure]:
    if record.all_samples_ms:
        yield Figure("median [ms]", latency(record), "{:.2f}", timed=True)
    memory = record.peak_memory_bytes
    if memory:
        half = margins.memory_noise / 2
        spread = Interval(memory, memory * (1 - half), memory * (1 + half))
        yield Figure("peak memory [MB]", spread, "{:.0f}", 1e6, noise=margins.memory_noise)
    yield from lasting_figures(record)


def lasting_figures(record: Measurement) -> Iterator[Figure]:
    """The figures that another machine does not change, or should not: size and score."""
    size = Interval(record.size_bytes, record.size_bytes, record.size_bytes)
    yield Figure("size [MB]", size, "{:.2f}", 1e6, noise=SIZE_NOISE, of_file=True)
    if record.score is not None:
        label, own = f"{record.metric or 'score'} [%]", score_interval(record)
        yield Figure(label, own, "{:.2f}", 0.01, more_is_better=True, scored=record, of_file=True)


def shape_text(record: Measurement) -> str:
    """Describe the shape and threads that a record was measured at."""
    if record.kind == "pass":
        return f"pass over {record.rows} texts, batch {record.batch}, padding {record.padding}"
    plural = "s" * (record.threads != 1)
    return f"batch {record.batch}, {record.sequence_length} tokens, {record.threads} thread{plural}"
