"""Confusion matrices."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compress.training.pictures.trained import Trained
from device_bench.charts.draw import Chart
from device_bench.charts.theme import SEQUENTIAL, Theme

NAME = "confusion"
PERCENT = 100
A_ROW, SMALL_A_ROW = 3, 6
"""Panels beside each other; of two classes they are small where they are many."""
HEIGHT, SMALL_HEIGHT = 2.9, 1.75
"""Inches."""
TITLE_WIDTH, SMALL_TITLE_WIDTH = 30, 18
"""Characters in a line."""
FEW_CLASSES = 10
"""More have no room for numbers in their cells."""
DARK_CELL = 0.5
YES_NO = ("no", "yes")
TITLE = "Confusion matrices: texts, and their share of the true class"


@dataclass(frozen=True)
class Panel:
    """One matrix."""

    title: str
    matrix: np.ndarray
    classes: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """How panels stand."""

    panels: Sequence[Panel]

    @property
    def small(self) -> bool:
        """Whether they have to be."""
        return len(self.panels) > A_ROW and all(len(panel.classes) == len(YES_NO) for panel in self.panels)

    @property
    def columns(self) -> int:
        return SMALL_A_ROW if self.small else A_ROW

    @property
    def rows(self) -> int:
        return math.ceil(len(self.panels) / self.columns)

    @property
    def height(self) -> float:
        """Inches."""
        return self.rows * (SMALL_HEIGHT if self.small else HEIGHT)


def chart(models: Sequence[Trained], note: str) -> Chart | None:
    """The matrices of all models; None where there are no classes."""
    grid = Grid([panel for model in models for panel in _panels(model)])
    if not grid.panels:
        return None
    return Chart(NAME, TITLE, note, grid.height, lambda figure, theme: _paint(figure, grid, theme))


def _panels(model: Trained) -> Iterator[Panel]:
    matrices = model.metrics.get("confusion", {})
    for name, matrix in matrices.items():
        title = f"{name}: {model.title}" if len(matrices) > 1 else model.title
        classes = model.labels if len(matrices) == 1 and len(model.labels) == len(matrix) else YES_NO
        yield Panel(title, np.array(matrix), classes)


def _paint(figure: Figure, grid: Grid, theme: Theme) -> None:
    every = figure.subplots(grid.rows, grid.columns, squeeze=False)
    for axes in every.flat[len(grid.panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(every.flat, grid.panels, strict=False):
        _paint_matrix(axes, panel.matrix, panel.classes)
        width = SMALL_TITLE_WIDTH if grid.small else TITLE_WIDTH
        title = textwrap.wrap(panel.title, width, max_lines=3, placeholder=" …")
        axes.set_title("\n".join(title), fontsize=7.5 if grid.small else 9, color=theme.ink)
    for axes in every[:, 0]:
        axes.set_ylabel("true", fontsize=8)
    for axes in every[-1, :]:
        axes.set_xlabel("predicted", fontsize=8)


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
