"""Trade-offs: a point a file, named beside it, or numbered where there is no room for names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import FuncFormatter

from device_bench.charts.axis import CUT, PERFECT, from_zero_or_log, mark_cut
from device_bench.charts.labels import FONT_SIZE, place_labels
from device_bench.charts.theme import FRONT, PALETTE, SEQUENTIAL, Theme
from device_bench.charts.view import Point, View
from device_bench.stats import Interval

HEIGHT = 4.4
KEY_LINE = 0.17
"""Height of a line of the key [inches]."""
FRAME = 0.9
"""Title, conditions and the axis' own label, about [inches]."""
DOT, RING = 64, 170
KEY_COLUMN = 56
"""Characters that half the width has room for."""
MOST_NAMES = 10
Bar = tuple[float, float, float, float]
"""Ends of an interval: x0, y0, x1, y1."""
SMALLEST_SPAN = 0.5
"""Limits of an axis or a scale of scores [%]."""


def size_latency(figure: Figure, own: View, theme: Theme) -> None:
    """Size against latency, accuracy as colour, files on the Pareto front ringed."""
    axes = figure.subplots()
    x, y = [p.megabytes for p in own.points], [p.latency.value for p in own.points]
    axes.errorbar(x, y, yerr=_reach(own.points), fmt="none", ecolor=theme.muted, zorder=2)
    _dots(figure, axes, own, theme)
    _front(axes, own.front())
    from_zero_or_log(axes, "x", [Interval(size, size, size) for size in x])
    from_zero_or_log(axes, "y", [p.latency for p in own.points])
    cut = mark_cut(axes, "y", [(p.megabytes, p.latency) for p in own.points], theme.muted)
    axes.set(xlabel="size [MB]", ylabel=_interval_label("median latency [ms]", cut))
    bars = [(size, p.latency.low, size, p.latency.high) for p, size in zip(own.points, x, strict=True)]
    _name_or_number(axes, own, list(zip(own.points, x, y, strict=True)), bars, theme)


def accuracy_latency(figure: Figure, own: View, theme: Theme) -> None:
    """Draw accuracy against latency."""
    axes = figure.subplots()
    scored = [(p, p.latency.value, p.score) for p in own.points if p.score is not None]
    x, y = [x for _, x, _ in scored], [y for _, _, y in scored]
    ends = [p.bounds or Interval(y, y, y) for p, _, y in scored]
    reach: Any = {"xerr": _reach([p for p, _, _ in scored]), "yerr": _reach_of(ends)}
    axes.errorbar(x, y, fmt="none", **reach, ecolor=theme.muted)
    axes.plot(x, y, "o", color=PALETTE[0], markersize=7, clip_on=False, zorder=3)
    from_zero_or_log(axes, "x", [p.latency for p, _, _ in scored])
    low, high = _span([end for own_ends in ends for end in (own_ends.low, own_ends.high)], 0.15)
    axes.set_ylim(max(low, 0) if min(y) >= 0 else low, min(high, PERFECT))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    cut = mark_cut(axes, "x", [(score, p.latency) for p, _, score in scored], theme.muted)
    axes.set(xlabel=_interval_label("median latency [ms]", cut))
    known = any(p.bounds for p, _, _ in scored)
    cut = mark_cut(axes, "y", list(zip(x, ends, strict=True)), theme.muted)
    axes.set(ylabel=_interval_label(own.score_label, cut) if known else own.score_label)
    across = [(p.latency.low, y, p.latency.high, y) for p, _, y in scored]
    upright = [(x, each.low, x, each.high) for x, each in zip(x, ends, strict=True)]
    _name_or_number(axes, own, scored, [*across, *upright], theme)


def _interval_label(what: str, cut: bool) -> str:
    return f"{what}, 95 % interval{CUT if cut else ''}"


def _reach(points: Sequence[Point]) -> np.ndarray:
    return _reach_of([p.latency for p in points])


def _reach_of(intervals: Sequence[Interval]) -> np.ndarray:
    """How far each interval reaches below and above its value, as matplotlib takes it."""
    return np.array([(own.value - own.low, own.high - own.value) for own in intervals]).T


def _span(scores: Sequence[float], margin: float) -> tuple[float, float]:
    low, high = min(scores), max(scores)
    more = max(margin * (high - low), SMALLEST_SPAN)
    return low - more, high + more


def _dots(figure: Figure, axes: Axes, own: View, theme: Theme) -> None:
    scored = [(p, p.score) for p in own.points if p.score is not None and own.score_label]
    if scored:
        x, y = [p.megabytes for p, _ in scored], [p.latency.value for p, _ in scored]
        scores = [score for _, score in scored]
        low, high = _span(scores, 0)
        look: Any = {"cmap": SEQUENTIAL, "vmin": low, "vmax": min(high, PERFECT), "edgecolors": theme.ink}
        drawn = axes.scatter(x, y, c=scores, s=DOT, zorder=3, **look)
        if min(scores) < max(scores):  # of one colour a scale says nothing
            figure.colorbar(drawn, label=own.score_label, pad=0.02, fraction=0.05, aspect=30)
    rest = [p for p in own.points if p.score is None or not own.score_label]
    x, y = [p.megabytes for p in rest], [p.latency.value for p in rest]
    axes.scatter(x, y, color=theme.back, edgecolors=theme.ink, s=DOT, zorder=3)


def _front(axes: Axes, front: Sequence[Point]) -> None:
    """A ring each: with accuracy as a third goal no line in this plane is the front."""
    x, y = [p.megabytes for p in front], [p.latency.value for p in front]
    goals = "small and as fast" if any(p.score is None for p in front) else "small, as fast and as accurate"
    label = f"Pareto front: no other file is as {goals}"
    axes.scatter(x, y, s=RING, facecolors="none", edgecolors=FRONT, linewidths=1.6, zorder=4, label=label)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0, borderaxespad=0.2, handletextpad=0.2)


def _name_or_number(
    axes: Axes, own: View, shown: Sequence[tuple[Point, float, float]], bars: Sequence[Bar], theme: Theme
) -> None:
    """Names beside the points; where those have no room, numbers and their key below."""
    if len(shown) <= MOST_NAMES and place_labels(axes, [(x, y, p.label) for p, x, y in shown], theme, bars):
        return
    numbers = {id(p): number for number, p in enumerate(own.points, start=1)}
    _key(axes, [(numbers[id(p)], p.label) for p, _, _ in shown], theme)
    place_labels(axes, [(x, y, str(numbers[id(p)])) for p, x, y in shown], theme, bars, force=True)


def _key(axes: Axes, entries: Sequence[tuple[int, str]], theme: Theme) -> None:
    """Number and name of each file, in columns below the plot, for which the figure grows."""
    columns = 2 if max(len(label) for _, label in entries) <= KEY_COLUMN else 1
    rows = -(-len(entries) // columns)
    figure, height = axes.figure, rows * KEY_LINE
    assert isinstance(figure, Figure)
    figure.set_figheight(figure.get_figheight() + height)
    grid = GridSpec(2, 1, figure=figure, height_ratios=[figure.get_figheight() - height - FRAME, height])
    axes.set_subplotspec(grid[0])
    key = figure.add_subplot(grid[1])
    key.axis("off")
    for index, (number, label) in enumerate(entries):
        left, line = index // rows / columns, 1 - (index % rows + 0.5) / rows
        look: Any = {"va": "center", "fontsize": FONT_SIZE, "in_layout": False}
        key.text(left + 0.022, line, str(number), ha="right", fontweight="bold", **look)
        key.text(left + 0.032, line, label, color=theme.ink, **look)
