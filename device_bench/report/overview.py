"""The answer that a page begins with: which file to ship, and a line a file of what each costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_bench.charts.view import Point, View, view
from device_bench.choice import Minimize, RatedFile, Recommendation, cold_start_ms
from device_bench.grouping import Section
from device_bench.peak import in_words
from device_bench.report.content import (
    FILE,
    MISSING,
    PEAK,
    Cell,
    Heading,
    ends,
    loss_cells,
    number,
    peak_cell,
)
from device_bench.report.lineage import Lineage

MOST_NAMES = 2
"""Models that the page's heading names."""
HEADINGS = (
    FILE,
    "size [MB]",
    "score [%]",
    "95 % interval",
    "loss [points]",
    "95 % interval",
    "median [ms]",
    "speed-up",
    "95 % interval",
    PEAK,
    "cold start [ms]",
    "memory [MB]",
    "runtime [MB]",
)


@dataclass(frozen=True)
class OverviewLine:
    """A file as a line of the overview."""

    cells: tuple[Cell, ...]
    chosen: bool
    front: bool
    """Whether no other file is as small, as fast and as accurate."""


@dataclass(frozen=True)
class Overview:
    """What a section comes to."""

    sentence: str
    conditions: str
    headings: tuple[Heading, ...]
    lines: tuple[OverviewLine, ...]


def page_title(sections: Sequence[Section], artifacts: Sequence[Lineage]) -> str:
    """Name the models of a page: as their artifacts have it, else by artifact, else by file."""
    records = [record for section in sections for record in section.records]
    for names in (
        [Path(own.manifest.model.name).name for own in artifacts],
        [record.artifact for record in records],
        [record.file for record in records],
    ):
        known = list(dict.fromkeys(name for name in names if name))
        if known:
            break
    more = len(known) - MOST_NAMES
    shown = known[:MOST_NAMES] if more > 0 else known
    return " and ".join(shown) if more <= 0 else f"{', '.join(shown)} and {more} more"


def overview(section: Section, max_drop: float, minimize: Minimize) -> Overview | None:
    """The files of a section at the shape that they share; None where no latency was measured.

    Args:
        section: of one machine and task.
        max_drop: largest loss of the file to ship against the baseline [points].
        minimize: what decides among the files within it.
    """
    own = view(section)
    if own is None:
        return None
    choice = _recommendation(own, max_drop, minimize)
    front = own.front()
    found = [
        OverviewLine(
            tuple(_cells(point)),
            choice.chosen is not None and point.label == choice.chosen.label,
            any(point is other for other in front),
        )
        for point in own.points
    ]
    kept = [at for at in range(len(HEADINGS)) if any(line.cells[at].text != MISSING for line in found)]
    return Overview(
        choice.sentence(),
        _conditions(own),
        tuple(Heading(HEADINGS[at], HEADINGS[at] == FILE) for at in kept),
        tuple(OverviewLine(tuple(line.cells[at] for at in kept), line.chosen, line.front) for line in found),
    )


def _recommendation(own: View, max_drop: float, minimize: Minimize) -> Recommendation:
    base = next((point for point in own.points if point.is_baseline), None)
    scored = base is not None and base.score is not None and bool(own.score_label)
    points = f"{max_drop:g} point{'s' * (max_drop != 1)}"
    limit = f"{points} of {_metric(own)} against {own.baseline}" if scored else ""
    return Recommendation(
        [_rated(point, base if scored else None, max_drop) for point in own.points],
        own.baseline,
        limit,
        str(own.points[0].record.environment.get("cpu") or own.section.machine),
        minimize,
    )


def _metric(own: View) -> str:
    return own.score_label.removesuffix(" [%]")


def _rated(point: Point, base: Point | None, max_drop: float) -> RatedFile:
    """A file, its loss against the baseline; without one, or without scores, none is known."""
    lost = point.loss
    kept = base is None or point is base or (lost is not None and lost.points <= max_drop)
    return RatedFile(
        point.label,
        point.record.size_bytes,
        within=kept,
        loss=lost.points if lost else None,
        loss_interval=lost.interval if lost else "",
        record=point.record,
        latency_ms=point.latency.value,
        speed_up=point.speed_up,
    )


def _cells(point: Point) -> Iterator[Cell]:
    record, ratio, score = point.record, point.speed_up, point.score
    yield Cell(point.label)
    yield number(point.megabytes, "{:.1f}")
    yield Cell(MISSING) if score is None else Cell(f"{score:.2f}", score)
    yield ends(record.score_interval)
    yield from loss_cells(point.loss)
    yield number(point.latency.value, "{:.2f}")
    yield Cell(MISSING) if ratio is None else Cell(f"{ratio.value:.2f}x", ratio.value)
    yield Cell(MISSING) if ratio is None else Cell(f"{ratio.low:.2f} to {ratio.high:.2f}", ratio.half_width)
    yield peak_cell(record)
    yield number(cold_start_ms(record), "{:.0f}")
    yield number(record.peak_memory_bytes / 1e6, "{:.0f}")
    yield number(record.runtime_bytes / 1e6, "{:.0f}")


def _conditions(own: View) -> str:
    """What the overview's figures were measured at, and what the machine can do."""
    peak = next((point.record.peak for point in own.points if point.record.peak), None)
    run = max((point.record.operations for point in own.points), default=0)
    what = "speed-ups and losses" if any(point.loss for point in own.points) else "speed-ups"
    parts = [own.conditions, f"{what} against {own.baseline}" if own.baseline else ""]
    parts += [in_words(peak), f"a run: {run / 1e9:.2f} GFLOP"] if peak else []
    absent = own.absent([point.label for point in own.points])
    return "; ".join(part for part in (*parts, absent) if part)
