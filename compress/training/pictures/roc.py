"""ROC curves with the chosen thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from compress.training.pictures.trained import Trained
from device_bench.charts.draw import Chart
from device_bench.charts.theme import MARKERS, PALETTE, Theme

NAME = "roc"
A_ROW = 3
PANEL_HEIGHT, LEGEND_ROW = 2.9, 0.24
"""Inches."""


def chart(models: Sequence[Trained], note: str) -> Chart | None:
    """A panel a label, a line a model; None where labels do not come several at once."""
    shown = [model for model in models if model.metrics.get("roc")]
    if not shown:
        return None
    height = PANEL_HEIGHT * math.ceil(len(_labels(shown)) / A_ROW) + LEGEND_ROW * len(shown)
    title = "ROC curves, and where the thresholds lie on them"
    return Chart(NAME, title, note, height, lambda figure, theme: _paint(figure, shown, theme))


def _labels(models: Sequence[Trained]) -> list[str]:
    """Those that have a curve."""
    return list(dict.fromkeys(label for model in models for label in model.metrics["roc"]))


def _paint(figure: Figure, models: Sequence[Trained], theme: Theme) -> None:
    labels = _labels(models)
    shape = math.ceil(len(labels) / A_ROW), A_ROW
    grid = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(labels) :]:
        axes.set_visible(False)
    for axes, label in zip(grid.flat, labels, strict=False):
        _paint_label(axes, label, models, theme)
    figure.supylabel("true positive rate", fontsize=9, color=theme.muted)
    grid[-1, 0].set_xlabel("false positive rate", fontsize=9)
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
    for place, marker in zip(curve["chosen"].values(), MARKERS, strict=False):
        axes.plot(
            *place, marker=marker, markersize=5, color=color, markeredgecolor="white", markeredgewidth=0.6
        )


def _key(models: Sequence[Trained], theme: Theme) -> list[Line2D]:
    lines = [Line2D([], [], color=color, label=model.title) for model, color in zip(models, cycle(PALETTE))]
    chosen = next(iter(models[0].metrics["roc"].values()))["chosen"]
    dots = [
        Line2D([], [], linestyle="", marker=marker, color=theme.muted, label=_chosen_words(where))
        for where, marker in zip(chosen, MARKERS, strict=False)
    ]
    return [*lines, *dots]


def _chosen_words(where: str) -> str:
    return "threshold 0.5" if where == "0.5" else f"chosen on {where}"
