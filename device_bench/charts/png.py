"""Pictures as PNG files with a palette, a third of the size of those in full colour."""

from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

COLOURS, EXACT = 128, 32
"""Number of colours in a palette, and of those that are kept as they are: page, text, grid, lines."""
QUICK, SMALLEST = 6, 9
"""Levels of zlib. The second takes a tenth off in six times the time: for pictures that are kept for long."""

Pixels = NDArray[np.uint8]


def png(figure: Figure, level: int = QUICK) -> bytes:
    """A laid out figure in its own dots an inch."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return encode(np.asarray(canvas.buffer_rgba()), figure.dpi, level)


def encode(picture: Pixels, dpi: float, level: int = QUICK) -> bytes:
    """An opaque picture of [height, width, 3 or 4] as PNG with a palette of its own."""
    red, green, blue = (picture[..., channel].astype(np.uint32) for channel in range(3))
    packed = red << 16 | green << 8 | blue
    values, counts = np.unique(packed, return_counts=True)
    colours = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1).astype(np.int32)
    chosen, nearest = _palette(colours, counts)
    places = np.zeros(1 << 24, np.uint8)  # by packed colour
    places[values] = nearest
    image = Image.fromarray(places[packed])
    image.putpalette(colours[chosen].astype(np.uint8).tobytes())
    target = BytesIO()
    image.save(target, "png", dpi=(dpi, dpi), compress_level=level)
    return target.getvalue()


def _palette(colours: NDArray[np.int32], counts: NDArray[np.intp]) -> tuple[list[int], Pixels]:
    """Which colours to keep, and for each colour the nearest of those.

    First the most frequent ones, then one by one the colour that is farthest from all that are kept
    (Gonzalez 1985), so that smoothed edges and what is small on the page keep their hue, too.

    Args:
        colours: [n, 3], without repetition.
        counts: how many pixels have each.
    """
    frequent = np.argsort(-counts, kind="stable")[:EXACT]
    nearest, distances = np.zeros(len(colours), np.uint8), np.full(len(colours), np.iinfo(np.int32).max)
    chosen: list[int] = []
    while len(chosen) < min(COLOURS, len(colours)):
        place = int(frequent[len(chosen)] if len(chosen) < len(frequent) else distances.argmax())
        own = np.square(colours - colours[place]).sum(axis=1)
        nearest[own < distances] = len(chosen)
        distances = np.minimum(own, distances)
        chosen.append(place)
    return chosen, nearest
