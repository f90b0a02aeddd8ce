"""The pictures of a recipe: what was traded for what, and how training went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from compress.recipe.lines import PERCENT, Line, Result
from device_bench.chart.draw import Chart, charts
from device_bench.chart.theme import MARKERS, PALETTE, Theme
from device_bench.records import Measurement
from device_bench.series import machines

EPOCHS = "epochs"
EPOCHS_HEIGHT = 4.0
LEGEND_ROW = 0.24


def pictures(result: Result) -> list[Chart]:
    """Those that the recipe names and that there is something for."""
    found = {chart.name: chart for chart in (*_trade_offs(result), *_epochs(result))}
    return [found[name] for name in result.recipe.pictures if name in found]


def _trade_offs(result: Result) -> list[Chart]:
    """device_bench's charts of the files, each with its mean score over the seeds."""
    records = [_with_mean(result, line, line.measurement) for line in result.lines if line.measurement]
    return charts(machines(records)) if records else []


def _with_mean(result: Result, line: Line, record: Measurement) -> Measurement:
    score = result.figure("score", line)
    return replace(record, score=score.value if score else None)


def _epochs(result: Result) -> Iterator[Chart]:
    # Two files of one step have been trained once.
    trained = {(line.row.step, line.row.path, *line.each.values()): line for line in reversed(result.lines)}
    lines = [line for line in result.lines if line.history and line in trained.values()]
    if lines:
        seeds = max(len(line.runs) for line in lines)
        note = f"seed {next(iter(lines[-1].runs))} of {seeds}" if seeds > 1 else ""
        height = EPOCHS_HEIGHT + LEGEND_ROW * len(lines)
        title = "Loss and score by epoch"
        yield Chart(EPOCHS, title, note, height, lambda figure, theme: _paint(figure, lines, theme))


def _paint(figure: Figure, lines: Sequence[Line], theme: Theme) -> None:
    left, right = figure.subplots(1, 2)
    for index, line in enumerate(lines):
        color = PALETTE[index % len(PALETTE)]
        marker = MARKERS[index % len(MARKERS)]
        _curve(left, line, lambda point: point.get("loss"), color=color, linestyle="--", alpha=0.8)
        _curve(left, line, lambda point: point.get("eval_loss"), color=color, marker=marker, markersize=4)
        score = _curve(right, line, _score_of(line), color=color, marker=marker, markersize=4)
        if score is not None:
            score.set_label(line.title)
    metrics = {line.metric for line in lines}
    left.set(xlabel="epoch", ylabel="loss (dashed: training, line: evaluation)")
    right.set(xlabel="epoch", ylabel=f"{metrics.pop() if len(metrics) == 1 else 'score'} [%]")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(6, min_n_ticks=2))
    left.legend(
        *right.get_legend_handles_labels(),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        labelcolor=theme.ink,
        borderaxespad=0.8,
    )


def _score_of(line: Line) -> Callable[[dict[str, Any]], float | None]:
    def score(point: dict[str, Any]) -> float | None:
        value = point.get(line.metric)
        return None if value is None else PERCENT * float(value)

    return score


def _curve(axes: Axes, line: Line, what: Callable[[dict[str, Any]], float | None], **style: Any) -> Any:
    spots = [(point["epoch"], value) for point in line.history if (value := what(point)) is not None]
    if not spots:
        return None
    (drawn,) = axes.plot([epoch for epoch, _ in spots], [value for _, value in spots], **style)
    return drawn
