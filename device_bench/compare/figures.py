"""The figures of two records of one file, and whether they differ by more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from device_bench.grouping import latency
from device_bench.records import Measurement
from device_bench.stats import Interval
from device_bench.summary import MISSING


@dataclass(frozen=True)
class Margins:
    """What counts as a change."""

    threshold: float = 0.0
    """Share of the old value, beyond the intervals."""
    memory_noise: float = 0.0
    """Width of peak memory's band, as a share of it."""


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

    @property
    def text(self) -> str:
        own = self.interval
        values = [self.form.format(value / self.scale) for value in (own.value, own.low, own.high)]
        return values[0] if own.low == own.high else f"{values[0]} [{values[1]}, {values[2]}]"


def compare_records(before: Measurement, after: Measurement, margins: Margins) -> Iterator[Change]:
    """The figures whose intervals lie apart, and by more than the threshold; and those that are missing now.

    Two 95 % intervals that do not overlap: stricter than a test at 5 %, as suits many figures at once.
    """
    if after.error or before.error:
        if bool(after.error) != bool(before.error):
            now = ("ran", f"failed: {after.error}") if after.error else (f"failed: {before.error}", "runs")
            yield Change(_subject(after), "run", *now, "", worse=bool(after.error))
        return
    ours, theirs = ((record, [*_figures(record, margins)]) for record in (before, after))
    yield from changes(ours, theirs, margins)


def changes(
    before: tuple[Measurement, Sequence[Figure]],
    after: tuple[Measurement, Sequence[Figure]],
    margins: Margins,
) -> Iterator[Change]:
    """Which figures of two records lie apart, and which the second lacks.

    Args:
        before, after: each record, with its figures.
        margins: what counts as a change.
    """
    ours = {figure.name: figure for figure in after[1]}
    for old in before[1]:
        new = ours.get(old.name)
        if new is None:
            yield Change(_subject(before[0]), old.name, old.text, MISSING, "", worse=True, missing=True)
        elif _apart(old.interval, new.interval, margins.threshold):
            yield _change(_subject(after[0]), old, new)


def not_measured_again(record: Measurement) -> Change:
    """Say that the newer measurement has no record of this file at this shape."""
    was = "failed" if record.error else "ran"
    return Change(_subject(record), "run", was, MISSING, "", worse=not record.error, missing=True)


def _subject(record: Measurement) -> str:
    return f"{record.name}, {_shape_text(record)}"


def _change(subject: str, old: Figure, new: Figure) -> Change:
    rise = new.interval.value - old.interval.value
    share = f"{rise / old.interval.value:+.1%}" if old.interval.value else ""
    return Change(subject, new.name, old.text, new.text, share, worse=(rise > 0) != new.more_is_better)


def _apart(old: Interval, new: Interval, threshold: float) -> bool:
    gap = max(new.low - old.high, old.low - new.high)
    return gap > 0 and abs(new.value - old.value) > threshold * abs(old.value)


def _figures(record: Measurement, margins: Margins) -> Iterator[Figure]:
    if record.all_samples_ms:
        yield Figure("median [ms]", latency(record), "{:.2f}")
    memory = record.peak_memory_bytes
    if memory:
        half = margins.memory_noise / 2
        spread = Interval(memory, memory * (1 - half), memory * (1 + half))
        yield Figure("peak memory [MB]", spread, "{:.0f}", 1e6)
    yield from lasting_figures(record)


def lasting_figures(record: Measurement) -> Iterator[Figure]:
    """The figures that another machine does not change, or should not: size and score."""
    yield Figure(
        "size [MB]", Interval(record.size_bytes, record.size_bytes, record.size_bytes), "{:.2f}", 1e6
    )
    if record.score is not None:
        label = f"{record.metric or 'score'} [%]"
        yield Figure(label, _score_interval(record), "{:.2f}", 0.01, more_is_better=True)


def _score_interval(record: Measurement) -> Interval:
    """The recorded interval; else Wilson's (1927) for a share of rows.

    An approximation of 95 % for accuracy, close also near 0 and 1 (Brown, Cai and DasGupta 2001); a guide for
    other metrics of 0..1. Records keep no decision of a single text, so no paired test can be made.
    """
    score = float(record.score or 0.0)
    if record.score_interval is not None:
        return Interval(score, *record.score_interval)
    if not record.scored_rows or not 0 <= score <= 1:
        return Interval(score, score, score)
    right = round(score * record.scored_rows)
    found = binomtest(right, record.scored_rows).proportion_ci(method="wilson")
    return Interval(score, min(score, found.low), max(score, found.high))


def _shape_text(record: Measurement) -> str:
    if record.kind == "pass":
        return f"pass over {record.rows} texts, batch {record.batch}, padding {record.padding}"
    plural = "s" * (record.threads != 1)
    return f"batch {record.batch}, {record.sequence_length} tokens, {record.threads} thread{plural}"
