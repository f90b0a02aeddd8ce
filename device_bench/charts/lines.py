"""Latency over a shape: a line a file, in as many panels as keep the lines apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from device_bench.charts.axis import CUT, log_limits, log_ticks, mark_cut, with_room
from device_bench.charts.labels import FONT_SIZE, wrap
from device_bench.charts.theme import MARKERS, PALETTE, WIDTH_INCHES, Theme
from device_bench.charts.view import View
from device_bench.grouping import latency
from device_bench.records import Measurement
from device_bench.stats import Interval

PANEL_INCHES, LEGEND_LINE, FRAME = 2.5, 0.17, 0.75
SINGLE_INCHES = 3.4
MARGINS = 0.8
"""Inches of a panel's width that are not its x axis."""
LEGEND_WIDTH = 52
"""Characters that half the chart's width has room for."""
Read = Callable[[Measurement], int]


@dataclass(frozen=True)
class Curve:
    """The line of one file."""

    label: str
    x: tuple[int, ...]
    y: tuple[Interval, ...]


@dataclass(frozen=True)
class Lines:
    """Curves of all files of a machine, over one dimension of the shape."""

    label: str
    """Label of the x axis."""
    lines: tuple[Curve, ...]

    @property
    def panels(self) -> list[list[Curve]]:
        """The curves of each panel, at most as many as the palette has colours, in the order of the files."""
        count = -(-len(self.lines) // len(PALETTE))
        return [[self.lines[i] for i in part] for part in np.array_split(range(len(self.lines)), count)]

    @property
    def columns(self) -> int:
        """Number of columns of panels."""
        return min(2, len(self.panels))

    @property
    def height(self) -> float:
        """Height of the chart [inches]."""
        rows = -(-len(self.panels) // self.columns)
        named = max(sum(_legend_label(line).count("\n") + 1 for line in panel) for panel in self.panels)
        plot = PANEL_INCHES if self.columns > 1 else SINGLE_INCHES
        return FRAME + rows * (plot + LEGEND_LINE * named)

    def paint(self, figure: Figure, theme: Theme) -> None:
        """A panel a group of files, the other files' lines in grey behind them."""
        rows = -(-len(self.panels) // self.columns)
        grid = figure.subplots(rows, self.columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(self.panels) :]:
            axes.axis("off")
        for axes, panel in zip(grid.flat, self.panels, strict=False):
            others = [
                [(x, y.value) for x, y in zip(line.x, line.y, strict=True)]
                for line in self.lines
                if not any(line is own for own in panel)
            ]
            axes.add_collection(LineCollection(others, colors=theme.grid, linewidths=1.2, zorder=1))
            _panel(axes, panel)
            axes.tick_params(labelleft=True, labelbottom=True)
        self._finish(grid)
        marked = [_mark_cut(axes, panel) for axes, panel in zip(grid.flat, self.panels, strict=False)]
        label = "median latency [ms], 95 % interval" + (CUT if any(marked) else "")
        figure.supylabel(label, fontsize=9.5, color=theme.muted)

    def _finish(self, grid: np.ndarray) -> None:
        """Scales, which the panels share, and their ticks."""
        shown = sorted({x for line in self.lines for x in line.x})
        ticks = with_room(shown, WIDTH_INCHES / self.columns - MARGINS)
        limits = log_limits([y for line in self.lines for y in line.y])
        grid[0, 0].set(xscale="log", yscale="log", ylim=limits)
        log_ticks(grid[0, 0].yaxis)
        grid[0, 0].xaxis.set_minor_locator(NullLocator())
        grid[0, 0].xaxis.set_minor_formatter(NullFormatter())
        grid[0, 0].set_xticks(ticks, [str(tick) for tick in ticks])
        for axes in grid[-1]:
            axes.set_xlabel(self.label)


def _legend_label(line: Curve) -> str:
    return wrap(line.label, LEGEND_WIDTH)


def _panel(axes: Axes, panel: Sequence[Curve]) -> None:
    """Draw the lines of a panel; the slowest file's name is on top, as its line is."""
    for index, line in enumerate(panel):
        look: Any = {"color": PALETTE[index], "zorder": 3}
        middle = [y.value for y in line.y]
        axes.plot(line.x, middle, MARKERS[index] + "-", markersize=5, label=_legend_label(line), **look)
        axes.fill_between(line.x, [y.low for y in line.y], [y.high for y in line.y], alpha=0.25, **look)
    slowest_first = np.argsort([-line.y[-1].value for line in panel], kind="stable")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        [handles[i] for i in slowest_first],
        [labels[i] for i in slowest_first],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        fontsize=FONT_SIZE,
        labelspacing=0.25,
        borderaxespad=0.2,
        borderpad=0,
    )


def _mark_cut(axes: Axes, panel: Sequence[Curve]) -> bool:
    found = [
        mark_cut(axes, "y", list(zip(line.x, line.y, strict=True)), PALETTE[index])
        for index, line in enumerate(panel)
    ]
    return any(found)


def by_length(own: View) -> Lines | None:
    """Latency against sequence length at the batch that has most lengths; None where none has two."""
    batch = most_varied(own, _batch, _length)
    if batch is None:
        return None
    return _lines(own, _batch, batch, _length, f"sequence length [tokens], batch {batch}")


def by_batch(own: View) -> Lines | None:
    """Latency of a whole batch against its size, at the length that has most sizes; None likewise."""
    length = most_varied(own, _length, _batch)
    if length is None:
        return None
    return _lines(own, _length, length, _batch, f"batch size [rows], {length} tokens")


def most_varied(own: View, fixed: Read, what: Read) -> int | None:
    """The value of `fixed` at which `what` has most values, the smallest of equals; None if one each."""
    values: dict[int, set[int]] = {}
    for _, records in own.latencies:
        for record in records:
            values.setdefault(fixed(record), set()).add(what(record))
    best = min(values, key=lambda value: (-len(values[value]), value))
    return best if len(values[best]) > 1 else None


def _lines(own: View, fixed: Read, at: int, what: Read, label: str) -> Lines:
    chosen = [(name, sorted((r for r in rs if fixed(r) == at), key=what)) for name, rs in own.latencies]
    found = [
        Curve(name, tuple(what(r) for r in records), tuple(latency(r) for r in records))
        for name, records in chosen
        if records
    ]
    return Lines(label, tuple(found))


def _batch(record: Measurement) -> int:
    return record.batch


def _length(record: Measurement) -> int:
    return record.sequence_length
