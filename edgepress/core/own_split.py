"""A table that is no data folder yet: split into what is trained on and what is held out.

The split is stratified by class, seeded, and made by text: a text that occurs twice is on one side. It
depends on the table's content, its columns and the seed alone, so that it can be made again.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from edgepress.core.caches import cache_root
from edgepress.core.columns import Columns, Table, find_columns
from edgepress.core.console import step, warn
from edgepress.core.errors import EdgepressError
from edgepress.core.files import remove, sha256, staged_folder, to_json
from edgepress.core.identity import digest_of
from edgepress.core.labels import label_key, label_text, refuse_ids, shown
from edgepress.core.split_files import CONLL, TABLES, TAGS, WORDS, split_of, tables
from edgepress.core.split_record import RECORD, SPLITS, OwnSplit, record_of, table_name
from edgepress.core.splits import RowNames, data_root, read_table, read_texts, rows_of
from edgepress.core.task_discovery import with_labels
from edgepress.core.tasks import TaskOptions
from edgepress.core.tasks.kinds import kind_of
from edgepress.core.tasks.task import MULTI, RANKS, SINGLE, VALUES, VECTORS, ZERO_SHOT, Task

TEXT_PROBLEMS = (SINGLE, MULTI, VALUES, RANKS, VECTORS)
"""Problem types whose rows have texts and labels; others have words and tags, or answers."""
SUFFIX = "-split"
ALIKE = 0.5
"""Share of texts that two states of one table have in common at least."""


def table_of(task: str, data: Path | None = None) -> Path | None:
    """The one table that a task names: a file, or the only one in a folder; None where it is anything else.

    Raises:
        EdgepressError: the folder's files are doubtful.
    """
    for path in (Path(task), *([root / task] if (root := data_root(data)) else [])):
        if path.is_file() and path.suffix.lower() in TABLES:
            return path
        if path.is_dir() and not (path / RECORD).is_file() and (found := tables(path)):
            (first, *others) = found
            return None if others or split_of(first) in SPLITS[1:] else first
    return None


@contextmanager
def provisional_split(
    table: Path,
    output: Path,
    options: TaskOptions,
    overwrite: bool,
    resumable: Callable[[], bool] = lambda: False,
) -> Iterator[Path]:
    """Split as `split_beside` does; where the block fails, what it left is as it was before.

    Args:
        table, output, options, overwrite: as `split_beside` takes them.
        resumable: asked where the block fails; whether another run goes on where it was, so that the split
            stays for it.

    Raises:
        EdgepressError: as `split_beside`.
    """
    target = beside(output)
    replaced = target.with_name(f".{target.name}.replaced")
    remove(replaced)  # of a run that was killed
    was_there = target.exists()
    if was_there and overwrite:
        shutil.copytree(target, replaced)
    try:
        yield split_beside(table, output, options, overwrite)
    except BaseException:
        if replaced.exists():
            remove(target)
            replaced.rename(target)
        elif not was_there and not (target.exists() and resumable()):
            remove(target)
        elif not was_there:
            step(f"the split of {table.name} stays for the run that goes on: {target}")
        raise
    remove(replaced)
    step(f"the split of {table.name}: {target}")


def beside(output: Path) -> Path:
    """Return the folder of an output's split: OUTPUT-split."""
    return output.with_name(output.name + SUFFIX)


def split_beside(table: Path, output: Path, options: TaskOptions, overwrite: bool) -> Path:
    """Write the split of a table beside an output, or take the one that is there already.

    Args:
        table: CSV, TSV, JSON lines or Parquet.
        output: the model's folder; the split lies in OUTPUT-split.
        options: what the user says of the table's columns.
        overwrite: another split may be replaced.

    Returns:
        the folder, a data folder with train and validation.

    Raises:
        EdgepressError: the table's columns are doubtful, it has too few texts, or another split is there.
    """
    target = beside(output)
    rows, own = _understood(table, options)
    if (target / RECORD).is_file() and record_of(target) == own:
        step(f"{table.name}: the split that was made before")
        return target
    if target.exists() and not overwrite:
        raise EdgepressError(
            f"{target} holds another split",
            "--restart takes this table in its place, another --output keeps both",
        )
    _write(rows, own, table, target)
    return target


