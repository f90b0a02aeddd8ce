"""Confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compress.training.pictures.trained import Trained
from device_bench.chart.draw import Chart
from device_bench.chart.theme import SEQUENTIAL, Theme

NAME = "confusion"
PERCENT = 100
A_ROW = 3
PANEL_HEIGHT = 2.9
"""Inches."""
FEW_CLASSES = 10
"""More have no room for numbers in their cells."""
DARK_CELL = 0.5


@dataclass(frozen=True)
class Panel:
    """One matrix."""

    title: str
    matrix: np.ndarray
    classes: Sequence[str]


def chart(models: Sequence[Trained], note: str) -> Chart | None:
    """The matrices of all models; None where there are no classes."""
    panels = [panel for model in models for panel in _panels(model)]
    if not panels:
        return None
    height = PANEL_HEIGHT * math.ceil(len(panels) / A_ROW)
    title = "Which class was taken for which"
    return Chart(NAME, title, note, height, lambda figure, theme: _paint(figure, panels, theme))


def _panels(model: Trained) -> Iterator[Panel]:
    matrices = model.metrics.get("confusion", {})
    for name, matrix in matrices.items():
        title = f"{model.title}: {name}" if len(matrices) > 1 else model.title
        classes = model.labels if len(model.labels) == len(matrix) else ("no", "yes")
        yield Panel(title, np.array(matrix), classes)


def _paint(figure: Figure, panels: Sequence[Panel], theme: Theme) -> None:
    grid = figure.subplots(math.ceil(len(panels) / A_ROW), A_ROW, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _paint_matrix(axes, panel.matrix, panel.classes)
        axes.set_title(panel.title, fontsize=9, color=theme.ink)


def _paint_matrix(axes: Axes, matrix: np.ndarray, classes: Sequence[str]) -> None:
    """Rows are the classes that are, columns those that were given; colour is the share of a row."""
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    places = range(len(classes))
    axes.set_xticks(places, classes, fontsize=7.5, rotation=20 if len(classes) > 2 else 0)  # noqa: PLR2004
    axes.set_yticks(places, classes, fontsize=7.5)
    axes.set_xlabel("given", fontsize=8)
    axes.set_ylabel("is", fontsize=8)
    if len(classes) > FEW_CLASSES:
        return
    for (row, column), share in np.ndenumerate(shares):
        text = f"{matrix[row, column]:,}\n{PERCENT * share:.1f} %"
        color = "white" if share < DARK_CELL else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=color)
