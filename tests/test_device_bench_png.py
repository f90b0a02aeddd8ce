"""Pictures with a palette: what they weigh, and how little they differ from the drawing."""

from io import BytesIO

import numpy as np
import pytest
from bench_records import measured
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from device_bench.charts.draw import charts
from device_bench.charts.png import COLOURS, QUICK, SMALLEST, encode, png
from device_bench.charts.theme import THEMES
from device_bench.grouping import sections

RECORDS = [measured(name, ms) for name, ms in (("fp32", 8.0), ("int8", 5.0), ("fp16", 7.0))]


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(int)


@pytest.mark.parametrize("theme", THEMES)
def test_a_chart_keeps_its_colours(theme):
    chart = charts(sections(RECORDS))[0]
    ((own, figure),) = chart.in_each([THEMES[theme]])
    drawn = FigureCanvasAgg(figure)
    drawn.draw()
    full = np.asarray(drawn.buffer_rgba())[..., :3].astype(int)
    content = png(figure)
    image = Image.open(BytesIO(content))
    assert (image.mode, image.format) == ("P", "PNG")
    assert round(image.info["dpi"][0]) == figure.dpi
    off = np.abs(opened(content) - full).max(axis=-1)
    assert off.max() < 26  # of 255
    assert (off > 0).mean() < 0.1
    back = [int(own.back[at : at + 2], 16) for at in (1, 3, 5)]
    assert opened(content)[0, 0].tolist() == back


def test_few_colours_stay_as_they_are():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (COLOURS, 3), dtype=np.uint8)[rng.integers(0, COLOURS, (40, 60))]
    assert (opened(encode(picture, 96)) == picture).all()


def test_a_rare_colour_keeps_its_hue():
    """A thousand shades of grey and blue leave a place to one red dot."""
    picture = np.stack(np.meshgrid(np.arange(250), np.arange(250)), axis=-1).max(axis=-1, keepdims=True)
    picture = np.concatenate([picture, picture, np.arange(250)[:, None, None].repeat(250, 1)], axis=-1)
    picture[100, 100] = (220, 0, 0)
    red, green, blue = opened(encode(picture.astype(np.uint8), 96))[100, 100]
    assert (red, green, blue) == (220, 0, 0)


def test_what_is_kept_for_long_is_packed_harder():
    figure = next(iter(charts(sections(RECORDS))[0].in_each([THEMES["light"]])))[1]
    quick, smallest = png(figure, QUICK), png(figure, SMALLEST)
    assert len(smallest) < len(quick) < 100_000
    assert (opened(quick) == opened(smallest)).all()
    assert png(figure) == quick
