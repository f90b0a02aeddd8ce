"""What the command says at the end: teacher, student, and the student without the teacher."""

from typing import Any

from rich import box
from rich.table import Table

from edgepress import console
from edgepress.loading import OpenedModel
from edgepress.tasks import Task

BYTES_OF_FP32 = 4


def show(teacher: OpenedModel, student: OpenedModel, task: Task, metrics: dict[str, Any]) -> None:
    """Print one row a model: parameters, size, the task's metric, and how much of the teacher's is kept."""
    table = Table(title=f"{task.name}/{task.evaluation_split}", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("model", "params", "fp32 MB", task.metric, "kept", "training"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    best = metrics["teacher"][task.metric]
    _row(table, "teacher", teacher, task, metrics["teacher"], best)
    _row(table, "student", student, task, metrics, best)
    if "plain" in metrics:
        _row(table, "student without the teacher", student, task, metrics["plain"], best)
    console.out.print(table)


def _row(
    table: Table, name: str, opened: OpenedModel, task: Task, metrics: dict[str, Any], best: float | None
) -> None:
    parameters, reached = opened.model.num_parameters(), metrics[task.metric]
    table.add_row(
        name,
        f"{parameters / 1e6:.1f} M",
        f"{parameters * BYTES_OF_FP32 / 1e6:.1f}",
        "-" if reached is None else f"{100 * reached:.2f} %",
        f"{100 * reached / best:.1f} %" if reached is not None and best and best > 0 else "-",
        f"{metrics['seconds']:.0f} s" if "seconds" in metrics else "",
    )
