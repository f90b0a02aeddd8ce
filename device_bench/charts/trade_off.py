"""Charts: size, latency and accuracy of a parent and its variants, side by side."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from device_bench import stats
from device_bench.charts.axis import PERFECT
from device_bench.charts.png import png
from device_bench.summary import Row

INK, MUTED, PARENT, VARIANT = "#1f2328", "#6e7781", "#9aa5b1", "#2f6fdd"
BAR_HEIGHT = 0.55
SMALLEST_RANGE = 0.01
TICK, BEHIND = 20, 4
"""Distance of the ticks of a score [%], and of a figure from its bar or interval [points]."""


def trade_off_chart(rows: Sequence[Row], metric: str, title: str, target: Path) -> None:
    """Draw size [MB], latency at the longest measured sequence [ms] and score or agreement [%] as bars.

    Args:
        rows: the parent first.
        metric: name of the score, used where the rows have one; agreement otherwise.
        title: one line above the panels.
        target: PNG file to write.
    """
    figure = Figure(figsize=(11, 1.5 + 0.55 * len(rows)), layout="constrained", dpi=150)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    size, latency, quality = figure.subplots(1, 3, sharey=True)
    _bars(size, rows, [row.size_bytes / 1e6 for row in rows], "size [MB]", "{:.3g}")
    _latency_panel(latency, rows)
    _quality_panel(quality, rows, metric)
    size.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=11, color=INK)
    size.invert_yaxis()
    target.write_bytes(png(figure))


def _bars(axes: Axes, rows: Sequence[Row], values: Sequence[float], label: str, form: str) -> None:
    colors = [PARENT] + [VARIANT] * (len(rows) - 1)
    bars = axes.barh(range(len(rows)), values, height=BAR_HEIGHT, color=colors)
    axes.bar_label(bars, [form.format(value) for value in values], padding=BEHIND, color=INK, fontsize=10)
    axes.set_title(label, color=MUTED, fontsize=10, loc="left")
    axes.set_xlim(0, max(max(values) * 1.3, SMALLEST_RANGE))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=MUTED, labelsize=9)


def _latency_panel(axes: Axes, rows: Sequence[Row]) -> None:
    length = rows[0].sequence_lengths[-1]
    samples = [row.latency(length).all_samples_ms for row in rows]
    middle = [stats.percentile(s, 50) for s in samples]
    _bars(axes, rows, middle, f"p50 latency, {length} tokens [ms]", stats.milliseconds_form(middle, 1))
    for index, row in enumerate(rows[1:], start=1):
        ratio = row.speed_up(rows[0], length)
        text = axes.texts[index]
        text.set_text(f"{text.get_text()}  ({ratio.value:.1f}x)")
    axes.set_xlim(0, max(middle) * 1.45)


def _quality_panel(axes: Axes, rows: Sequence[Row], metric: str) -> None:
    scored = all(row.score is not None for row in rows)
    shown = [(row.score if scored else row.agreement) for row in rows]
    values = [100 * value if value is not None else 0.0 for value in shown]
    label = f"{metric} [%]" if scored else "agreement with the parent [%]"
    _bars(axes, rows, values, label, "{:.1f}")
    lows = [100 * row.bounds.low for row in rows if scored and row.bounds is not None]
    start = TICK * math.floor(min(0.0, *values, *lows) / TICK)
    axes.set_xlim(start, PERFECT)  # the figures stand beyond it
    for index, row in enumerate(rows if scored else ()):
        if row.bounds is not None:
            ends = (100 * row.bounds.low, 100 * row.bounds.high)
            axes.plot(ends, (index, index), color=INK, linewidth=1)
            # The figure stands behind the interval.
            text = cast("Annotation", axes.texts[index])
            text.xy = (max(*ends, values[index]), index)
            text.set(ha="left", position=(BEHIND, 0))
    axes.set_xticks(range(start, PERFECT + 1, TICK))
