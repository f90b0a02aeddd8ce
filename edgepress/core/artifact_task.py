"""The task and the data that a trained model records: in its artifact's manifest, and in its classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from edgepress.core import console
from edgepress.core.artifact import Artifact
from edgepress.core.checkpoint import Checkpoint, read_checkpoint
from edgepress.core.errors import EdgepressError
from edgepress.core.heads import EMBEDDING, find_head
from edgepress.core.labels import LabelMismatchError, label_key
from edgepress.core.models import ModelSource
from edgepress.core.pretrained import load_config
from edgepress.core.split_record import task_name
from edgepress.core.splits import data_root
from edgepress.core.tasks import TASKS, ProblemType, Task, TaskOptions
from edgepress.core.tasks.kinds import kind_of, problem_of_head
from edgepress.core.tasks.task import TrainedHead, digests_in


def artifact_task(artifact: Artifact, data: Path | None = None, name: str | None = None) -> Task | None:
    """The task that an artifact was trained on, with the data that its manifest records; None: it has none.

    Args:
        artifact: the folder.
        data: the data root; None takes `EDGEPRESS_DATA`.
        name: another task, or the folder of other data; None takes the manifest's.

    Raises:
        EdgepressError: the task's data are not here, or are others.
    """
    source = ModelSource(str(artifact.folder), "trained", artifact.folder)
    return named_task(name, artifact, data, None, trained_head(source, artifact))


def named_task(
    task: str | Task | None,
    artifact: Artifact | None,
    data: Path | None,
    options: TaskOptions | None,
    head: TrainedHead | None,
) -> Task | None:
    """The task that the user names, or the artifact's own, with the data that its manifest records."""
    own = artifact.manifest.task if artifact else None
    if isinstance(task, Task):
        _require_labels(task, head)
        return task
    if task is None and own is None:
        return None
    from edgepress.core.task_discovery import find_task  # what looks into folders, only where there are some

    if task is not None:
        if task not in TASKS:
            task, options = _own_table(task, data, artifact, head, options or TaskOptions())
        recorded = artifact if own == task_name(Path(task)) else None
        return find_task(task, data, _with_recorded(options, recorded), head)
    if artifact is None or own is None:
        return None
    try:
        split = _recorded_split(artifact)
        near = _split_near(artifact, split) if split is not None else None
        named = (str(near) if near else None) or _recorded_place(artifact, own, data) or own
        found = find_task(named, data, _with_recorded(options, artifact), head)
        _require_same_data(found, artifact)
        return found
    except (LabelMismatchError, OtherDataError):
        raise
    except EdgepressError as error:
        raise EdgepressError(
            f"{artifact.folder} was trained on '{own}', which is not here: {error}",
            "name its folder with --task, or the data root with --data",
        ) from error


def _own_table(
    task: str, data: Path | None, artifact: Artifact | None, head: TrainedHead | None, options: TaskOptions
) -> tuple[str, TaskOptions]:
    """Split a table anew as a model's manifest records, or say that it is taken whole.

    Args:
        task: as the user named it.
        data: the data root.
        artifact: the model's folder, where it is one.
        head: the model's trained head.
        options: what the user says; where `split` is a table's own name, all of its rows are taken.

    Returns:
        the data's place, and the options with the columns that the model was trained on.
    """
    from edgepress.core.own_split import is_source, split_again, table_of

    table, split = table_of(task, data), _recorded_split(artifact)
    if table is None:
        return task, options
    if artifact is not None and split is not None:
        if options.split != table.stem or is_source(table, split):
            return str(split_again(table, split, _split_near(artifact, split))), options
        options = replace(
            options,
            text_columns=options.text_columns or tuple(split["text_columns"]),
            label_column=options.label_column or tuple(split["label_columns"]),
        )
    if head is not None:
        console.step(
            f"scored on all rows of {table.name}: if the model was trained on some of them, the score "
            "flatters it"
        )
    return task, options


def trained_head(
    source: ModelSource, artifact: Artifact | None, drops_others: bool = False
) -> TrainedHead | None:
    """The classes that the model's folder records; None where it has no trained classifier.

    A head without classes is one too where text alone is its data, unless another may take its place.
    """
    if source.folder is None or (artifact is not None and not artifact.manifest.model.head_trained):
        return None
    config = load_config(source)
    checkpoint = read_checkpoint(source.folder)
    found = find_head(config, checkpoint)
    if found.head is EMBEDDING and source.spec is None:  # a zoo name asks for the encoder
        return TrainedHead((), problem_of_head(EMBEDDING))
    if not found.head.labelled:
        alone = problem_of_head(found.head)
        dropped = alone is None or drops_others or source.spec is not None
        return None if dropped or not kind_of(alone).unlabelled else TrainedHead((), alone)
    labels = tuple(label for _, label in sorted((config.id2label or {}).items()))
    _require_rows(source.folder, len(labels), found.tensors, checkpoint)
    problem = config.problem_type if config.problem_type in get_args(ProblemType) else None
    said = recorded_type(artifact) or cast("ProblemType | None", problem)
    told = problem_of_head(found.head) or said
    return TrainedHead(labels, told)


