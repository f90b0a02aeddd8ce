"""Classes of a task: the data's own for a new head, a trained head's, or those that it is asked about."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgepress.core.columns import require_one_text
from edgepress.core.errors import EdgepressError
from edgepress.core.hypotheses import make_hypotheses
from edgepress.core.labels import (
    DataLabels,
    LabelMismatchError,
    label_key,
    match_columns,
    match_labels,
)
from edgepress.core.tasks import MOST_TEXTS, Task, TaskOptions
from edgepress.core.tasks.task import MULTI, SINGLE, VALUES, TrainedHead


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


def with_candidates(task: Task, data: DataLabels, options: TaskOptions, head: TrainedHead | None) -> Task:
    """The task of asking a model of entailment about the data's classes.

    Raises:
        EdgepressError: there is no trained model, its texts are pairs, or its labels do not say what entails.
    """
    if head is None:
        raise EdgepressError(
            f"{task.name}: zero-shot asks a model that was trained on entailment, and this one was not",
            "name one that was, or leave --problem-type away to train on the classes",
        )
    require_one_text(task.text_columns[:MOST_TEXTS] if task.texts_a_row > 1 else (), task.name)
    own = _own_classes(task, data, {**options.recorded_labels, **options.label_map})
    asked = make_hypotheses(head.labels, own.labels, options.hypothesis_template, options.entailment_label)
    return replace(own, labels=head.labels, hypotheses=asked, matched_by="map" if options.label_map else "")


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
    if not head.takes(task.problem_type):
        raise LabelMismatchError(
            f"{task.name} is a {task.problem_type}, the model has the classes {list(head.labels)}",
            "name a --task of the model's kind",
        )
    return replace(task, labels=head.labels)
