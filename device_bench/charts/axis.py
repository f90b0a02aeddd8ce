"""Axes that start at zero, or are logarithmic where values lie far apart."""

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from device_bench.stats import Interval

FAR_APART = 8
"""Ratio of the largest to the smallest value above which small ones would lie on one another."""
ROOM = 1.12
ARROWS = {"x": ("<", ">"), "y": ("v", "^")}
"""Markers of an interval that is cut off at the lower and at the upper limit."""
CUT = "\n(arrowheads: it reaches further)"
PERFECT = 100
"""Largest score that there is [%]."""
TICK_INCHES = 0.32
"""What a label of four digits needs, and a gap."""


def from_zero_or_log(axes: Axes, which: Literal["x", "y"], values: Sequence[Interval]) -> None:
    """Set scale and limits by the values, which are positive."""
    if not far_apart(values):
        axes.set(**{f"{which}lim": (0, ROOM * max(v.high for v in values))})
        return
    axes.set(**{f"{which}scale": "log", f"{which}lim": log_limits(values)})
    log_ticks(axes.xaxis if which == "x" else axes.yaxis)


def far_apart(values: Sequence[Interval]) -> bool:
    """Whether the values need a logarithmic axis."""
    return max(v.high for v in values) >= FAR_APART * min(v.value for v in values)


def log_limits(values: Sequence[Interval]) -> tuple[float, float]:
    """Round the values; an interval that reaches far down, or below zero, is cut off."""
    low = min(max(v.low, v.value / 2) for v in values)
    high = max(v.high for v in values)
    more = (high / low) ** 0.08
    return low / more, high * more


def mark_cut(
    axes: Axes, which: Literal["x", "y"], spots: Sequence[tuple[float, Interval]], colour: str
) -> bool:
    """Draw an arrowhead at the axis' limit for each interval that reaches beyond it.

    Args:
        axes: with its final limits.
        which: the axis that the intervals lie along.
        spots: position on the other axis, and the interval.
        colour: of the arrowheads.

    Returns:
        Whether there is one.
    """
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    down, up = ARROWS[which]
    ends = [(place, low, down) for place, own in spots if own.low < low]
    ends += [(place, high, up) for place, own in spots if own.high > high]
    for place, end, marker in ends:
        x, y = (end, place) if which == "x" else (place, end)
        axes.plot([x], [y], marker=marker, color=colour, markersize=5, clip_on=False, zorder=4)
    return bool(ends)


def log_ticks(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 in plain numbers, more within one decade, fewer over many."""
    low, high = axis.get_view_interval()
    subs = (1, 2, 3, 5, 7) if high < 10 * low else (1, 2, 5) if high < 1000 * low else (1,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def with_room(ticks: Sequence[int], inches: float) -> list[int]:
    """Select those of ascending positive ticks whose labels have room on a logarithmic axis this long.

    The last tick is always kept, for the longest texts say most about a file.
    """
    apart = (ticks[-1] / ticks[0]) ** (TICK_INCHES / inches)
    kept = [ticks[-1]]
    for tick in reversed(ticks):
        if tick * apart <= kept[-1]:
            kept.append(tick)
    return kept[::-1]
