"""Loss and metric by epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from compress.training.pictures.trained import Trained
from device_bench.charts.draw import Chart
from device_bench.charts.theme import MARKERS, PALETTE, Theme

NAME = "epochs"
PERCENT = 100
HEIGHT, HEIGHT_OF_SEVERAL, LEGEND_ROW = 4.0, 2.2, 0.24
"""Inches."""


def chart(models: Sequence[Trained], note: str) -> Chart | None:
    """Both halves over the epochs; None where nothing was written down on the way."""
    shown = [model for model in models if model.metrics.get("history")]
    if not shown:
        return None
    by_task: dict[str, list[Trained]] = {}
    for model in shown:
        by_task.setdefault(model.task, []).append(model)
    groups = list(by_task.values())
    title = "Loss and score by epoch" if any(model.metric for model in shown) else "Loss by epoch"
    height = sum(_heights(groups))
    return Chart(NAME, title, note, height, lambda figure, theme: _paint_all(figure, groups, theme))


def _heights(groups: Sequence[Sequence[Trained]]) -> list[float]:
    axes = HEIGHT if len(groups) == 1 else HEIGHT_OF_SEVERAL
    return [axes + LEGEND_ROW * len(models) for models in groups]


def _paint_all(figure: Figure, groups: Sequence[Sequence[Trained]], theme: Theme) -> None:
    parts = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=_heights(groups))[:, 0]
    for part, models in zip(parts, groups, strict=True):
        _paint(part, models, theme)


def _paint(figure: SubFigure, models: Sequence[Trained], theme: Theme) -> None:
    metrics = {model.metric for model in models} - {""}
    axes, *further = figure.subplots(1, 2 if metrics else 1, squeeze=False)[0]
    for model, color, marker in zip(models, cycle(PALETTE), cycle(MARKERS)):
        marked = {"color": color, "marker": marker, "markersize": 4}
        _curve(axes, model, lambda point: point.get("loss"), color=color, linestyle="--", alpha=0.8)
        _curve(axes, model, lambda point: point.get("eval_loss"), label=model.title, **marked)
        for scores in further:
            _curve(scores, model, _score_of(model), **marked)
    axes.set(ylabel="loss (dashed: training)")
    for scores in further:
        scores.set(ylabel=f"{metrics.pop() if len(metrics) == 1 else 'score'} [%]")
    for own in (axes, *further):
        own.set(xlabel="epoch")
        own.xaxis.set_major_locator(MaxNLocator(6, min_n_ticks=2))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.8, labelcolor=theme.ink)


def _score_of(model: Trained) -> Callable[[dict[str, Any]], float | None]:
    def score(point: dict[str, Any]) -> float | None:
        value = point.get(model.metric)
        return None if value is None else PERCENT * float(value)

    return score


def _curve(axes: Axes, model: Trained, what: Callable[[dict[str, Any]], float | None], **style: Any) -> None:
    history = model.metrics["history"]
    spots = [(point["epoch"], value) for point in history if (value := what(point)) is not None]
    if spots:
        axes.plot([epoch for epoch, _ in spots], [value for _, value in spots], **style)