def recorded_type(artifact: Artifact | None) -> ProblemType | None:
    """What an artifact's manifest says that its logits mean."""
    known = (artifact.manifest.data or {}).get("problem_type") if artifact else None
    return cast("ProblemType", known) if known in get_args(ProblemType) else None


def _require_rows(folder: Path, classes: int, tensors: Sequence[str], checkpoint: Checkpoint) -> None:
    """Raise if no tensor of a classifier gives as many logits as the config names classes.

    Raises:
        EdgepressError: config.json names another number of them.
    """
    rows = {checkpoint.tensors[name].shape[0] for name in tensors if len(checkpoint.tensors[name].shape) == 1}
    if rows and classes not in rows:
        raise EdgepressError(
            f"{folder}: config.json names {classes} classes, and the classifier gives {min(rows)} logits",
            'name them all in config.json: "id2label": {"0": "...", ...}',
        )


def _recorded_split(artifact: Artifact | None) -> dict[str, Any] | None:
    """What a manifest says of the split that a model was trained with; None where it was given."""
    split = (artifact.manifest.data or {}).get("own_split") if artifact else None
    return split if isinstance(split, dict) else None


def _split_near(artifact: Artifact, split: Mapping[str, Any]) -> Path | None:
    """The folder of the split that a model was trained with: beside it, or beside the folder it lies in."""
    places = (place / str(split["folder"]) for place in artifact.folder.absolute().parents[:2])
    return next((place for place in places if place.is_dir()), None)


def _recorded_place(artifact: Artifact, own: str, data: Path | None) -> str | None:
    """The folder or table that the artifact's manifest records of its data, where they still lie there
    unchanged.
    """
    known = artifact.manifest.data or {}
    place, digests = known.get("folder"), known.get("file_sha256")
    roots = (Path(), *([root] if (root := data_root(data)) else []))
    if own in TASKS or any((root / own).exists() for root in roots):
        return None
    folder = _folder_of(place)
    if folder is None or not isinstance(digests, dict):
        return None
    return place if digests_in(folder, digests) == digests else None


def _folder_of(place: object) -> Path | None:
    """The folder of recorded data, or of a recorded table, where it is still there."""
    path = Path(place) if isinstance(place, str) else None
    if path is not None and path.is_file():
        return path.parent
    return path if path is not None and path.is_dir() else None


class OtherDataError(EdgepressError):
    """The data of an artifact's task are not those that it was trained on."""


def _require_same_data(task: Task, artifact: Artifact) -> None:
    """Raise if a folder that was found by its name holds other data than the artifact was made with.

    Raises:
        OtherDataError: a file has another content.
    """
    recorded = (artifact.manifest.data or {}).get("file_sha256")
    if not isinstance(recorded, dict):
        return
    found = task.file_digests
    other = [name for name, digest in found.items() if recorded.get(name, digest) != digest]
    if not other:
        return
    files = f"{', '.join(other)} {'has' if len(other) == 1 else 'have'} other content"
    assert task.folder is not None, "its files have contents"
    known = _folder_of((artifact.manifest.data or {}).get("folder"))
    changed = len(other) < len(found) if known is None else known.resolve() == task.folder.resolve()
    said = "was changed since" if changed else "is another folder of that name"
    raise OtherDataError(
        f"{artifact.folder} was trained on '{task.name}', and {task.folder} {said}: {files}",
        f"--task {task.folder} says that it is meant, or name the one that it was trained on",
    )


def _require_labels(task: Task, head: TrainedHead | None) -> None:
    """Raise unless a trained head gives the task's labels in their order."""
    if head is None or head.problem_type == problem_of_head(EMBEDDING):  # no classes of its own
        return
    if [*map(label_key, head.labels)] != [*map(label_key, task.labels)]:
        raise LabelMismatchError(
            f"the labels do not fit: {task.name} has {list(task.labels)}, the model {list(head.labels)}",
            "--head new gives it a new classifier",
        )


def _with_recorded(options: TaskOptions | None, artifact: Artifact | None) -> TaskOptions | None:
    """What the user says, then what the artifact's manifest records."""
    known = artifact.manifest.data if artifact else None
    if not known:
        return options
    options = options or TaskOptions()
    asked = known.get("hypotheses", {})
    labels = asked.get("candidates") or known["labels"]
    meant = {text: labels[number] for text, number in known["label_ids"].items()}
    meant |= known.get("tag_names", {})
    return replace(
        options,
        label_column=options.label_column or tuple(known["label_columns"]),
        text_columns=options.text_columns or tuple(known["text_columns"]),
        problem_type=options.problem_type or known["problem_type"],
        split=options.split or known["evaluation_split"],
        hypothesis_template=options.hypothesis_template or asked.get("template"),
        entailment_label=options.entailment_label or asked.get("entailment_label"),
        recorded_labels=meant,
        files=options.files or {split: tuple(names) for split, names in known["files"].items()},
    )
