"""Finding a task by name or by folder, and understanding what a folder of split files holds.

What is inferred of a folder can be said with flags (`TaskOptions`); what a trained model or a manifest
records outranks what is inferred, and what is doubtful is refused with the flag that decides it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from datasets import ClassLabel

from edgepress.core.class_labels import with_candidates, with_classes, with_columns, with_value
from edgepress.core.columns import ROW_NUMBERS, Table, find_columns
from edgepress.core.errors import EdgepressError, unknown_name
from edgepress.core.labels import (
    INTEGER,
    DataLabels,
    LabelMismatchError,
    label_key,
    label_text,
    refuse_ids,
    shown,
    sorted_labels,
)
from edgepress.core.split_files import TABLES, find_splits, no_split, split_name
from edgepress.core.split_record import SPLITS, record_of, task_name
from edgepress.core.splits import class_numbers, data_root, read_table
from edgepress.core.squad import TEXT
from edgepress.core.tags import OUTSIDE, TagSet, split_tag
from edgepress.core.tasks import TASKS, ProblemType, Task, TaskOptions, judged_on
from edgepress.core.tasks.kinds import kind_of
from edgepress.core.tasks.task import (
    IN_MEMORY,
    MULTI,
    QUESTIONS,
    RANKS,
    SINGLE,
    TAGS,
    VALUES,
    VECTORS,
    ZERO_SHOT,
    TrainedHead,
)
from edgepress.core.text_tasks import corpus_task, of_text, text_alone

ONE_VALUE = {VALUES: "score", RANKS: "relevance"}
"""Problem types of one logit -> what it is called."""
SIDES = ("start", "end")
"""Labels of a model that answers questions."""


def find_task(
    name: str, data: Path | None = None, options: TaskOptions | None = None, head: TrainedHead | None = None
) -> Task:
    """A task of the zoo by name, a folder below the data root, or a local folder by path.

    Args:
        name: as the user typed it.
        data: the data root; None takes `EDGEPRESS_DATA`.
        options: what is known of the data.
        head: the classes of the model that is to be scored or trained on; None for a new head, which gets
            the classes of the data.

    Returns:
        the task, whose `labels` are the head's.

    Raises:
        EdgepressError: there is no such task, what its folder holds is doubtful, or the head is another
            task's.
    """
    options = options or TaskOptions()
    if name in TASKS:
        return _zoo_task(replace(TASKS[name], root=data), options, head)
    for path in (Path(name), *([root / name] if (root := data_root(data)) else [])):
        if path.is_dir():
            if own := record_of(path):  # the columns were named when the split was made
                options = replace(
                    options,
                    text_columns=options.text_columns or own.text_columns,
                    label_column=options.label_column or own.label_columns,
                )
            files = find_splits(path, [*_names(options), *([options.split] if options.split else [])])
            return _task_from_files(path, task_name(path), files, options, head)
        if path.is_file() and (path.suffix.lower() in TABLES or not of_text(head)):
            return _task_from_table(path, options, head)
    if of_text(head):
        return corpus_task(name, data, options)
    if "/" in name or "\\" in name or Path(name).suffix.lower() in TABLES:
        raise EdgepressError(
            f"no such data folder or file: {name}", f"a zoo task is one of {', '.join(TASKS)}"
        )
    unknown = unknown_name("task", name, TASKS)
    raise EdgepressError(
        str(unknown),
        f"{unknown.hint}; or a folder, or a table: --task FILE.csv --text-columns TITLE BODY "
        "--label-column LABEL",
    )


def _zoo_task(task: Task, options: TaskOptions, head: TrainedHead | None) -> Task:
    if of_text(head):
        return text_alone(task, options)
    if options.problem_type == ZERO_SHOT and task.problem_type == SINGLE:
        columns = options.text_columns or task.text_columns
        own = replace(task, problem_type=ZERO_SHOT, text_columns=columns)
        own = own if options.split is None else judged_on(own, split_name(options.split))
        return with_candidates(own, DataLabels(task.labels, numbered=True), options, head)
    task, head = _of_asked_kind(task, options, head)
    return _with_named(task, options, head)


def _with_named(task: Task, options: TaskOptions, head: TrainedHead | None) -> Task:
    """The task with the columns, split and labels that the user names."""
    task = replace(
        task,
        text_columns=options.text_columns or task.text_columns,
        label_columns=options.label_column or task.label_columns,
    )
    if options.split is not None:
        task = judged_on(task, split_name(options.split))
    if not kind_of(task.problem_type).named:
        return task
    if task.problem_type == SINGLE:
        return with_classes(task, DataLabels(task.labels, numbered=True), options, head)
    if task.problem_type == TAGS:
        return with_tags(task, DataLabels(task.labels, numbered=True), options, head)
    return (
        with_columns(task, options.label_map, head) if task.problem_type == MULTI else with_value(task, head)
    )


def _of_asked_kind(
    task: Task, options: TaskOptions, head: TrainedHead | None
) -> tuple[Task, TrainedHead | None]:
    """The task as one of the kind that the user names, or the model is of; and the head, if it counts.

    Raises:
        EdgepressError: its data are not of the kind that the user names.
    """
    asked = options.problem_type or (head.problem_type if head else None)
    other = (
        kind_of(asked).of_task(task)
        if asked in get_args(ProblemType) and asked != task.problem_type
        else None
    )
    if other is not None:
        return other, head
    if options.problem_type not in (None, task.problem_type):
        raise EdgepressError(f"{task.name} is a {task.problem_type}", "leave --problem-type away")
    return task, None if asked == VECTORS else head


def _names(options: TaskOptions) -> list[str]:
    return [name for names in options.files.values() for name in names]


def _task_from_table(path: Path, options: TaskOptions, head: TrainedHead | None) -> Task:
    """The task of one table, all of whose rows are judged on; a training splits it first (`own_split`)."""
    if path.suffix.lower() not in TABLES:
        raise EdgepressError(f"{path} is no table", f"it takes {', '.join(TABLES)}, or a folder of them")
    own = replace(options, split=options.split or path.stem)
    files = {split_name(path.stem): [path]}
    if split_name(str(own.split)) not in files:
        raise no_split(path, str(own.split), [path.stem])
    return replace(_task_from_files(path.parent, path.stem, files, own, head), is_table=True)


def _task_from_files(
    folder: Path,
    name: str,
    files: Mapping[str, Sequence[Path]],
    options: TaskOptions,
    head: TrainedHead | None,
) -> Task:
    """The task that the files of splits show."""
    first = next((split for split in (*SPLITS, *files) if split in files), None)
    if first is None:
        raise EdgepressError(
            f"{folder} has no split", "it needs train.parquet (.csv, .tsv, .jsonl) and validation.parquet"
        )
    table = Table(_where(files[first]), read_table(files[first]))
    columns = find_columns(table, options, head)
    problem = columns.problem_type
    if head is not None and VECTORS == head.problem_type != problem:
        head = None  # a model that gives vectors is an encoder, of which anything may be made
    metric = columns.metric or kind_of(problem).metric
    task = Task(name, columns.text, (), columns.label, problem, metric, folder=folder)
    if own := record_of(folder):
        task = replace(task, own_split={**own.recorded, "folder": folder.resolve().name})
    task = _judged(task, files, options)
    tables = _tables(task, files, {first: table})
    task = replace(
        task,
        files={split: tuple(path.name for path in files[split]) for split in tables},
        rows={split: len(own.rows) for split, own in tables.items()},
        unused=_unused(table, {*columns.text, *columns.label}),
    )
    return task if of_text(head) else with_labels(task, tables, options, head)


def _judged(task: Task, files: Mapping[str, Sequence[Path]], options: TaskOptions) -> Task:
    """The task with its evaluation split: as the user says, else validation, or test without one.

    Thresholds are chosen: a task that has some is judged on test where both are there, and they are chosen on
    validation.

    Raises:
        EdgepressError: there is no such split, or none but that for training.
    """
    held_out = [split for split in SPLITS[1:] if split in files]
    if options.split is not None:
        wanted = split_name(options.split)
        if wanted not in files:
            raise no_split(task.folder, options.split, files)
        chosen = task.problem_type == MULTI and "validation" in files
        return judged_on(replace(task, selection_split="validation" if chosen else None), wanted)
    if task.problem_type == MULTI and set(SPLITS) <= set(files):
        return replace(task, evaluation_split="test", selection_split="validation")
    if not held_out:
        others = sorted(set(files) - set(SPLITS))
        hint = f"--split {others[0]} scores on that file" if others else "add validation.csv"
        raise EdgepressError(
            f"{task.folder} has no validation and no test split to score on",
            f"{hint}; --split train scores on what models are trained on, and the figure's name says so",
        )
    return judged_on(task, held_out[0])


def _tables(task: Task, files: Mapping[str, Sequence[Path]], known: Mapping[str, Table]) -> dict[str, Table]:
    """The rows of the splits that are read: for training, choosing and scoring."""
    used = dict.fromkeys(("train", task.selection_split, task.evaluation_split))
    wanted = {split: files[split] for split in used if split is not None and split in files}
    return {
        split: known.get(split) or Table(_where(paths), read_table(paths)) for split, paths in wanted.items()
    }


def _where(paths: Sequence[Path]) -> str:
    """What messages call the rows of a split."""
    first = paths[0]
    return f"split '{first.stem}'" if first.parent.name == IN_MEMORY else str(first)


def _unused(table: Table, used: set[str]) -> tuple[str, ...]:
    return tuple(
        name
        for name in table.rows.column_names
        if name not in used and name.strip().lower() not in ROW_NUMBERS
    )


def describe(task: Task) -> str:
    """A line that says what was understood of a data folder."""
    parts = [kind_of(task.problem_type).describe(task)]
    if task.matched_by:
        numbers: dict[int, list[str]] = {}
        for text, number in (task.label_ids or class_numbers(task.classes)).items():
            numbers.setdefault(number, []).append(text)
        pairs = [
            f"{' or '.join(texts)} = {task.classes[number]}" for number, texts in sorted(numbers.items())
        ]
        parts.append(f"labels by {task.matched_by}: {shown(pairs)}")
    if task.rows:
        parts.append(_row_words(task))
    if task.unused:
        parts.append(f"not used: {shown(task.unused)}")
    return f"{task.name}: {'; '.join(parts)}"


def _row_words(task: Task) -> str:
    words = [
        f"{count:,} {split} rows from {', '.join(task.files[split][:1])}"
        for split, count in task.rows.items()
    ]
    return f"{', '.join(words)}; scored on {task.evaluation_split}"


def with_labels(
    task: Task, tables: Mapping[str, Table], options: TaskOptions, head: TrainedHead | None
) -> Task:
    if not kind_of(task.problem_type).named:
        return task
    if task.problem_type in ONE_VALUE:
        return with_value(replace(task, labels=(ONE_VALUE[task.problem_type],)), head)
    if task.problem_type == QUESTIONS:
        _require_answers(task, tables)
        usual = 0.0 if _some_unanswered(task, tables) else None
        threshold = usual if options.null_threshold is None else options.null_threshold
        return replace(task, labels=SIDES, null_threshold=threshold)
    if task.problem_type == MULTI:
        return with_columns(replace(task, labels=task.label_columns), options.label_map, head)
    learned = {split: table for split, table in tables.items() if split == "train"}
    if task.problem_type == TAGS:
        return with_tags(task, _tags(task, learned or tables, tables), options, head)
    data = _classes(task, tables if head else learned or tables)
    label = with_candidates if task.problem_type == ZERO_SHOT else with_classes
    return label(task, data, options, head)


def _require_answers(task: Task, tables: Mapping[str, Table]) -> None:
    """Raise for a train split of which no question has an answer."""
    rows = tables["train"].column(task.label_columns[0]) if "train" in tables else [None]
    if all(isinstance(row, Mapping) and row.get(TEXT) == [] for row in rows):
        raise EdgepressError(
            f"{tables['train'].where}: no question has an answer", "name a file of which some have one"
        )


def _some_unanswered(task: Task, tables: Mapping[str, Table]) -> bool:
    """Whether a question has no answer; rows that are not what they should be are found when read."""
    rows = (row for table in tables.values() for row in table.column(task.label_columns[0]))
    return any(isinstance(row, Mapping) and row.get(TEXT) == [] for row in rows)


def _classes(task: Task, tables: Mapping[str, Table]) -> DataLabels:
    """The classes that the data have, by the names that they declare, or as they are written."""
    (column,) = task.label_columns
    first = next(iter(tables.values()))
    declared = first.rows.features.get(column)
    if isinstance(declared, ClassLabel):
        return DataLabels(tuple(declared.names), numbered=True)
    texts = [text for table in tables.values() for text in _texts(table, column)]
    refuse_ids(texts, column, first.where)
    return DataLabels(sorted_labels(texts))


def _texts(table: Table, column: str) -> list[str]:
    values = (value for value in table.column(column) if not isinstance(value, list | dict))
    return [text for text in map(label_text, values) if text is not None]


def _tags(task: Task, learned: Mapping[str, Table], tables: Mapping[str, Table]) -> DataLabels:
    """The tags that the data have, by the names that they declare, or as they are written.

    Raises:
        EdgepressError: a split has tags by other names, or the train split lacks one of another split.
    """
    (column,) = task.label_columns
    declared = {split: _declared_tags(table, column) for split, table in tables.items()}
    names = declared[next(iter(learned))]
    if other := next((split for split, own in declared.items() if own != names), None):
        raise EdgepressError(
            f"{task.name}: column '{column}' of {other} declares the tags {list(declared[other])}, and of "
            f"{next(iter(learned))} {list(names)}",
            "write the splits with the same names",
        )
    if names:
        return DataLabels(names, numbered=True)
    found = {split: _distinct_tags(table, column) for split, table in tables.items()}
    known = {tag for split in learned for tag in found[split]}
    for split, tags in found.items():
        lacking = sorted({tag.partition("-")[2] for tag in tags} - {tag.partition("-")[2] for tag in known})
        if lacking:
            raise EdgepressError(
                f"{task.name}: {split} has tags of '{lacking[0]}', and {', '.join(learned)} has none",
                "mend the data: what is judged has to be learned",
            )
    return DataLabels(sorted_labels(known))


def _declared_tags(table: Table, column: str) -> tuple[str, ...]:
    """The names of a column of lists of ClassLabel; none where it declares none."""
    own = table.rows.features[column]
    inner = own[0] if isinstance(own, list) else getattr(own, "feature", None)
    return tuple(inner.names) if isinstance(inner, ClassLabel) else ()


def _distinct_tags(table: Table, column: str) -> set[str]:
    values = (value for row in table.column(column) if isinstance(row, list) for value in row)
    return {text for text in map(label_text, values) if text is not None}


def with_tags(task: Task, data: DataLabels, options: TaskOptions, head: TrainedHead | None) -> Task:
    """The task with the head's tags, and what each tag of the data is called; without a head, the data's.

    Raises:
        EdgepressError: a tag of the data is no tag of entities, or the head has no such type.
    """
    said = {label_key(text): name for text, name in {**options.recorded_labels, **options.label_map}.items()}
    _refuse_unknown_tags(task, data, options.label_map)
    names = {
        label_key(own): _renamed(text, data.spellings(index), said)
        for index, text in enumerate(data.texts)
        for own in data.spellings(index)
    }
    if data.texts and all(INTEGER.fullmatch(name) for name in names.values()):
        raise EdgepressError(
            f"{task.name}: its tags are numbers, {shown(data.texts)}, and nothing says what they mean",
            "name them: --label-map 0=O 1=B-PER 2=I-PER ...",
        )
    types = dict.fromkeys(name for _, name in map(split_tag, names.values()) if name)
    if not types:
        raise EdgepressError(f"{task.name} has no entities: every tag is O", "name another --label-column")
    names = {text: name for text, name in names.items() if text != label_key(name)}
    if head is None:
        own = TagSet.of_types(types if data.numbered else sorted(types))
        return replace(
            task, labels=own.labels, tag_names=names, matched_by="map" if options.label_map else ""
        )
    known = {label_key(name) for name in TagSet(head.labels).types}
    if lacking := [name for name in types if label_key(name) not in known]:
        raise LabelMismatchError(
            f"the labels do not fit: {task.name} has {list(types)}, the model {list(head.labels)}",
            f"say what each means: --label-map {lacking[0]}={TagSet(head.labels).types[0]} ...; "
            f"{lacking[0]}={OUTSIDE} leaves it out",
        )
    return replace(task, labels=head.labels, tag_names=names, matched_by="map" if options.label_map else "")


def _refuse_unknown_tags(task: Task, data: DataLabels, label_map: Mapping[str, str]) -> None:
    """Raise for an entry of the map that is no tag and no type of the data."""
    tags = [own for index in range(len(data.texts)) for own in data.spellings(index)]
    known = {label_key(name) for tag in tags for name in (tag, tag.partition("-")[2])}
    for text in label_map:
        if label_key(text) not in known:
            raise LabelMismatchError(
                f"--label-map: {task.name} has no tag and no type '{text}'; it has {shown(data.texts)}",
                "name one of them",
            )


def _renamed(text: str, spellings: Sequence[str], said: Mapping[str, str]) -> str:
    """A tag as the user calls it: the whole tag, or its type alone, which may be none (O)."""
    whole = next((said[label_key(own)] for own in spellings if label_key(own) in said), None)
    if whole is not None:
        return whole
    prefix, sign, name = text.partition("-")
    if not sign or label_key(name) not in said:
        return text
    other = said[label_key(name)]
    return OUTSIDE if other == OUTSIDE else f"{prefix}-{other}"
