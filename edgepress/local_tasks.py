"""Finding a task by name or by folder; a folder of split files is a task as it stands."""

from pathlib import Path
from typing import Any

from datasets import Dataset

from edgepress.errors import EdgepressError, unknown_name
from edgepress.splits import data_root, local_split, read_table
from edgepress.squad import squad_file
from edgepress.tasks import PAIR, TASKS, Task

SPLITS = ("train", "validation", "test")


def find_task(name: str, data: Path | None = None) -> Task:
    """A task of the zoo by name, a folder below the data root, or a local folder by path.

    Raises:
        EdgepressError: there is no such task, or the folder's columns cannot be told apart.
    """
    if name in TASKS:
        return TASKS[name]
    for folder in (Path(name), *([root / name] if (root := data_root(data)) else [])):
        if folder.is_dir():
            return _task_from_folder(folder)
    raise unknown_name("task", name, TASKS)


TEXT_COLUMNS: tuple[tuple[str, ...], ...] = (
    PAIR,
    ("question", "sentence"),
    ("premise", "hypothesis"),
    ("text",),
    ("sentence",),
)


def _task_from_folder(folder: Path) -> Task:
    """The task that a folder's first split shows: text columns by name, label kind by its values."""
    if squad_file(folder, "train") or squad_file(folder, "validation"):
        return _answering(folder)
    present = {split: path for split in SPLITS if (path := local_split(folder, split))}
    if not present:
        raise EdgepressError(
            f"{folder} has no split", "it needs train.parquet (.csv, .jsonl) and validation.parquet"
        )
    path = next(iter(present.values()))
    dataset = read_table([path])
    kind = _label_kind(dataset, str(path))
    columns = text_columns(dataset, path)
    return Task(folder.resolve().name, columns, folder=folder, **kind, **_judged_on(set(present), kind))


def _judged_on(present: set[str], kind: dict[str, Any]) -> dict[str, Any]:
    """Where models are judged: validation, or test where there is none.

    Thresholds are chosen: a task that has some is judged on test where both are there, and they are chosen on
    validation.
    """
    if kind.get("problem_type") == "multi_label_classification" and present == set(SPLITS):
        return {"evaluation_split": "test", "selection_split": "validation"}
    return {"evaluation_split": next((split for split in SPLITS[1:] if split in present), SPLITS[0])}


def _answering(folder: Path) -> Task:
    return Task(
        folder.resolve().name,
        ("question", "context"),
        labels=("start", "end"),
        problem_type="question_answering",
        metric="answer_f1",
        folder=folder,
    )


def text_columns(dataset: Dataset, path: Path | str) -> tuple[str, ...]:
    """Which columns hold the text.

    Raises:
        EdgepressError: none has a known name.
    """
    for columns in TEXT_COLUMNS:
        if set(columns) <= set(dataset.column_names):
            return columns
    raise EdgepressError(
        f"{path} has no column 'text'; it has {dataset.column_names}",
        f"name the text column(s) {', or '.join(' and '.join(c) for c in TEXT_COLUMNS)}",
    )


def _label_kind(dataset: Dataset, where: str) -> dict[str, Any]:
    """Labels, problem type and metric, by what the label column holds; rows are checked as they are read."""
    if "label" not in dataset.column_names:
        return _multi_label_kind(dataset, where)
    values = [value for value in dataset["label"] if value is not None]
    if values and all(isinstance(value, float) for value in values):
        return {"labels": ("score",), "problem_type": "regression", "metric": "spearman"}
    if values and all(isinstance(value, int) for value in values):
        return {"labels": tuple(str(index) for index in range(max(values) + 1))}
    if values and all(isinstance(value, str) for value in values):
        return {"labels": tuple(sorted(set(values)))}
    raise EdgepressError(f"{where}: column 'label' holds no numbers and no class names")


def _multi_label_kind(dataset: Dataset, where: str) -> dict[str, Any]:
    flags = tuple(column for column in dataset.column_names if _is_flag(list(dataset[column])))
    if not flags:
        raise EdgepressError(f"{where} has no column 'label'; it has {dataset.column_names}")
    return {
        "labels": flags,
        "label_columns": flags,
        "problem_type": "multi_label_classification",
        "metric": "f1_micro",
    }


def _is_flag(values: list[Any]) -> bool:
    return all(isinstance(value, int) and value in (0, 1) for value in values)
