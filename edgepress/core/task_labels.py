"""The labels of a task: a trained head's, to which the data are mapped, or for a new head the data's own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from datasets import ClassLabel

from edgepress.core.columns import MULTI, SINGLE, VALUES, Table, TrainedHead
from edgepress.core.errors import EdgepressError
from edgepress.core.labels import (
    DataLabels,
    LabelMismatchError,
    label_key,
    label_text,
    match_columns,
    match_labels,
    sorted_labels,
)
from edgepress.core.tasks import Task, TaskOptions

# More distinct labels than this, in more than half of the rows, are no classes.
MOST_RARE_CLASSES = 20


def with_labels(
    task: Task, tables: Mapping[str, Table], options: TaskOptions, head: TrainedHead | None
) -> Task:
    if task.problem_type == VALUES:
        return with_value(replace(task, labels=("score",)), head)
    if task.problem_type == MULTI:
        return with_columns(replace(task, labels=task.label_columns), options.label_map, head)
    learned = {split: table for split, table in tables.items() if split == "train"}
    data = _classes(task, tables if head else learned or tables)
    return with_classes(task, data, options, head)


def _classes(task: Task, tables: Mapping[str, Table]) -> DataLabels:
    """The classes that the data have, by the names that they declare, or as they are written."""
    (column,) = task.label_columns
    first = next(iter(tables.values()))
    declared = first.rows.features.get(column)
    if isinstance(declared, ClassLabel):
        return DataLabels(tuple(declared.names), numbered=True)
    texts = [text for table in tables.values() for text in _texts(table, column)]
    distinct = sorted_labels(texts)
    if len(distinct) > MOST_RARE_CLASSES and len(distinct) > len(texts) / 2:
        raise EdgepressError(
            f"{first.where}: column '{column}' has {len(distinct):,} different labels in {len(texts):,} rows",
            f"name another --label-column, or --problem-type {VALUES} for numbers",
        )
    return DataLabels(distinct)


def _texts(table: Table, column: str) -> list[str]:
    values = (value for value in table.column(column) if not isinstance(value, list | dict))
    return [text for text in map(label_text, values) if text is not None]


def with_classes(task: Task, data: DataLabels, options: TaskOptions, head: TrainedHead | None) -> Task:
    """The task with the head's classes, and what each label of the data means; without a head, the data's."""
    if head is None:
        return _own_classes(task, data, options.label_map)
    if not head.takes(SINGLE):
        raise LabelMismatchError(
            f"{task.name} has one class a text, the model is a {head.problem_type or VALUES}",
            "name a --task of the model's kind",
        )
    found = match_labels(data, head.labels, options.label_map, task.name, options.recorded_labels)
    by = "" if found.by == "name" and data.texts == head.labels else found.by
    return replace(task, labels=head.labels, label_ids=found.ids, matched_by=by)


def _own_classes(task: Task, data: DataLabels, label_map: Mapping[str, str]) -> Task:
    """The classes of a new head: the data's, renamed and merged as the map says."""
    named = {label_key(text): name for text, name in label_map.items()}
    texts = [
        next((named[label_key(own)] for own in data.spellings(index) if label_key(own) in named), text)
        for index, text in enumerate(data.texts)
    ]
    labels = tuple(dict.fromkeys(texts))
    _refuse_alike(labels, task)
    ids = {
        label_key(own): labels.index(text)
        for index, text in enumerate(texts)
        for own in data.spellings(index)
    }
    return replace(task, labels=labels, label_ids=ids, matched_by="map" if named else "")


def _refuse_alike(labels: Sequence[str], task: Task) -> None:
    if len(labels) == 1:
        raise EdgepressError(
            f"{task.name} has one class only, '{labels[0]}': there is nothing to tell apart",
            "add rows of another class",
        )
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(label_key(label), label)
        if other != label:
            raise EdgepressError(
                f"{task.name} has the labels '{other}' and '{label}': one class, or two?",
                f"mend the data, or --label-map {label}={other}",
            )


def with_columns(task: Task, label_map: Mapping[str, str], head: TrainedHead | None) -> Task:
    """A task of several labels at once with the head's labels, each with its column."""
    if head is None:
        named = tuple(label_map.get(column, column) for column in task.label_columns)
        return replace(task, labels=named)
    columns = match_columns(task.label_columns, head.labels, label_map)
    if not head.takes(MULTI) or columns is None or len(columns) != len(task.label_columns):
        raise LabelMismatchError(
            f"the labels do not fit: {task.name} has the columns {list(task.label_columns)}, "
            f"the model {list(head.labels)}",
            "name the columns with --label-column, or map them with --label-map COLUMN=LABEL ...",
        )
    return replace(task, labels=head.labels, label_columns=tuple(columns))


def with_value(task: Task, head: TrainedHead | None) -> Task:
    if head is None:
        return task
    if not head.takes(VALUES):
        raise LabelMismatchError(
            f"{task.name} has values, the model the classes {list(head.labels)}",
            "name a --task of the model's kind",
        )
    return replace(task, labels=head.labels)
