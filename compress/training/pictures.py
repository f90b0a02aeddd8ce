"""Pictures of training: loss and score by epoch, confusion matrices, F1 by label, ROC curves."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from compress.training.mistakes import LABELS, SHOWN_LABELS
from device_bench.charts.draw import Chart
from device_bench.charts.theme import MARKERS, PALETTE, SEQUENTIAL, THEMES, Theme
from edgepress.core.tasks import Task
from edgepress.core.tasks.kind import LabelScore
from edgepress.core.tasks.kinds import kind_of

PICTURES = "pictures"
# What stands beside the model itself in the metrics of its step.
BESIDE = {"baseline": "without the teacher", "teacher": "teacher"}
PERCENT = 100
EPOCHS_HEIGHT, HEIGHT_OF_SEVERAL, LEGEND_ROW = 4.0, 2.2, 0.24
PANEL_HEIGHT, SMALL_HEIGHT = 2.9, 1.75
"""Heights of a row of panels [inches]."""
A_ROW, SMALL_A_ROW = 3, 6
"""Panels beside each other; matrices of two classes are small where they are many."""
TITLE_WIDTH, SMALL_TITLE_WIDTH = 30, 18
"""Characters in a line."""
FEW_CLASSES = 10
"""More have no room for numbers in their cells."""
DARK_CELL = 0.5
YES_NO = ("no", "yes")
LABEL_HEIGHT = 0.24
"""Inches of a bar."""
BARS = 0.8
"""Share of a label's room that its bars take."""


@dataclass(frozen=True)
class Trained:
    """A model that was trained, and what its step says of that."""

    title: str
    metric: str
    """Empty for a masked language model."""
    metrics: Mapping[str, Any]
    """Metrics; `history`, `confusion`, `labels` and `roc` are drawn where there are any."""
    labels: Sequence[str] = ()
    task: str = ""
    """Curves of different tasks have axes of their own."""


def pictures(models: Sequence[Trained], note: str = "") -> list[Chart]:
    """Draw these models side by side; `note` stands below each picture."""
    found = (draw(models, note) for draw in (_epochs, _confusion, _by_label, _roc))
    return [chart for chart in found if chart is not None]


def write_pictures(name: str, task: Task | None, metrics: Mapping[str, Any], folder: Path) -> str:
    """Draw what the metrics of a step hold, of all models that they are of.

    Args:
        name: of the model.
        task: what its classifier was trained for; None for a masked language model.
        metrics: of its step.
        folder: of the artifact.

    Returns:
        Markdown that shows them.
    """
    metric, labels = (task.metric, kind_of(task.problem_type).classes(task.labels)) if task else ("", ())
    named = {name: metrics, **{title: metrics[key] for key, title in BESIDE.items() if key in metrics}}
    found = pictures([Trained(title, metric, own, labels) for title, own in named.items()])
    (folder / PICTURES).mkdir()
    for chart in found:
        (folder / PICTURES / f"{chart.name}.png").write_bytes(chart.render(THEMES["light"], "png"))
    return "".join(f"\n![{chart.name}]({PICTURES}/{chart.name}.png)\n" for chart in found)


def _epochs(models: Sequence[Trained], note: str) -> Chart | None:
    """Draw losses and scores over the epochs; None where none were recorded."""
    shown = [model for model in models if model.metrics.get("history")]
    if not shown:
        return None
    by_task: dict[str, list[Trained]] = {}
    for model in shown:
        by_task.setdefault(model.task, []).append(model)
    groups = list(by_task.values())
    title = "Loss and score by epoch" if any(model.metric for model in shown) else "Loss by epoch"
    axes = EPOCHS_HEIGHT if len(groups) == 1 else HEIGHT_OF_SEVERAL
    heights = [axes + LEGEND_ROW * len(models) for models in groups]

    def paint(figure: Figure, theme: Theme) -> None:
        parts = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
        for part, group in zip(parts, groups, strict=True):
            _paint_task(part, group, theme)

    return Chart("epochs", title, note, sum(heights), paint)


