"""A task: what is to be predicted from which columns, and how that is scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgepress.core.files import sha256
from edgepress.core.sentence_folder import PoolingMode
from edgepress.core.sources import Mirror

if TYPE_CHECKING:
    from edgepress.core.hypotheses import Hypotheses

ProblemType = Literal[
    "single_label_classification",
    "multi_label_classification",
    "regression",
    "token_classification",
    "question_answering",
    "reranking",
    "masked_lm",
    "zero-shot",
    "embedding",
]

TAGS: ProblemType = "token_classification"
SINGLE: ProblemType = "single_label_classification"
MULTI: ProblemType = "multi_label_classification"
VALUES: ProblemType = "regression"
QUESTIONS: ProblemType = "question_answering"
RANKS: ProblemType = "reranking"
MASKED: ProblemType = "masked_lm"
ZERO_SHOT: ProblemType = "zero-shot"
VECTORS: ProblemType = "embedding"

MOST_TEXTS = 2
"""Largest number of texts that a model reads at once; more columns are joined to one text."""
IN_MEMORY = "in_memory"
"""What a task is called whose data were given as objects; so is the passing folder that holds them."""
# What a metric's name ends in where it is of the texts that the model was trained on.
ON_TRAIN = "_on_train"


@dataclass(frozen=True)
class TaskOptions:
    """Description of a task's data by the user or a manifest; what it leaves out is inferred, and shown."""

    label_column: tuple[str, ...] = ()
    """The column of the label; several for a multi-label task."""
    text_columns: tuple[str, ...] = ()
    problem_type: str | None = None
    split: str | None = None
    """Split that models are judged on."""
    label_map: Mapping[str, str] = field(default_factory=dict)
    """Label of the data -> name or number of the model's class."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Split -> names of its files, which decide where two could be it."""
    null_threshold: float | None = None
    """Least lead of the score of no answer over that of the answer; None: as the model says, else 0
    where the data have questions without one."""
    candidates: tuple[str, ...] = ()
    """Classes that a model of entailment is asked about, where no data have them."""
    hypothesis_template: str | None = None
    """How it is asked, with {} for a class; None: as its manifest says, else as transformers does."""
    entailment_label: str | None = None
    """The model's label that means entailment; None: by its name."""
    pooling: PoolingMode | None = None
    """How a model that gives vectors pools its token states; None: as its folder says."""
    recorded_labels: Mapping[str, str] = field(default_factory=dict)
    """What a manifest says that labels mean; `label_map` comes before it."""


@dataclass(frozen=True)
class TrainedHead:
    """Classes that a trained classifier, of texts or of words, has on record."""

    labels: tuple[str, ...]
    """Names of the classes, in the order of the logits."""
    problem_type: ProblemType | None = None
    """None where its config does not say."""

    def takes(self, problem_type: ProblemType) -> bool:
        """Whether it can be what the logits mean; one logit can rank, whatever it was called."""
        if problem_type == RANKS:
            return len(self.labels) == 1 and self.problem_type not in (TAGS, QUESTIONS)
        if ZERO_SHOT in (problem_type, self.problem_type):  # its labels are classes of pairs
            return problem_type in (ZERO_SHOT, SINGLE) and self.problem_type in (ZERO_SHOT, SINGLE, None)
        if self.problem_type is not None:
            return self.problem_type == problem_type
        return problem_type not in (TAGS, QUESTIONS) and (len(self.labels) == 1) == (problem_type == VALUES)


