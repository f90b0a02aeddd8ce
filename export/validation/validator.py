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
from edgepress.core.tasks.kind import LabelScore, Places
from edgepress.core.tasks.kinds import kind_of
from export.core.registry import open_runner
from export.core.runner import Batch, Runner
from export.validation import parity
from export.validation.parity import Parity


@dataclass(frozen=True)
class Sentences:
    """Real sentences, or windows of long texts, one batch of size 1 each, and their labels where the model
    can be scored.
    """

    batches: Sequence[Batch]
    labels: np.ndarray | None
    head_trained: bool
    problem_type: ProblemType
    metric: str
    evaluation_set: EvaluationSet
    """Which sentences they are."""
    names: tuple[str, ...] = ()
    """The head's labels, in the order of its logits."""
    places: Places | None = None
    """Which outputs of each sentence count; None where there is one a sentence."""
    thresholds: Sequence[float] | None = None
    """Probability from which each label is given; None: one half."""
    sweep: Sequence[Batch] = ()
    """Further batches that only parity is judged on: other sizes, lengths, padding."""


@dataclass(frozen=True)
class FileVerdict:
    """Score, parity and losses of a file on the sentences."""

    score: float | None
    """The task's metric; None where there are no labels to score against."""
    parity: Parity
    bounds: Bounds | None = None
    """Interval of the score."""
    loss: Bounds | None = None
    """Interval of the loss against the parent, on the same sentences."""
    labels: tuple[LabelScore, ...] = ()
    """Scores of each label; none where there are no labels to score against."""

    def drop(self, parent_score: float | None) -> float:
        """Return the loss [points]: of the task's metric, or of agreement where there is no score.

        Infinite where there is no score and agreement is undefined.
        """
        if self.score is None or parent_score is None:
            # Nothing shows that an undefined agreement is near: more is lost than anybody allows.
            return math.inf if self.parity.agreement is None else 100 * (1 - self.parity.agreement)
        return 100 * (parent_score - self.score)

    def label_drop(self, parent: Sequence[LabelScore]) -> tuple[float, str]:
        """Return the largest loss of any label's recall [points], and the label's name.

        0 and an empty name where there are no labels.
        """
        lost = [
            (100 * (theirs.recall - ours.recall), ours.label)
            for theirs, ours in zip(parent, self.labels, strict=True)
            if theirs.recall is not None and ours.recall is not None
        ]
        return max(lost, default=(0.0, ""))


class Validator:
    """Runs files on the sentences and compares them with the parent."""

    def __init__(self, parent: Runner, sentences: Sentences) -> None:
        self.sentences = sentences
        self._batches = [*sentences.batches, *sentences.sweep]
        self._kind = kind_of(sentences.problem_type)
        self._parent_logits = [parent(batch) for batch in self._batches]
        self.parent_score = self._score(self._parent_logits)
        self.parent_bounds = self._bounds(self._parent_logits)
        self.parent_labels = self._labels(self._parent_logits)
        # An untrained head decides nearly always the same, and agreeing on that means nothing: its
        # decisions are balanced when they are taken from its mean logits.
        mean = self._compared(self._parent_logits).mean(axis=0)
        self._origin = np.zeros_like(mean) if sentences.head_trained else mean

    def __call__(self, path: Path) -> FileVerdict:
        """The verdict on a file.

        Raises:
            EdgepressError: no runtime opens it.
            ExpectationError: its logits cannot be compared with the parent's.
        """
        logits, own = self._run(path), self.sentences
        parent, child = ([one - self._origin for one in each] for each in (self._parent_logits, logits))
        found = parity.compare_logits(parent, child, self._batches, own.problem_type, own.thresholds)
        judged = self._bounds(logits), self._loss(logits), self._labels(logits)
        return FileVerdict(self._score(logits), found, *judged)

    def logits(self, path: Path, limit: int | None = None) -> np.ndarray:
        """A file's logits of the first `limit` batches, (rows or tokens, labels), without padding's."""
        return self._compared(self._run(path, limit))

    def _run(self, path: Path, limit: int | None = None) -> list[np.ndarray]:
        with open_runner(path, environment().cores) as runner:
            return [runner(batch) for batch in self._batches[:limit]]

    def _compared(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        return parity.compared(self._kind, logits, self._batches[: len(logits)])

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

    def _labels(self, logits: Sequence[np.ndarray]) -> tuple[LabelScore, ...]:
        own = self.sentences
        if own.labels is None:
            return ()
        decided = self._kind.decide(self._scored(logits), own.thresholds)
        return tuple(self._kind.label_scores(decided, own.labels, own.names))

    def _scored(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """Outputs of the sentences; where a fixed batch size has a row repeated, the first of them."""
        own = self.sentences
        return self._kind.collect([rows[0] for rows in logits[: len(own.batches)]], own.places, own.names)
