"""Choice of the charts for a set of sections, and drawing of a chart into a file or a buffer."""

import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from device_bench.charts import bars, lines, scatter
from device_bench.charts.png import QUICK, png
from device_bench.charts.theme import DPI, WIDTH_INCHES, Theme, repaint
from device_bench.charts.view import Point, View, view
from device_bench.grouping import Section

BAR_FRAME, LEGEND = 1.15, 0.25
"""Heights of the frame around bars and of a legend [inches]."""
CONDITIONS_WIDTH = 130
"""Characters in a line below a chart."""
CONDITIONS_LINE = 0.15
DEVICES = "devices"
"""What the name of the chart of several machines ends in."""
Paint = Callable[[Figure, Theme], None]
PaintView = Callable[[Figure, View, Theme], None]


@dataclass(frozen=True)
class Chart:
    """A chart that is not drawn yet."""

    name: str
    """Name for a file."""
    title: str
    conditions: str
    height: float
    """Height of the chart [inches]."""
    paint: Paint

    def render(self, theme: Theme, form: str) -> bytes:
        """The picture as `form`, png or svg."""
        return picture(self._draw(theme), form)

    def in_each(self, themes: Sequence[Theme]) -> Iterator[tuple[Theme, Figure]]:
        """The same figure in one theme after another: laid out once, which takes as long as drawing it."""
        drawn = themes[0]
        figure = self._draw(drawn)
        for theme in themes:
            repaint(figure, drawn, theme)
            drawn = theme
            yield theme, figure

    def _draw(self, theme: Theme) -> Figure:
        """Draw the chart with everything in its place."""
        with mpl.rc_context(cast("Any", theme.settings)):
            layout = ConstrainedLayoutEngine()
            height = self.height + CONDITIONS_LINE * self.conditions.count("\n")
            figure = Figure(figsize=(WIDTH_INCHES, height), layout=layout, dpi=DPI)
            FigureCanvasAgg(figure)  # it measures in the figure's own dots; that of SVG does not
            figure.suptitle(self.title, x=0.01, ha="left", fontsize=12, fontweight="bold")
            figure.supxlabel(self.conditions, x=0.01, ha="left", fontsize=8, color=theme.muted)
            self.paint(figure, theme)
            layout.execute(figure)
            figure.set_layout_engine("none")
        return figure


def picture(figure: Figure, form: str, level: int = QUICK) -> bytes:
    """A laid out figure as `form`, png (packed at this level) or svg."""
    figure.set_dpi(DPI)  # an SVG written before has left its own
    if form == "png":
        return png(figure, level)
    target = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "edgepress"}):
        FigureCanvasSVG(figure).print_svg(target, metadata={"Date": None})
    return target.getvalue()


def charts(sections: Sequence[Section]) -> list[Chart]:
    """List all charts that the records have data for.

    A task that was measured on several machines has one more, which compares them.
    """
    views = [own for section in sections if (own := view(section)) is not None]
    found = [chart for index, own in enumerate(views) for chart in _of_section(own, _slug(own, index, views))]
    tasks = dict.fromkeys(own.section.task for own in views)
    for task in tasks:
        alike = [own for own in views if own.section.task == task]
        if len(alike) > 1:
            found.append(_devices(alike, f"{_plain(task)}-" if len(tasks) > 1 else ""))
    return found


def _devices(views: Sequence[View], slug: str) -> Chart:
    height = sum(BAR_FRAME + bars.height(bars.names(own.points)) for own in views)
    return Chart(slug + DEVICES, "Latency by device", "", height, lambda f, t: bars.devices(f, views, t))


def _slug(own: View, index: int, views: Sequence[View]) -> str:
    return "" if len(views) == 1 else f"{index + 1}-{_plain(own.section.title)}-"


def _plain(text: str) -> str:
    """Convert to a part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "no-task"


def _of_section(own: View, slug: str) -> Iterator[Chart]:
    scored = [p for p in own.points if p.score is not None]
    place = ", ".join(part for part in (own.section.title, own.artifact) if part)

    def chart(
        name: str,
        title: str,
        height: float,
        paint: Paint,
        shown: Collection[str],
        shape: str = own.conditions,
    ) -> Chart:
        return Chart(slug + name, title, _lines(f"{place}: {shape}", own.absent(shown)), height, paint)

    def of_points(name: str, title: str, height: float, paint: PaintView, points: Sequence[Point]) -> Chart:
        return chart(name, title, height, lambda f, t: paint(f, own, t), [p.label for p in points])

    yield of_points("size-latency", "Size against latency", scatter.HEIGHT, scatter.size_latency, own.points)
    if own.score_label and scored:
        title = "Accuracy against latency"
        yield of_points("accuracy-latency", title, scatter.HEIGHT, scatter.accuracy_latency, scored)
    for name, title, found in (
        ("latency-length", "Latency by sequence length", lines.by_length(own)),
        ("latency-batch", "Latency by batch size", lines.by_batch(own)),
    ):
        if found is not None:
            shown = [line.label for line in found.lines]
            yield chart(name, title, found.height, found.paint, shown, own.thread_count)
    if own.speed_ups():
        height = BAR_FRAME + bars.height(bars.names([point for point, _ in own.speed_ups()]))
        title = f"Speed-up over {own.baseline}"
        yield of_points("speed-up", title, height, bars.speed_up, own.compared())
    height = BAR_FRAME + LEGEND + bars.height(bars.names(own.points, bars.NARROW))
    yield of_points("cold-start-memory", "Cold start and memory", height, bars.cold_start_memory, own.points)


def _lines(*parts: str) -> str:
    """Break each part of a title into lines."""
    return "\n".join(textwrap.fill(part, CONDITIONS_WIDTH) for part in parts if part)


def write(
    found: Sequence[Chart],
    themes: Sequence[Theme],
    forms: Sequence[str],
    folder: Path,
    level: int = QUICK,
) -> None:
    """Write a file for each chart, theme and form, called NAME-THEME.FORM; PNGs packed at this level."""
    for chart in found:
        for theme, figure in chart.in_each(themes):
            for form in forms:
                (folder / f"{chart.name}-{theme.name}.{form}").write_bytes(picture(figure, form, level))