@dataclass(frozen=True)
class Task:
    """Labels to predict, the columns to predict them from, and the metric."""

    name: str
    text_columns: tuple[str, ...]
    labels: tuple[str, ...]
    label_columns: tuple[str, ...] = ("label",)
    """Several for a multi-label task: one 0/1 column a label."""
    problem_type: ProblemType = "single_label_classification"
    metric: str = "accuracy"
    evaluation_split: str = "validation"
    """Split that a model is judged on; every figure that is reported is of it."""
    selection_split: str | None = None
    """Split that choices are made on meanwhile (learning curves, thresholds); None: there is none for that,
    and they are made where the model is judged."""
    hub_id: str | None = None
    hub_files: str = ""
    """Pattern of a split's Parquet files inside the Hub repository."""
    hub_columns: Mapping[str, str] = field(default_factory=dict)
    """Column on the Hub -> what it is called here, where the two differ."""
    mirror: Mirror | None = None
    root: Path | None = None
    """The data root, where a task of the zoo is looked for first; None: EDGEPRESS_DATA."""
    folder: Path | None = None
    """Folder of a task that is a local one."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the files of each split, where the task is a local folder."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Number of rows of each split, where the task is a local folder."""
    label_ids: Mapping[str, int] = field(default_factory=dict)
    """Label in the data (`labels.label_key`) -> class number; empty: names and numbers of `labels`."""
    tag_names: Mapping[str, str] = field(default_factory=dict)
    """Tag in the data (`labels.label_key`) -> what it is called, where words have tags; one that is not
    there is its own name."""
    matched_by: str = ""
    """How the data's labels were mapped to a trained model's: name, number or map; empty: they are alike."""
    unused: tuple[str, ...] = ()
    """Columns that nothing is read from."""
    null_threshold: float | None = None
    """Least lead of the score of no answer over that of the answer, where some questions have none (SQuAD
    2.0); None: every question has one."""
    hypotheses: Hypotheses | None = None
    """How a model of entailment is asked about the classes of the data; None: it has them itself."""
    is_table: bool = False
    """Whether it is one table, all of whose rows are judged on: no file beside it is a split of it."""
    is_corpus: bool = False
    """Whether it is a corpus: text alone, of which one in 20 is held out."""
    own_split: Mapping[str, Any] | None = None
    """What the split was made from (`own_split.OwnSplit`), and the name of its folder; None: it was given."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the data: the labels, or what a model of entailment is asked about."""
        return self.labels if self.hypotheses is None else self.hypotheses.candidates

    @property
    def texts_a_row(self) -> int:
        """Number of texts that the model reads at once: 2 for a pair; more columns are joined to one."""
        return MOST_TEXTS if len(self.text_columns) == MOST_TEXTS else 1

    @property
    def file_digests(self) -> dict[str, str]:
        """SHA-256 of each file of a local folder by its name; files that are gone are left out."""
        names = [name for own in self.files.values() for name in own]
        return {} if self.folder is None else digests_in(self.folder, names)

    @property
    def understood(self) -> dict[str, Any]:
        """Columns, labels and splits that figures are of, as a manifest keeps them."""
        return {
            "text_columns": list(self.text_columns),
            "label_columns": list(self.label_columns),
            "problem_type": self.problem_type,
            "labels": list(self.labels),
            "label_ids": dict(self.label_ids),
            **({"tag_names": dict(self.tag_names)} if self.tag_names else {}),
            **({"hypotheses": self.hypotheses.recorded} if self.hypotheses else {}),
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
        """Path of a local folder or table, as it was given; nothing of data that were given as objects."""
        if self.folder is None or self.folder.name == IN_MEMORY:
            return {}
        (table,) = self.files[self.evaluation_split] if self.is_table else ("",)
        return {"folder": str(self.folder / table)}


def digests_in(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files of a data folder by their names; those that are not there are left out."""
    paths = [place / name for name in names for place in (folder, folder / "data")]
    return {path.name: sha256(path) for path in paths if path.is_file()}


def judged_on(task: Task, split: str) -> Task:
    """The task with another split to judge models on; on the train split the metric's own name says so."""
    metric = task.metric.removesuffix(ON_TRAIN) + (ON_TRAIN if split == "train" else "")
    selection = None if task.selection_split == split else task.selection_split
    return replace(task, evaluation_split=split, selection_split=selection, metric=metric)