def _paint_task(figure: SubFigure, models: Sequence[Trained], theme: Theme) -> None:
    metrics = {model.metric for model in models} - {""}
    axes, *further = figure.subplots(1, 2 if metrics else 1, squeeze=False)[0]
    for model, color, marker in zip(models, cycle(PALETTE), cycle(MARKERS)):
        marked: dict[str, Any] = {"color": color, "marker": marker, "markersize": 4}
        _curve(axes, model, "loss", color=color, linestyle="--", alpha=0.8)
        _curve(axes, model, "eval_loss", label=model.title, **marked)
        for scores in further:
            _curve(scores, model, model.metric, PERCENT, **marked)
    axes.set(ylabel="loss (dashed: training)")
    for scores in further:
        scores.set(ylabel=f"{metrics.pop() if len(metrics) == 1 else 'score'} [%]")
        scores.set_ylim(top=min(scores.get_ylim()[1], PERCENT))
    for own in (axes, *further):
        own.set(xlabel="epoch")
        own.xaxis.set_major_locator(MaxNLocator(6, min_n_ticks=2))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.8, labelcolor=theme.ink)


def _curve(axes: Axes, model: Trained, figure: str, factor: float = 1, **style: Any) -> None:
    """A figure over the epochs, where it was noted, times `factor`."""
    history = [point for point in model.metrics["history"] if point.get(figure) is not None]
    if history:
        epochs = [point["epoch"] for point in history]
        axes.plot(epochs, [factor * point[figure] for point in history], clip_on=False, **style)


@dataclass(frozen=True)
class Panel:
    """The place of one matrix."""

    title: str
    matrix: np.ndarray
    classes: Sequence[str]


def _confusion(models: Sequence[Trained], note: str) -> Chart | None:
    """The matrices of all models; None where there are no classes."""
    panels = [panel for model in models for panel in _panels(model)]
    if not panels:
        return None
    small = len(panels) > A_ROW and all(len(panel.classes) == len(YES_NO) for panel in panels)
    columns = SMALL_A_ROW if small else A_ROW
    rows = math.ceil(len(panels) / columns)
    title = "Confusion matrices: texts or words, and their share of the true class"
    height = rows * (SMALL_HEIGHT if small else PANEL_HEIGHT)

    def paint(figure: Figure, theme: Theme) -> None:
        every = figure.subplots(rows, columns, squeeze=False)
        for axes in every.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(every.flat, panels, strict=False):
            _paint_matrix(axes, panel.matrix, panel.classes)
            width = SMALL_TITLE_WIDTH if small else TITLE_WIDTH
            lines = textwrap.wrap(panel.title, width, max_lines=3, placeholder=" …")
            axes.set_title("\n".join(lines), fontsize=7.5 if small else 9, color=theme.ink)
        for axes in every[:, 0]:
            axes.set_ylabel("true", fontsize=8)
        for axes in every[-1, :]:
            axes.set_xlabel("predicted", fontsize=8)

    return Chart("confusion", title, note, height, paint)


def _panels(model: Trained) -> Iterator[Panel]:
    matrices = model.metrics.get("confusion", {})
    for name, matrix in matrices.items():
        title = f"{name}: {model.title}" if len(matrices) > 1 else model.title
        classes = model.labels if len(matrices) == 1 and len(model.labels) == len(matrix) else YES_NO
        yield Panel(title, np.array(matrix), classes)


def _paint_matrix(axes: Axes, matrix: np.ndarray, classes: Sequence[str]) -> None:
    """Rows are true classes, columns predicted ones; colour is the share of a row."""
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    places = range(len(classes))
    axes.set_xticks(places, classes, fontsize=7.5)
    axes.set_yticks(places, classes, fontsize=7.5)
    if len(classes) > len(YES_NO):
        axes.tick_params("x", rotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    if len(classes) > FEW_CLASSES:
        return
    for (row, column), share in np.ndenumerate(shares):
        text = f"{matrix[row, column]:,}\n{PERCENT * share:.1f} %"
        color = "white" if share < DARK_CELL else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=color)


