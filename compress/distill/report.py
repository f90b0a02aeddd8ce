"""What the command says at the end: teacher, student, and the student without the teacher."""

from typing import Any

from edgepress.core.loading import OpenedModel
from edgepress.core.tables import ScreenTable, screen_table
from edgepress.core.tasks import Task

BYTES_OF_FP32 = 4


def table(teacher: OpenedModel, student: OpenedModel, task: Task, metrics: dict[str, Any]) -> ScreenTable:
    """One row a model: parameters, size, the task's metric, and how much of the teacher's is kept."""
    rows = [
        ("teacher", *_cells(teacher, task, metrics["teacher"], metrics)),
        ("student", *_cells(student, task, metrics, metrics)),
    ]
    if "baseline" in metrics:
        rows.append(("student without the teacher", *_cells(student, task, metrics["baseline"], metrics)))
    headings = ("model", "params", "fp32 MB", task.metric, "kept", "training")
    return screen_table(f"{task.name}/{task.evaluation_split}", headings, rows)


def _cells(opened: OpenedModel, task: Task, own: dict[str, Any], metrics: dict[str, Any]) -> tuple[str, ...]:
    parameters, reached, best = (
        opened.model.num_parameters(),
        own[task.metric],
        metrics["teacher"][task.metric],
    )
    return (
        f"{parameters / 1e6:.1f} M",
        f"{parameters * BYTES_OF_FP32 / 1e6:.1f}",
        "-" if reached is None else f"{100 * reached:.2f} %",
        f"{100 * reached / best:.1f} %" if reached is not None and best and best > 0 else "-",
        f"{own['seconds']:.0f} s" if "seconds" in own else "",
    )
