"""What a kind of task is: how its data become rows of a model, and a model's outputs scores and answers.

Everything that trains, writes, judges or runs models asks here, and knows no kind by name. To add one: a
module with a subclass of `TaskKind`, and a line in `kinds.KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgepress.core.tasks.task import ProblemType, Task

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from edgepress.core.heads import Head
    from edgepress.core.prediction import Reader
    from edgepress.core.splits import Examples, RowNames

TEACHER_LOGITS = "teacher_logits"
"""Column of a row's teacher logits, beside its labels."""

Places = Sequence[np.ndarray]
"""For each text, numbers of the tokens whose outputs count; -1 where a text was cut before one."""
Collator = Callable[[list[dict[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class LabelScore:
    """How one label fares among several."""

    label: str
    texts: int
    """Texts (or entities) that have it."""
    given: int
    """Texts (or entities) that are given it."""
    right: int
    """Number of those that are both."""

    @property
    def precision(self) -> float | None:
        """Share of those that are given it and have it; None where none is."""
        return self.right / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        """Share of those that have it and are given it; None where none has."""
        return self.right / self.texts if self.texts else None

    @property
    def f1(self) -> float | None:
        """2 right / (texts + given); None where both are 0."""
        return 2 * self.right / (self.texts + self.given) if self.texts + self.given else None


class TaskKind:
    """A kind of task. Outputs are logits (rows, labels), or (rows, places, labels) where words count."""

    problem_type: ClassVar[ProblemType]
    pipeline: ClassVar[str]
    """What transformers and the Hub call its pipeline: "text-classification"."""
    metric: ClassVar[str]
    """What models are judged by where the task says nothing else."""
    usual: ClassVar[tuple[str, ...]]
    """Metrics that people expect to see beside it."""
    beside: ClassVar[Mapping[str, str]] = {}
    """What is said behind a score where labels have a table: in words -> metric."""
    counted: ClassVar[str] = "texts"
    """What its labels are of: texts, or entities."""
    tabled: ClassVar[str] = ""
    """Heading of labels in tables of how each fares; empty: there are none."""
    files: ClassVar[bool] = True
    """Whether its models are written in formats and judged through them."""
    per_token: ClassVar[bool] = False
    """Whether a model gives logits (rows, tokens, labels)."""
    own_heads: ClassVar[bool] = False
    """Whether `--head mlp` can stand on the encoder."""

    @property
    def head(self) -> Head:
        """What stands on the encoder."""
        raise NotImplementedError(self.problem_type)

    def describe(self, task: Task) -> str:
        """What was understood of a task's data, in words."""
        raise NotImplementedError(self.problem_type)

    def load(self, task: Task, split: str) -> Examples:
        """Labelled texts of a split.

        Raises:
            EdgepressError: no source has the split, or its rows are not what the task needs.
        """
        from edgepress.core.splits import read_named, require_columns

        dataset, names = read_named(task, split)
        require_columns(dataset, (*task.text_columns, *task.label_columns), names.where)
        return self.read(dataset, task, names)

    def read(self, dataset: Dataset, task: Task, names: RowNames) -> Examples:
        """Labelled texts of the rows of a split.

        Raises:
            EdgepressError: the rows are not what the task needs; the message names the first.
        """
        raise NotImplementedError(self.problem_type)

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, task: Task, examples: Examples, max_length: int
    ) -> dict[str, Any]:
        """The columns that a model is trained on: its inputs and `labels`, a row a text, not padded."""
        raise NotImplementedError(self.problem_type)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Collator:
        """What makes a batch of rows, with `teacher_logits` where rows have them."""
        raise NotImplementedError(self.problem_type)

    def places(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> Places | None:
        """Which of a model's outputs count; None where it gives one a text."""
        raise NotImplementedError(self.problem_type)

    def collect(self, raw: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]) -> np.ndarray:
        """Outputs of texts that were read one by one, as the functions below take them.

        Args:
            raw: of each text what the model gave: (labels,), or (tokens or more, labels).
            places: of the same texts.
            labels: the head's, in the order of its logits.
        """
        raise NotImplementedError(self.problem_type)

    def trained_outputs(
        self, logits: np.ndarray, labels: np.ndarray, names: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Outputs and truth of rows as a Trainer gives them: both in the head's own numbers, padded."""
        raise NotImplementedError(self.problem_type)

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        """What is given: class numbers (rows,) or (rows, places), flags (rows, labels), values (rows,)."""
        raise NotImplementedError(self.problem_type)

    def compared(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Those of a batch's logits that mean something, (n, labels); `mask` is 1 for a token."""
        raise NotImplementedError(self.problem_type)

    def label_scores(self, decided: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> list[LabelScore]:
        """How each label fares; none where there are no labels."""
        raise NotImplementedError(self.problem_type)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        """What rows and columns of a confusion matrix are."""
        return tuple(labels)

    def confusion(self, task: Task, decided: np.ndarray, truth: np.ndarray) -> dict[str, list[list[int]]]:
        """Matrices of what is right (rows) and what is given (columns), by name."""
        raise NotImplementedError(self.problem_type)

    def said(self, outputs: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> list[Any]:
        """What a model says to one text, for a manifest, and `said_words`: in words."""
        raise NotImplementedError(self.problem_type)

    def said_words(self, said: Sequence[Any], labels: Sequence[str]) -> str:
        """In words, what `said` gave."""
        raise NotImplementedError(self.problem_type)

    def truth(self, own: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> Any:
        """What is right for one text, for a manifest, and `truth_words`: in words."""
        raise NotImplementedError(self.problem_type)

    def truth_words(self, truth: Any, labels: Sequence[str]) -> str:
        """In words, what `truth` gave."""
        raise NotImplementedError(self.problem_type)

    def gathered(self, raw: Sequence[np.ndarray], places: Places | None) -> list[np.ndarray]:
        """What a teacher gave of each text where it counts, in its own order: (labels,) or (places, labels).

        It is NaN where the text was cut before.
        """
        raise NotImplementedError(self.problem_type)

    def learned(
        self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of a batch's logits that a student learns from its teacher's, (n, labels) each."""
        raise NotImplementedError(self.problem_type)

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """How far answers (n, labels) at temperature T are from a teacher's, times T² (Hinton 2015)."""
        raise NotImplementedError(self.problem_type)

    def answer(self, reader: Reader, texts: tuple[str, ...]) -> Any:
        """What a model says to one text, or to one pair."""
        raise NotImplementedError(self.problem_type)
