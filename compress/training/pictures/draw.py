"""All pictures that there is something for."""

from collections.abc import Sequence

from compress.training.pictures import confusion, epochs, roc
from compress.training.pictures.trained import Trained
from device_bench.charts.draw import Chart


def pictures(models: Sequence[Trained], note: str = "") -> list[Chart]:
    """Of these models side by side; `note` stands below each."""
    found = (own.chart(models, note) for own in (epochs, confusion, roc))
    return [chart for chart in found if chart is not None]
