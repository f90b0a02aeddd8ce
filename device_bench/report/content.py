"""Content of the page, as the template takes it."""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from device_bench.charts import draw
from device_bench.charts.draw import Chart
from device_bench.charts.theme import THEMES
from device_bench.grouping import Section, latency, shape
from device_bench.losses import UNPAIRED, Loss
from device_bench.peak import shares_of_peak
from device_bench.records import Measurement
from device_bench.report.lineage import Lineage, changed
from device_bench.stats import Interval
from device_bench.waiting import busy_machine
from edgepress.core.artifact import Step
from edgepress.core.errors import EdgepressError, first_line

MISSING = "–"  # noqa: RUF001
CLAIM_KEYS = (
    "claim",
    "verdict",
    "comparison",
    "published",
    "ours",
    "interval",
    "measured_text",
    "source",
    "command",
)


@dataclass(frozen=True)
class Cell:
    """Text of a table cell, and the number that it is sorted by."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class ReportLine:
    """A record as a line of a table."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    error: str


FILE = "file"
# Said once above the table where all of its lines have the same.
IN_WORDS = ("artifact", "runtime", "kind")
SHAPE = ("threads", "batch", "tokens")
PEAK = "share of peak [%]"
HEADINGS = (
    FILE,
    *IN_WORDS,
    *SHAPE,
    "median [ms]",
    "95 % interval",
    "speed-up",
    "95 % interval",
    "p95 [ms]",
    "p99 [ms]",
    "rows/s",
    "load [ms]",
    "first run [ms]",
    PEAK,
    "memory [MB]",
    "size [MB]",
    "score [%]",
    "95 % interval",
    "loss [points]",
    "95 % interval",
)


@dataclass(frozen=True)
class Heading:
    """A column's heading; columns of numbers are sorted as numbers."""

    text: str
    in_words: bool


@dataclass(frozen=True)
class ReportTable:
    """The records of a section: what all lines have in common, and the rest in columns."""

    common: str
    headings: tuple[Heading, ...]
    lines: tuple[ReportLine, ...]


def table(section: Section, artifacts: Sequence[Lineage]) -> ReportTable:
    """A line for each record, failed ones too, in the columns that say something."""
    found = tuple(_lines(section, artifacts))
    columns = [[line.cells[index].text for line in found] for index in range(len(HEADINGS))]
    common = {
        index: texts[0]
        for index, texts in enumerate(columns)
        if HEADINGS[index] in (*IN_WORDS, *SHAPE) and len(set(texts)) == 1
    }
    empty = {index for index, texts in enumerate(columns) if set(texts) == {MISSING}}
    kept = [index for index in range(len(HEADINGS)) if index not in common.keys() | empty]
    said = [f"{HEADINGS[index]} {text}" for index, text in common.items() if index not in empty]
    return ReportTable(
        ", ".join(said),
        tuple(Heading(HEADINGS[index], HEADINGS[index] in (FILE, *IN_WORDS)) for index in kept),
        tuple(replace(line, cells=tuple(line.cells[index] for index in kept)) for line in found),
    )


def baseline(section: Section) -> str:
    """Label of the file that speed-ups and losses are against."""
    return next(own.label for own in section.series if own.is_of(section.baseline))


def _lines(section: Section, artifacts: Sequence[Lineage]) -> Iterator[ReportLine]:
    for series in section.series:
        for record in series.records:
            own = changed(record, artifacts)
            first = ("the baseline",) if series.is_of(section.baseline) else ()
            busy = busy_machine([record])
            notes = (*first, *((own,) if own else ()), *record.warnings, *((busy,) if busy else ()))
            lost = section.loss(series) if record.score is not None else None
            cells = _cells(series.label, record, section.speed_up(series, shape(record)), lost)
            yield ReportLine(tuple(cells), notes, record.error)


