"""The pictures of a training, in the folder of its model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.training.pictures.draw import pictures
from compress.training.pictures.trained import Trained
from device_bench.charts.theme import THEMES
from edgepress.core.tasks import Task

PICTURES = "pictures"
# What stands beside the model itself in the metrics of its step.
BESIDE = {"baseline": "without the teacher", "teacher": "teacher"}


def write_pictures(name: str, task: Task | None, metrics: Mapping[str, Any], folder: Path) -> str:
    """Draw what the metrics of a step hold, of all models that they are of.

    Args:
        name: of the model.
        task: what its classifier was trained for; None for a masked language model.
        metrics: of its step.
        folder: of the artifact.

    Returns:
        Markdown that shows them.
    """
    metric, labels = (task.metric, task.labels) if task else ("", ())
    named = {name: metrics, **{title: metrics[key] for key, title in BESIDE.items() if key in metrics}}
    found = pictures([Trained(title, metric, own, labels) for title, own in named.items()])
    (folder / PICTURES).mkdir()
    for chart in found:
        (folder / PICTURES / f"{chart.name}.png").write_bytes(chart.render(THEMES["light"], "png"))
    return "".join(f"\n![{chart.name}]({PICTURES}/{chart.name}.png)\n" for chart in found)
