"""A bar a file."""

import textwrap
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from device_bench.charts.axis import CUT, far_apart, log_limits, log_ticks, mark_cut
from device_bench.charts.labels import FONT_SIZE, wrap
from device_bench.charts.theme import PALETTE, Theme
from device_bench.charts.view import Point, View
from device_bench.stats import Interval, milliseconds_form

NAME_WIDTH, NARROW = 46, 30
"""Characters in a line beside a bar, with one panel and with two."""
TITLE_WIDTH = 90
BAR_INCHES, TEXT_LINE, THICK = 0.32, 0.16, 0.6
AS_FAST = Interval(1, 1, 1)
ROOM = 1.18
"""Factor of the axis that leaves room behind the longest bar."""


def height(names: Sequence[str]) -> float:
    """Return the height of the bars with these names [inches]."""
    return sum(BAR_INCHES + TEXT_LINE * name.count("\n") for name in names)


def names(points: Sequence[Point], width: int = NAME_WIDTH) -> list[str]:
    """Names of the points as they stand beside bars."""
    return [wrap(p.label, width) for p in points]


def speed_up(figure: Figure, own: View, theme: Theme) -> None:
    """Ratio to the section's baseline."""
    found = own.speed_ups()
    axes = figure.subplots()
    ratios = [ratio for _, ratio in found]
    wide = far_apart([AS_FAST, *ratios])
    title = f"times as fast as {own.baseline}, 95 % interval"
    _bars(axes, names([p for p, _ in found]), ratios, title, "{:.2f}x", theme, AS_FAST.value if wide else 0)
    axes.axvline(AS_FAST.value, color=theme.muted, linewidth=1, linestyle="--")
    if wide:
        low, high = log_limits([AS_FAST, *ratios])
        axes.set(xscale="log", xlim=(low, ROOM**2 * high))
        log_ticks(axes.xaxis)
        if mark_cut(axes, "x", list(enumerate(ratios)), theme.ink):
            axes.set_xlabel(title + CUT)


def cold_start_memory(figure: Figure, own: View, theme: Theme) -> None:
    """Load and first run, stacked, and beside them the process' peak memory."""
    left, right = figure.subplots(1, 2, sharey=True)
    cast("ConstrainedLayoutEngine", figure.get_layout_engine()).set(wspace=0.06)
    memory = [p.record.peak_memory_bytes / 1e6 for p in own.points]
    exact = [Interval(value, value, value) for value in memory]
    _bars(right, names(own.points, NARROW), exact, "peak memory of the process [MB]", "{:.0f}", theme)
    load = np.array([p.record.load_ms for p in own.points])
    first = np.array([p.record.first_forward_ms for p in own.points])
    rows = range(len(own.points))
    left.barh(rows, load, height=THICK, color=PALETTE[0], label="load")
    bars = left.barh(rows, first, left=load, height=THICK, color=PALETTE[1], label="first run")
    left.bar_label(bars, [f"{total:.0f}" for total in load + first], padding=4, fontsize=FONT_SIZE)
    _name_rows(left, names(own.points, NARROW), theme)
    left.set(xlabel="cold start [ms]", xlim=(0, ROOM * max(load + first)))
    left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0, borderaxespad=0.2)


def devices(figure: Figure, views: Sequence[View], theme: Theme) -> None:
    """A panel a section: latency of its files, each on its own scale."""
    panels = figure.subplots(len(views), 1, squeeze=False)[:, 0]
    for axes, own in zip(panels, views, strict=True):
        values = [p.latency for p in own.points]
        form = milliseconds_form((value.value for value in values), 1)
        _bars(axes, names(own.points), values, "median latency [ms], 95 % interval", form, theme)
        title = textwrap.fill(f"{own.section.title}: {own.conditions}", TITLE_WIDTH)
        axes.set_title(title, fontsize=FONT_SIZE, loc="left", color=theme.muted)


def _bars(
    axes: Axes,
    labels: Sequence[str],
    values: Sequence[Interval],
    title: str,
    form: str,
    theme: Theme,
    start: float = 0,
) -> None:
    reach = np.array([(v.value - v.low, v.high - v.value) for v in values]).T
    middle = np.array([v.value for v in values])
    whiskers: Any = {"xerr": reach, "ecolor": theme.ink} if reach.any() else {}
    rows, colour = range(len(labels)), PALETTE[0]
    bars = axes.barh(rows, middle - start, left=start, height=THICK, color=colour, **whiskers)
    ground = {"facecolor": theme.back, "edgecolor": "none", "pad": 0.5}  # no line crosses the figure
    axes.bar_label(bars, [form.format(v) for v in middle], padding=5, fontsize=FONT_SIZE, bbox=ground)
    _name_rows(axes, labels, theme)
    axes.set(xlabel=title, xlim=(0, max(ROOM * max(v.high for v in values), 1e-3)))


def _name_rows(axes: Axes, labels: Sequence[str], theme: Theme) -> None:
    axes.set_yticks(range(len(labels)), list(labels), fontsize=FONT_SIZE, color=theme.ink)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
