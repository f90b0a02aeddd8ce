"""Tasks: `Task`, the zoo, a command's flags; `kinds.kind_of` finds the module of a kind of task."""

from edgepress.core.tasks.flags import TaskFlags
from edgepress.core.tasks.task import MOST_TEXTS, ON_TRAIN, ProblemType, Task, TaskOptions, judged_on
from edgepress.core.tasks.zoo import DEFAULT_TASK, PAIR, TASK_HELP, TASKS

__all__ = [
    "DEFAULT_TASK",
    "MOST_TEXTS",
    "ON_TRAIN",
    "PAIR",
    "TASKS",
    "TASK_HELP",
    "ProblemType",
    "Task",
    "TaskFlags",
    "TaskOptions",
    "judged_on",
]
