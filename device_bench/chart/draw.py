"""Which charts a set of machines has, and drawing one of them into a file or a buffer."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from device_bench.chart import plots, scatter
from device_bench.chart.theme import DPI, WIDTH_INCHES, Theme
from device_bench.chart.view import View, view
from device_bench.series import Machine

LINE_HEIGHT = 4.2
BAR_INCHES, BAR_FRAME = 0.36, 1.5


@dataclass(frozen=True)
class Chart:
    """One chart, not drawn yet."""

    name: str
    """For a file name."""
    title: str
    conditions: str
    height: float
    """Inches."""
    paint: Callable[[Figure, Theme], None]

    def render(self, theme: Theme, form: str) -> bytes:
        """The picture as `form`, png or svg."""
        target = BytesIO()
        with mpl.rc_context(cast("Any", theme.settings)):
            figure = Figure(figsize=(WIDTH_INCHES, self.height), layout="constrained", dpi=DPI)
            FigureCanvasAgg(figure)
            figure.suptitle(self.title, x=0.01, ha="left", fontsize=12, fontweight="bold")
            figure.supxlabel(self.conditions, x=0.01, ha="left", fontsize=8, color=theme.muted)
            self.paint(figure, theme)
            figure.savefig(target, format=form, metadata={"Date": None} if form == "svg" else None)
        return target.getvalue()


def charts(machines: Sequence[Machine]) -> list[Chart]:
    """All charts that the records have something for."""
    views = [own for machine in machines if (own := view(machine)) is not None]
    found = [chart for index, own in enumerate(views) for chart in _of_machine(own, _slug(own, index, views))]
    if len(views) > 1:
        rows = sum(len(own.points) for own in views)
        height = len(views) * BAR_FRAME + BAR_INCHES * rows
        found.append(
            Chart("devices", "Latency by device", "", height, lambda f, t: plots.devices(f, views, t))
        )
    return found


def _slug(own: View, index: int, views: Sequence[View]) -> str:
    if len(views) == 1:
        return ""
    return f"{index + 1}-{re.sub(r'[^a-z0-9]+', '-', own.machine.title.lower()).strip('-')}-"


def _of_machine(own: View, slug: str) -> Iterator[Chart]:
    plural = "s" * (own.threads != 1)
    threads = f"{own.threads} thread{plural}"

    def chart(name: str, title: str, height: float, paint: Callable[[Figure, View, Theme], None]) -> Chart:
        over_shapes = paint in (plots.latency_by_length, plots.latency_by_batch)
        where = f"{own.machine.title}: {threads if over_shapes else own.conditions}"
        return Chart(slug + name, title, where, height, lambda figure, theme: paint(figure, own, theme))

    bars = BAR_FRAME + BAR_INCHES * len(own.points)
    yield chart("size-latency", "Size against latency", scatter.HEIGHT, scatter.size_latency)
    if own.score_label and any(p.score is not None for p in own.points):
        yield chart("accuracy-latency", "Accuracy against latency", scatter.HEIGHT, scatter.accuracy_latency)
    if plots.has_lengths(own):
        yield chart("latency-length", "Latency by sequence length", LINE_HEIGHT, plots.latency_by_length)
    if plots.has_batches(own):
        yield chart("latency-batch", "Latency by batch size", LINE_HEIGHT, plots.latency_by_batch)
    if own.speed_ups():
        yield chart("speed-up", "Speed-up", bars, plots.speed_up)
    yield chart("cold-start-memory", "Cold start and memory", bars + 0.3, plots.cold_start_memory)


def write(found: Sequence[Chart], themes: Sequence[Theme], forms: Sequence[str], folder: Path) -> None:
    """One file a chart, theme and form: NAME-THEME.FORM."""
    for chart in found:
        for theme in themes:
            for form in forms:
                (folder / f"{chart.name}-{theme.name}.{form}").write_bytes(chart.render(theme, form))
