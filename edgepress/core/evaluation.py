"""Evaluation sets: two scores are only compared where they are of the same texts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgepress.core.identity import texts_digest
from edgepress.core.splits import Examples
from edgepress.core.tasks import Task

EVALUATION_SET = "evaluation_set"
"""What manifests call it, among the metrics of a step."""


@dataclass(frozen=True)
class EvaluationSet:
    """The texts that a score is of."""

    task: str
    split: str
    texts: int
    max_length: int
    """Longer texts were cut to so many tokens."""
    texts_sha256: str = ""
    """SHA-256 of the texts and their labels; empty before it was noted."""

    @classmethod
    def of(cls, task: Task, examples: Examples, max_length: int) -> EvaluationSet:
        """Describe these texts of the task's evaluation split."""
        return cls(task.name, task.evaluation_split, len(examples), max_length, texts_digest(examples))

    @property
    def where(self) -> str:
        """Name of the task, slash, name of the split."""
        return f"{self.task}/{self.split}"

    @property
    def size(self) -> str:
        """Number of texts, and their longest length, in words."""
        return f"{self.texts:,} texts of at most {self.max_length} tokens"

    def __str__(self) -> str:
        return f"{self.where}, {self.size}"

    def recorded(self) -> dict[str, Any]:
        """The facts that a manifest keeps beside the score."""
        return asdict(self)