def is_source(table: Path, recorded: Mapping[str, Any]) -> bool:
    """Whether a split was made from the very table."""
    return sha256(table) == OwnSplit.read(recorded).source_sha256


def split_again(table: Path, recorded: Mapping[str, Any], near: Path | None = None) -> Path:
    """The split that a model was trained with, made again from its table, in the suite's cache.

    Args:
        table: the table that the user names.
        recorded: what the model's manifest says of its split.
        near: the folder of that split; None where it is not here.

    Raises:
        EdgepressError: the table was changed since, so that rows that were trained on could be held out now;
            or it is another one.
    """
    own = OwnSplit.read(recorded)
    if not is_source(table, recorded):
        raise _another(table, own) if _is_another(table, own, near) else _changed(table)
    target = cache_root() / "splits" / digest_of(own.recorded)[:16] / table_name(table)
    if not (target / RECORD).is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(Table(str(table), read_table([table])), own, table, target, quietly=True)
    return target


def _changed(table: Path) -> EdgepressError:
    return EdgepressError(
        f"{table} was changed since the model was trained: which rows it has seen is not known",
        f"name the folder of the split with --task, as it was written beside the model (...{SUFFIX})",
    )


def _another(table: Path, own: OwnSplit) -> EdgepressError:
    return EdgepressError(
        f"{table} is another table than the {own.source} that the model was trained on",
        f"--split {table.stem} scores on all rows of {table.name}; --task with {own.source}, or the "
        f"folder of its split (...{SUFFIX}), on those that were held out of the training; a folder with "
        "train and validation files is trained on",
    )


def _is_another(table: Path, own: OwnSplit, near: Path | None) -> bool:
    """Whether a table is not the one of a split in another state: by its texts where the split is here, else
    by its name.
    """
    if near is None:
        return _source_name(table) != own.source
    here = _distinct_texts([table], own)
    known = _distinct_texts(tables(near), own)
    return len(here & known) < ALIKE * min(len(here), len(known)) or not here


def _distinct_texts(files: Sequence[Path], own: OwnSplit) -> set[str]:
    """The texts of tables; none of one that lacks the columns."""
    found: set[str] = set()
    for path in files:
        rows = read_table([path])
        if {*own.text_columns} <= {*rows.column_names}:
            found |= {str(text) for text in zip(*(rows[name] for name in own.text_columns), strict=True)}
    return found


def _source_name(path: Path) -> str:
    return path.name if path.stem.lower() not in SPLITS else f"{table_name(path)}{path.suffix}"


def _understood(path: Path, options: TaskOptions) -> tuple[Table, OwnSplit]:
    table = Table(str(path), read_table([path]))
    found = find_columns(table, options, None)
    if found.problem_type != ZERO_SHOT:
        # Before rows are drawn: a message names the row of the table, not that of a split.
        _check_rows(table, found, rows_of([path], path.name), options)
    stratified = found.problem_type == SINGLE
    if stratified:
        texts = [label_text(value) or "" for value in table.column(found.label[0])]
        refuse_ids(texts, found.label[0], table.where)
    together = kind_of(found.problem_type).split_by(found.text)
    own = OwnSplit(_source_name(path), sha256(path), found.text, found.label, stratified)
    return table, own if together == found.text else replace(own, together=together)


def _check_rows(table: Table, columns: Columns, names: RowNames, options: TaskOptions) -> None:
    """Raise for the first row that its kind cannot read; which classes texts have is not known yet."""
    rows = table.rows
    if columns.problem_type != SINGLE:
        kind = kind_of(columns.problem_type)
        metric = columns.metric or kind.metric
        task = Task(names.where, columns.text, (), columns.label, columns.problem_type, metric)
        if columns.problem_type not in TEXT_PROBLEMS:
            task = with_labels(task, {"train": table}, options, None)
        kind.read(rows, task, names)
        return
    read_texts(rows, columns.text, names)
    for row, value in enumerate(rows[columns.label[0]]):
        if isinstance(value, list | dict) or label_text(value) is None:
            raise EdgepressError(
                f"{names.name(row)}: no label in column '{columns.label[0]}'", "drop or fill that row"
            )