def _cells(label: str, record: Measurement, speed_up: Interval | None, lost: Loss | None) -> Iterator[Cell]:
    kind = "latency" if record.kind == "latency" else f"pass of {record.rows}, padding {record.padding}"
    for text in (label, record.artifact or MISSING, record.runtime or MISSING, kind):
        yield Cell(text)
    for size in (record.threads, record.batch, record.sequence_length):
        yield number(size, "{:.0f}")
    yield from _times(record, speed_up)
    yield number(record.load_ms, "{:.0f}")
    yield number(record.first_forward_ms, "{:.1f}")
    yield peak_cell(record)
    yield number(record.peak_memory_bytes / 1e6, "{:.0f}")
    yield number(record.size_bytes / 1e6, "{:.1f}")
    yield Cell(MISSING) if record.score is None else Cell(f"{100 * record.score:.2f}", record.score)
    yield ends(record.score_interval)
    yield from loss_cells(lost)


def loss_cells(lost: Loss | None) -> tuple[Cell, Cell]:
    """The loss against the baseline [points] and its interval, marked where it is not paired."""
    if lost is None:
        return Cell(MISSING), Cell(MISSING)
    own = Cell(f"{lost.points:.2f}", lost.points)
    if lost.bounds is None:
        return own, Cell(MISSING)
    interval = ends((lost.bounds.low, lost.bounds.high))
    return own, replace(interval, text=f"{interval.text}, {UNPAIRED}") if lost.unpaired else interval


def peak_cell(record: Measurement) -> Cell:
    """The share of the peak of the file's precision that it reaches."""
    shares = [100 * share for share in shares_of_peak(record).values()]
    return Cell(" / ".join(f"{share:.0f}" for share in shares), shares[0]) if shares else Cell(MISSING)


def ends(interval: tuple[float, ...] | None) -> Cell:
    if interval is None:
        return Cell(MISSING)
    low, high = interval
    return Cell(f"{100 * low:.1f} to {100 * high:.1f}", high - low)


def _times(record: Measurement, speed_up: Interval | None) -> Iterator[Cell]:
    samples = record.all_samples_ms
    if not samples:
        yield from [Cell(MISSING)] * 7
        return
    middle = latency(record)
    yield number(middle.value, "{:.2f}")
    yield Cell(f"{middle.low:.2f} to {middle.high:.2f}", middle.half_width)
    yield Cell(MISSING) if speed_up is None else Cell(f"{speed_up.value:.2f}x", speed_up.value)
    interval = "" if speed_up is None else f"{speed_up.low:.2f} to {speed_up.high:.2f}"
    yield Cell(interval or MISSING, speed_up.half_width if speed_up else None)
    for tail in np.percentile(samples, [95, 99]).tolist():
        yield number(tail, "{:.2f}")
    rows = record.rows if record.kind == "pass" else record.batch
    yield number(1000 * rows / middle.value, "{:.1f}")


def number(value: float, form: str) -> Cell:
    """0 where it was not measured."""
    return Cell(form.format(value), value) if value else Cell(MISSING)


def environments(section: Section) -> list[dict[str, str]]:
    """The different ones under which the section's records were taken (versions may differ)."""
    found = {json.dumps(record.environment, sort_keys=True): record.environment for record in section.records}
    return [{key: _plain(value) for key, value in own.items()} for own in found.values()]


def settings_and_metrics(step: Step) -> dict[str, str]:
    """Return a step's settings and metrics by name, in words."""
    return {name: _plain(value) for name, value in (*step.config.items(), *step.metrics.items())}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(own)}" for key, own in value.items())
    if isinstance(value, (list, tuple)):
        if any(isinstance(own, dict) for own in value):
            return f"{len(value)} entries, see manifest.json"
        return ", ".join(map(_plain, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return MISSING if value is None else str(value)


def picture(chart: Chart) -> dict[str, str]:
    """A chart as data URIs, one a theme; as images, so that ids within two of them cannot meet."""
    drawn = {theme.name: draw.picture(figure, "svg") for theme, figure in chart.in_each([*THEMES.values()])}
    sources = {
        name: f"data:image/svg+xml;base64,{base64.b64encode(own).decode()}" for name, own in drawn.items()
    }
    return {"title": chart.title, "conditions": chart.conditions, **sources}


def read_claims(path: Path) -> list[dict[str, str]]:
    """The claims, every key present; what is missing is said to be.

    Raises:
        EdgepressError: no such file, or not a JSON list of objects.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [{key: _plain(claim.get(key)) for key in CLAIM_KEYS} for claim in content]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise EdgepressError(
            f"cannot read claims from {path}: {first_line(error)}",
            "python -m device_bench claims --output claims.json writes them",
        ) from error
