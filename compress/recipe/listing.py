"""What a line's task asks, as pictures and texts need it."""

import json
from typing import Any

from compress.recipe.lines import TableLine
from edgepress.core.tasks import TASKS, Task

CONFIG = "config.json"


def task_of(line: TableLine) -> Task | None:
    """The line's task; of one that is a folder what the model's config says of it. None for a mean."""
    if line.task in TASKS:
        return TASKS[line.task]
    files = (run.output / CONFIG for run in line.runs.values() if line.task)
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    names = {int(number): name for number, name in content.get("id2label", {}).items()}
    labels = tuple(names[number] for number in sorted(names))
    kind: Any = content.get("problem_type") or "single_label_classification"
    return Task(line.task, ("text",), labels, problem_type=kind)
