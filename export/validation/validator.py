"""Validator: what an exported file is worth on real sentences, beside the model that it was made from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgepress.core.environment import environment
from edgepress.core.evaluation import EvaluationSet
from edgepress.core.intervals import Bounds, drop_bounds, score_bounds
from edgepress.core.metrics import score
from edgepress.core.tasks import ProblemType
from export.core.registry import open_runner
from export.core.runner import Batch, Runner
from export.validation import parity
from export.validation.parity import Parity


@dataclass(frozen=True)
class Sentences:
    """Real sentences, one batch of size 1 each, and their labels where the model can be scored."""

    batches: Sequence[Batch]
    labels: np.ndarray | None
    head_trained: bool
    problem_type: ProblemType
    metric: str
    evaluation_set: EvaluationSet
    """Which sentences they are."""
    thresholds: Sequence[float] | None = None
    """Probability from which each label is given; None: one half."""
    sweep: Sequence[Batch] = ()
    """Further batches that only parity is judged on: other sizes, lengths, padding."""


@dataclass(frozen=True)
class FileVerdict:
    """What a file is worth on the sentences."""

    score: float | None
    """The task's metric; None where there are no labels to score against."""
    parity: Parity
    bounds: Bounds | None = None
    """Interval of the score."""
    loss: Bounds | None = None
    """Interval of the loss against the parent, on the same sentences."""

    def drop(self, parent_score: float | None) -> float:
        """What is lost [points]: of the task's metric, or of agreement where there is no score."""
        if self.score is None or parent_score is None:
            # Nothing shows that an undefined agreement is near: more is lost than anybody allows.
            return math.inf if self.parity.agreement is None else 100 * (1 - self.parity.agreement)
        return 100 * (parent_score - self.score)


class Validator:
    """Runs files on the sentences and compares them with the parent."""

    def __init__(self, parent: Runner, sentences: Sentences) -> None:
        self.sentences = sentences
        self._batches = [*sentences.batches, *sentences.sweep]
        self._parent_logits = [parent(batch) for batch in self._batches]
        self.parent_score = self._score(self._parent_logits)
        self.parent_bounds = self._bounds(self._parent_logits)
        # An untrained head decides nearly always the same, and agreeing on that means nothing: its
        # decisions are balanced when they are taken from its mean logits.
        mean = np.concatenate(self._parent_logits).mean(axis=0)
        self._origin = np.zeros_like(mean) if sentences.head_trained else mean

    def __call__(self, path: Path) -> FileVerdict:
        """The verdict on a file.

        Raises:
            EdgepressError: no runtime opens it.
            ExpectationError: its logits cannot be compared with the parent's.
        """
        logits, own = self.logits(path), self.sentences
        parent, child = ([one - self._origin for one in each] for each in (self._parent_logits, logits))
        found = parity.compare_logits(parent, child, self._batches, own.problem_type, own.thresholds)
        return FileVerdict(self._score(logits), found, self._bounds(logits), self._loss(logits))

    def logits(self, path: Path, limit: int | None = None) -> list[np.ndarray]:
        """A file's logits, one array (rows, labels) a batch, for the first `limit` batches."""
        with open_runner(path, environment().cores) as runner:
            return [runner(batch) for batch in self._batches[:limit]]

    def _score(self, logits: Sequence[np.ndarray]) -> float | None:
        own = self.sentences
        if own.labels is None:
            return None
        return score(own.metric, self._scored(logits), own.labels, own.problem_type, own.thresholds)

    def _bounds(self, logits: Sequence[np.ndarray]) -> Bounds | None:
        own = self.sentences
        if own.labels is None:
            return None
        return score_bounds(own.metric, self._scored(logits), own.labels, own.problem_type, own.thresholds)

    def _loss(self, logits: Sequence[np.ndarray]) -> Bounds | None:
        own = self.sentences
        if own.labels is None:
            return None
        both = self._scored(self._parent_logits), self._scored(logits)
        return drop_bounds(own.metric, *both, own.labels, own.problem_type, own.thresholds)

    def _scored(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """(sentences, labels); where a fixed batch size has a sentence's row repeated, the first of them."""
        return np.stack([rows[0] for rows in logits[: len(self.sentences.batches)]])