def _by_label(models: Sequence[Trained], note: str) -> Chart | None:
    """F1 of each label, a bar a model; None where there are fewer than two labels, or very many."""
    shown = [model for model in models if 1 < len(model.metrics.get(LABELS, {})) <= SHOWN_LABELS]
    if not shown:
        return None
    names = list(dict.fromkeys(label for model in shown for label in model.metrics[LABELS]))
    height = LABEL_HEIGHT * len(names) * len(shown) + LEGEND_ROW * len(shown) + 1
    return Chart(LABELS, "F1 by label", note, height, lambda figure, _: _paint_labels(figure, shown, names))


def _paint_labels(figure: Figure, models: Sequence[Trained], names: Sequence[str]) -> None:
    axes = figure.subplots()
    places, thick = np.arange(len(names)), BARS / len(models)
    for number, (model, color) in enumerate(zip(models, cycle(PALETTE))):
        known = {label: LabelScore(label, **own) for label, own in model.metrics[LABELS].items()}
        values = [PERCENT * (known[name].f1 or 0.0) if name in known else 0.0 for name in names]
        bars = axes.barh(places + number * thick, values, height=thick, color=color, label=model.title)
        axes.bar_label(bars, [f"{value:.1f}" for value in values], padding=3, fontsize=7.5)
    axes.set_yticks(places + thick * (len(models) - 1) / 2, list(names), fontsize=8)
    axes.set(xlabel="F1 [%]", xlim=(0, PERCENT))  # the figures stand beyond it
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.4, fontsize=8)


def _roc(models: Sequence[Trained], note: str) -> Chart | None:
    """A panel a label, a line a model; None where labels do not come several at once."""
    shown = [model for model in models if model.metrics.get("roc")]
    if not shown:
        return None
    height = PANEL_HEIGHT * math.ceil(len(_labels(shown)) / A_ROW) + LEGEND_ROW * len(shown)
    title = "ROC curves, and where the thresholds lie on them"
    return Chart("roc", title, note, height, lambda figure, theme: _paint_roc(figure, shown, theme))


def _labels(models: Sequence[Trained]) -> list[str]:
    """List the labels that have a curve."""
    return list(dict.fromkeys(label for model in models for label in model.metrics["roc"]))


def _paint_roc(figure: Figure, models: Sequence[Trained], theme: Theme) -> None:
    labels = _labels(models)
    shape = math.ceil(len(labels) / A_ROW), A_ROW
    grid = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(labels) :]:
        axes.set_visible(False)
    for axes, label in zip(grid.flat, labels, strict=False):
        _paint_label(axes, label, models, theme)
    figure.supylabel("true positive rate", fontsize=9, color=theme.muted)
    for axes in grid.flat[: len(labels)][-A_ROW:]:  # those with no panel below
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("false positive rate", fontsize=9)
    figure.legend(
        handles=_key(models, theme), loc="outside lower right", ncols=3, fontsize=8, labelcolor=theme.ink
    )


def _paint_label(axes: Axes, label: str, models: Sequence[Trained], theme: Theme) -> None:
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=0.8, linestyle=":")
    curves = [model.metrics["roc"].get(label) for model in models]
    for curve, color in zip(curves, cycle(PALETTE)):
        if curve is not None:
            _paint_curve(axes, curve, color)
    areas = ", ".join(f"{curve['auc']:.3f}" for curve in curves if curve is not None)
    axes.set_title(f"{label}, area {areas}", fontsize=8.5, color=theme.ink)


def _paint_curve(axes: Axes, curve: Mapping[str, Any], color: str) -> None:
    axes.plot(*np.array(curve["curve"]).T, color=color, linewidth=1.3)
    for place, marker in zip(curve["chosen"].values(), cycle(MARKERS)):
        axes.plot(
            *place, marker=marker, markersize=5, color=color, markeredgecolor="white", markeredgewidth=0.6
        )


def _key(models: Sequence[Trained], theme: Theme) -> list[Line2D]:
    lines = [Line2D([], [], color=color, label=model.title) for model, color in zip(models, cycle(PALETTE))]
    chosen = next(iter(models[0].metrics["roc"].values()))["chosen"]
    named = ["threshold 0.5" if where == "0.5" else f"chosen on {where}" for where in chosen]
    dots = [
        Line2D([], [], linestyle="", marker=marker, color=theme.muted, label=name)
        for name, marker in zip(named, cycle(MARKERS))
    ]
    return [*lines, *dots]
