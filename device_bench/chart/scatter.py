"""Trade-offs: a point a file."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from device_bench.chart.labels import place_labels
from device_bench.chart.theme import SEQUENTIAL, Theme
from device_bench.chart.view import Point, View

HEIGHT = 4.4
MARGIN = 0.12


def size_latency(figure: Figure, own: View, theme: Theme) -> None:
    """Size against latency, accuracy as colour, the Pareto front as a line."""
    axes = figure.subplots()
    points = sorted(own.points, key=lambda p: p.megabytes)
    _front(axes, own.front(), theme)
    _errors(axes, points, [p.megabytes for p in points], theme)
    _dots(figure, axes, own, theme)
    axes.set(xlabel="size [MB]", ylabel="median latency [ms]")
    _finish(axes, [(p.megabytes, p.latency.value, p.label) for p in points])


def accuracy_latency(figure: Figure, own: View, theme: Theme) -> None:
    """Accuracy against latency."""
    axes = figure.subplots()
    scored = [p for p in own.points if p.score is not None]
    spots = [(p.latency.value, float(p.score or 0), p.label) for p in scored]
    reach = np.array([(p.latency.value - p.latency.low, p.latency.high - p.latency.value) for p in scored]).T
    x, y = [x for x, _, _ in spots], [y for _, y, _ in spots]
    axes.errorbar(x, y, xerr=reach, fmt="o", color="#0072B2", ecolor=theme.muted, markersize=7)
    axes.set(xlabel="median latency [ms]", ylabel=own.score_label)
    _finish(axes, spots, above=True)


def _front(axes: Axes, front: Sequence[Point], theme: Theme) -> None:
    line = sorted(front, key=lambda p: (p.megabytes, p.latency.value))
    x, y = [p.megabytes for p in line], [p.latency.value for p in line]
    axes.plot(x, y, color=theme.muted, linestyle="--", linewidth=1.2, zorder=1, label="Pareto front")
    axes.legend(loc="upper right")


def _errors(axes: Axes, points: Sequence[Point], x: Sequence[float], theme: Theme) -> None:
    reach = np.array([(p.latency.value - p.latency.low, p.latency.high - p.latency.value) for p in points]).T
    y = [p.latency.value for p in points]
    axes.errorbar(x, y, yerr=reach, fmt="none", ecolor=theme.muted, zorder=2)


def _dots(figure: Figure, axes: Axes, own: View, theme: Theme) -> None:
    scored = [p for p in own.points if p.score is not None and own.score_label]
    rest = [p for p in own.points if p not in scored]
    if scored:
        drawn = axes.scatter(
            [p.megabytes for p in scored],
            [p.latency.value for p in scored],
            c=[float(p.score or 0) for p in scored],
            cmap=SEQUENTIAL,
            s=64,
            edgecolors=theme.ink,
            zorder=3,
        )
        figure.colorbar(drawn, label=own.score_label, pad=0.02)
    x, y = [p.megabytes for p in rest], [p.latency.value for p in rest]
    axes.scatter(x, y, color=theme.back, edgecolors=theme.ink, s=64, zorder=3)


def _finish(axes: Axes, spots: Sequence[tuple[float, float, str]], above: bool = False) -> None:
    axes.margins(MARGIN, 2 * MARGIN)
    place_labels(axes, spots, above)
