"""Labels of points that lie on no other label, point or edge."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

Place = tuple[int, int, Literal["left", "center", "right"]]
# Offsets from the point that are tried in turn [points], with the text's anchors.
PLACES: list[Place] = [
    (sign * dx, dy, "center" if dx == 0 else "left" if sign > 0 else "right")
    for dx, dy in ((7, 0), (7, 9), (7, -9), (0, 13), (0, -13), (12, 20), (12, -20), (18, 32), (18, -32))
    for sign in (1, -1)
]
POINT_RADIUS = 10  # pixels at theme.DPI


def place_labels(axes: Axes, spots: Sequence[tuple[float, float, str]], above: bool = False) -> None:
    """Write each label beside its point; one that has no free place is left out: nobody could read it.

    Args:
        axes: with its final limits.
        spots: x, y in data units, label.
        above: try above and below first, where bars of error lie beside the points.
    """
    canvas = axes.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    dots = [_around(axes.transData.transform((x, y))) for x, y, _ in spots]
    taken = list(dots)
    places = sorted(PLACES, key=lambda place: abs(place[0])) if above else PLACES
    for (x, y, label), own in zip(spots, dots, strict=True):
        taken += _place(axes, x, y, label, [box for box in taken if box is not own], places)


def _around(center: np.ndarray) -> Bbox:
    x, y = map(float, center)
    return Bbox.from_extents(x - POINT_RADIUS, y - POINT_RADIUS, x + POINT_RADIUS, y + POINT_RADIUS)


def _place(
    axes: Axes, x: float, y: float, label: str, taken: Sequence[Bbox], places: Sequence[Place]
) -> list[Bbox]:
    text = axes.annotate(label, (x, y), (0, 0), fontsize=8.5, va="center", textcoords="offset points")
    for dx, dy, side in places:
        text.set_position((dx, dy))
        text.set_horizontalalignment(side)
        box = text.get_window_extent()
        inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
        upright = axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1
        if inside and upright and not any(box.overlaps(other) for other in taken):
            return [box]
    text.remove()
    return []
