"""Labels: short ones, wrapped ones, and ones that lie on no other label, point or edge."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from device_bench.charts.theme import Theme

FONT_SIZE = 8.5
RADII = (8, 14, 22, 32, 44, 58, 74, 92, 112)
"""Distances from the point that are tried in turn [points]."""
ANGLES = np.radians([0, 180, 90, 270, 45, 315, 135, 225, 67, 293, 113, 247, 22, 338, 158, 202])
ADJACENT = 9
"""Distance [points] within which a label needs no line to its point."""
LABEL_CLEAR, LINE_CLEAR, GAP = 19, 8, 4
"""What labels and lines keep away from points, and labels from each other [pixels at theme.DPI]."""
STEPS_ON_LINE = np.linspace(0.15, 0.95, 12)
NO_LINE = np.empty((0, 2))


def wrap(label: str, width: int) -> str:
    """The label in lines of at most `width` characters, broken after a slash, a hyphen or a space."""
    lines = textwrap.wrap(label.replace("/", "/ "), width)
    return "\n".join(line.replace("/ ", "/") for line in lines)


@dataclass(frozen=True)
class _Place:
    """Possible place of a label: offsets in points, the box (x0, y0, x1, y1) and the line in pixels."""

    offset: tuple[float, float]
    box: np.ndarray
    line: np.ndarray


def place_labels(
    axes: Axes,
    spots: Sequence[tuple[float, float, str]],
    theme: Theme,
    avoid: Sequence[tuple[float, float, float, float]] = (),
    force: bool = False,
) -> bool:
    """Write each label near its point, with a line to it where it lies further off; all of them or none.

    Args:
        axes: with its final limits.
        spots: x, y in data units, label.
        theme: whose page is the ground of the letters.
        avoid: x0, y0, x1, y1 in data units of what no label may cover, such as bars of error.
        force: write a label that finds no free place on its point.

    Returns:
        Whether every label found a place. If not, none is written.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    dots = axes.transData.transform([(x, y) for x, y, _ in spots])
    near, at = _boxes(dots, LABEL_CLEAR), _boxes(dots, LINE_CLEAR)
    barred = _in_pixels(axes, avoid)
    written = np.empty((0, 4))
    found = []
    for index, (_, _, label) in enumerate(spots):
        size = _size(axes, label)
        around = np.vstack([np.delete(near, index, axis=0), barred, written])
        across = np.vstack([np.delete(at, index, axis=0), written])
        place = _free(axes, dots[index], size, around, across)
        if place is None and not force:
            return False
        place = place or _Place((0.0, 0.0), _boxes(dots[index], size / 2), NO_LINE)
        found.append(place)
        written = np.vstack([written, place.box, _boxes(place.line, 1)])
    figure.set_layout_engine("none")  # another layout would move the points away from what was found here
    for spot, place in zip(spots, found, strict=True):
        _write(axes, spot, place, theme)
    return True


def _boxes(centers: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 a row."""
    return np.hstack([centers - radius, centers + radius])


def _in_pixels(axes: Axes, boxes: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    """Positions in pixels, cut at the limits: a logarithmic axis has no place for zero."""
    x, y = axes.get_xlim(), axes.get_ylim()
    within = np.clip(np.reshape(boxes, (-1, 4)), (x[0], y[0]) * 2, (x[1], y[1]) * 2)
    low, high = axes.transData.transform(within[:, :2]), axes.transData.transform(within[:, 2:])
    return np.hstack([low - GAP, high + GAP])


def _size(axes: Axes, label: str) -> np.ndarray:
    """Width and height in pixels."""
    text = axes.text(0, 0, label, fontsize=FONT_SIZE)
    box = text.get_window_extent()
    text.remove()
    return np.array([box.width, box.height])


def _free(
    axes: Axes, dot: np.ndarray, size: np.ndarray, around: np.ndarray, across: np.ndarray
) -> _Place | None:
    """The nearest place where the label meets no box of `around`, and its line none of `across`."""
    for radius in RADII:
        for angle in ANGLES:
            place = _place(axes, dot, size, radius, float(angle))
            inside = (place.box[:2] >= axes.bbox.min).all() and (place.box[2:] <= axes.bbox.max).all()
            if inside and not _meets(place, around, across):
                return place
    return None


def _place(axes: Axes, dot: np.ndarray, size: np.ndarray, radius: float, angle: float) -> _Place:
    direction = np.array([np.cos(angle), np.sin(angle)])
    offset = radius * direction + size * np.sign(direction.round(1)) / 2 * 72 / axes.figure.dpi
    center = dot + offset * axes.figure.dpi / 72
    box = np.hstack([center - size / 2 - GAP, center + size / 2 + GAP])
    end = np.clip(dot, center - size / 2, center + size / 2)
    line = dot + STEPS_ON_LINE[:, None] * (end - dot) if radius > ADJACENT else NO_LINE
    line = line[np.hypot(*(line - dot).T) > LABEL_CLEAR]  # points that touch would block each other's lines
    return _Place((float(offset[0]), float(offset[1])), box, line)


def _meets(place: _Place, around: np.ndarray, across: np.ndarray) -> bool:
    label = ((place.box[:2] < around[:, 2:]) & (place.box[2:] > around[:, :2])).all(axis=1).any()
    line = ((place.line[:, None] < across[:, 2:]) & (place.line[:, None] > across[:, :2])).all(axis=2).any()
    return bool(label or line)


def _write(axes: Axes, spot: tuple[float, float, str], place: _Place, theme: Theme) -> None:
    x, y, label = spot
    line = {"arrowstyle": "-", "color": theme.muted, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 5}
    axes.annotate(
        label,
        (x, y),
        place.offset,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=FONT_SIZE,
        arrowprops={**line, "relpos": _toward_point(place)} if len(place.line) else None,
        bbox={"facecolor": theme.back, "edgecolor": "none", "pad": 0.5, "alpha": 0.75},
        zorder=5,
    )


def _toward_point(place: _Place) -> tuple[float, float]:
    """The part of the label's box that is nearest to the point, 0..1."""
    low, high = place.box[:2] + GAP, place.box[2:] - GAP
    x, y = ((np.clip(place.line[0], low, high) - low) / (high - low)).tolist()
    return x, y