def _write(table: Table, own: OwnSplit, path: Path, target: Path, quietly: bool = False) -> None:
    held = held_out_rows(table, own)
    kept = sorted({*range(len(table.rows))} - {*held})
    if not held or not kept:
        raise EdgepressError(
            f"{path} has {len(table.rows)} row{'s' * (len(table.rows) != 1)}: too few to hold some out",
            "give a folder with train and validation files",
        )
    with staged_folder(target, overwrite=True) as stage:
        stage.mkdir(exist_ok=True)
        for split, rows in (("train", kept), ("validation", held)):
            WRITERS[path.suffix.lower()](table.rows.select(rows), stage / f"{split}{path.suffix.lower()}")
        (stage / RECORD).write_text(to_json(own.recorded) + "\n", encoding="utf-8")
    if not quietly:
        step(
            f"{path.name}: {len(held):,} of {len(table.rows):,} rows held out, "
            f"{'by class and ' if own.stratified else ''}at random (seed {own.seed})"
        )


def held_out_rows(table: Table, own: OwnSplit) -> list[int]:
    """Numbers of the rows that are held out, in rising order.

    Each class gives its share, rounded, and at least one text where it has two; a class with one text is
    trained on, and said so.
    """
    groups = _groups(table, own)
    by_class: dict[str, list[list[int]]] = defaultdict(list)
    labels = table.column(own.label_columns[0]) if own.stratified else []
    for rows in groups:
        by_class[label_key(label_text(labels[rows[0]]) or "") if own.stratified else ""].append(rows)
    rng = np.random.default_rng(own.seed)
    held: list[int] = []
    for _, texts in sorted(by_class.items()):
        count = max(round(own.held_out * len(texts)), 1) if len(texts) > 1 else 0
        held += [row for place in rng.permutation(len(texts))[:count] for row in texts[place]]
    _warn_of_single_texts(
        [labels[texts[0][0]] for _, texts in sorted(by_class.items()) if len(texts) == 1], own
    )
    return sorted(held)


def _warn_of_single_texts(names: Sequence[Any], own: OwnSplit) -> None:
    """Name the classes with one text, which is trained on and never judged."""
    if own.stratified and names:
        classes = "class" if len(names) == 1 else f"{len(names):,} classes"
        quoted = shown([f"'{label_text(name)}'" for name in names])
        verbs = "has one text: it is" if len(names) == 1 else "have one text each: they are"
        warn(f"{classes} {quoted} {verbs} trained on, and never judged")


def _groups(table: Table, own: OwnSplit) -> list[list[int]]:
    """Rows with the same text together, in the order of the table."""
    columns = [table.column(name) for name in own.together or own.text_columns]
    found: dict[tuple[Any, ...], list[int]] = {}
    for row, texts in enumerate(zip(*columns, strict=True)):
        found.setdefault(tuple(" ".join(str(text).lower().split()) for text in texts), []).append(row)
    return list(found.values())


def _write_csv(rows: Dataset, path: Path) -> None:
    rows.to_pandas().to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")


def _write_json(rows: Dataset, path: Path) -> None:
    lines: Sequence[str] = [json.dumps(row, ensure_ascii=False, default=str) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _write_parquet(rows: Dataset, path: Path) -> None:
    rows.to_pandas().to_parquet(path, index=False)


def _write_conll(rows: Dataset, path: Path) -> None:
    texts = zip(rows[WORDS], rows[TAGS], strict=True)
    blocks = ("".join(f"{word} {tag}\n" for word, tag in zip(*own, strict=True)) for own in texts)
    path.write_text("\n".join(blocks), encoding="utf-8")


WRITERS: dict[str, Callable[[Dataset, Path], None]] = {
    **dict.fromkeys(CONLL, _write_conll),
    ".csv": _write_csv,
    ".tsv": _write_csv,
    ".json": _write_json,
    ".jsonl": _write_json,
    ".parquet": _write_parquet,
}
