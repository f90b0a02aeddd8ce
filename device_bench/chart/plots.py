"""Lines over a shape, and bars."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from device_bench.chart.theme import MARKERS, PALETTE, Theme
from device_bench.chart.view import View
from device_bench.records import Measurement
from device_bench.series import Series, latency
from device_bench.stats import Interval


def latency_by_length(figure: Figure, own: View, theme: Theme) -> None:
    """Latency against sequence length at the batch that has most lengths."""
    batch = most_varied(own, _batch, _length)
    label = f"sequence length [tokens], batch {batch}"
    _lines(figure.subplots(), own, lambda r: r.batch == batch, _length, label, theme)


def latency_by_batch(figure: Figure, own: View, theme: Theme) -> None:
    """Latency of a whole batch against its size, at the length that has most sizes."""
    length = most_varied(own, _length, _batch)
    label = f"batch size [rows], {length} tokens"
    _lines(figure.subplots(), own, lambda r: r.sequence_length == length, _batch, label, theme)


def has_lengths(own: View) -> bool:
    """Whether there is more than one length to draw over."""
    return most_varied(own, _batch, _length) is not None


def has_batches(own: View) -> bool:
    """Whether there is more than one batch size to draw over."""
    return most_varied(own, _length, _batch) is not None


def most_varied(
    own: View, fixed: Callable[[Measurement], int], what: Callable[[Measurement], int]
) -> int | None:
    """The value of `fixed` at which `what` has most values, the smallest of equals; None if one each."""
    values: dict[int, set[int]] = {}
    for record in (r for series in own.lines for r in _latencies(series)):
        values.setdefault(fixed(record), set()).add(what(record))
    best = min(values, key=lambda value: (-len(values[value]), value))
    return best if len(values[best]) > 1 else None


def _batch(record: Measurement) -> int:
    return record.batch


def _length(record: Measurement) -> int:
    return record.sequence_length


def _latencies(series: Series) -> list[Measurement]:
    return [record for record in series.measured if record.kind == "latency"]


def _lines(
    axes: Axes,
    own: View,
    chosen: Callable[[Measurement], bool],
    what: Callable[[Measurement], int],
    label: str,
    theme: Theme,
) -> None:
    shown = own.lines[: len(PALETTE)]
    ticks = set()
    for index, series in enumerate(shown):
        found = sorted((r for r in _latencies(series) if chosen(r)), key=what)
        middle = [latency(r) for r in found]
        x = [what(r) for r in found]
        ticks |= set(x)
        axes.plot(
            x, [m.value for m in middle], MARKERS[index] + "-", color=PALETTE[index], label=series.label
        )
        axes.fill_between(
            x, [m.low for m in middle], [m.high for m in middle], color=PALETTE[index], alpha=0.25
        )
    axes.set(xlabel=label, ylabel="median latency [ms], 95 % interval", xscale="log", yscale="log")
    axes.set_xticks(sorted(ticks), [str(tick) for tick in sorted(ticks)])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    more = f"({len(shown)} of {len(own.lines)} files)" if len(shown) < len(own.lines) else ""
    axes.figure.legend(loc="outside right upper", title=more or None, labelcolor=theme.ink)


def speed_up(figure: Figure, own: View, theme: Theme) -> None:
    """Ratio to the first file of the same interleaved measurement."""
    found = own.speed_ups()
    bases = {base.label for _, base, _ in found}
    names = [p.label if len(bases) == 1 else f"{p.label}\nover {base.label}" for p, base, _ in found]
    axes = figure.subplots()
    over = f"over {bases.pop()}" if len(bases) == 1 else "in the same measurement"
    _bars(
        axes, names, [ratio for _, _, ratio in found], f"times faster {over}, 95 % interval", "{:.2f}x", theme
    )
    axes.axvline(1, color=theme.muted, linewidth=1, linestyle="--")


def cold_start_memory(figure: Figure, own: View, theme: Theme) -> None:
    """Load and first run, stacked, and beside them the process' peak memory."""
    left, right = figure.subplots(1, 2, sharey=True)
    names = [p.label for p in own.points]
    load, first = [p.record.load_ms for p in own.points], [p.record.first_forward_ms for p in own.points]
    left.barh(names, load, height=0.55, color=PALETTE[0], label="load")
    bars = left.barh(names, first, left=load, height=0.55, color=PALETTE[1], label="first run")
    left.bar_label(bars, [f"{a + b:.0f}" for a, b in zip(load, first, strict=True)], padding=4, fontsize=8.5)
    left.set(xlabel="cold start [ms]", xlim=(0, 1.18 * max(a + b for a, b in zip(load, first, strict=True))))
    left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    memory = [p.record.peak_memory_bytes / 1e6 for p in own.points]
    exact = [Interval(value, value, value) for value in memory]
    _bars(right, names, exact, "peak memory of the process [MB]", "{:.0f}", theme)


def devices(figure: Figure, views: Sequence[View], theme: Theme) -> None:
    """A panel a machine: latency of its files, each on its own scale."""
    panels = figure.subplots(len(views), 1, squeeze=False)[:, 0]
    for axes, own in zip(panels, views, strict=True):
        names, values = [p.label for p in own.points], [p.latency for p in own.points]
        _bars(axes, names, values, "median latency [ms], 95 % interval", "{:.1f}", theme)
        axes.set_title(f"{own.machine.title}: {own.conditions}", fontsize=9.5, loc="left")


def _bars(
    axes: Axes, names: Sequence[str], values: Sequence[Interval], label: str, form: str, theme: Theme
) -> None:
    reach = np.array([(v.value - v.low, v.high - v.value) for v in values]).T
    middle = [v.value for v in values]
    bars = axes.barh(range(len(names)), middle, height=0.55, color=PALETTE[0], xerr=reach, ecolor=theme.ink)
    axes.bar_label(bars, [form.format(value) for value in middle], padding=5, fontsize=8.5)
    axes.set_yticks(range(len(names)), list(names))
    axes.set(xlabel=label, xlim=(0, max(1.18 * max(v.high for v in values), 1e-3)))
    axes.grid(visible=False, axis="y")
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
