"""Validator: what an exported file is worth on real sentences, beside the model that it was made from."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgepress.core.environment import environment
from edgepress.core.evaluation import EvaluationSet
from edgepress.core.intervals import Bounds, drop_bounds, in_points, score_bounds, score_text
from edgepress.core.metrics import LOSSES, score
from edgepress.core.outcomes import packed_outcomes
from edgepress.core.tasks import ProblemType
from edgepress.core.tasks.kind import LabelScore, Places, TaskKind
from export.core.registry import open_runner
from export.core.runner import Batch, Runner
from export.validation import parity
from export.validation.parity import Parity

MOST_KEPT = 256_000_000
"""Most bytes of the parent's logits that are kept while files are compared with it."""


@dataclass(frozen=True)
class Sentences:
    """Real sentences, or windows of long texts, one batch of size 1 each, and their labels where the model
    can be scored.
    """

    batches: Sequence[Batch]
    labels: np.ndarray | None
    head_trained: bool
    kind: TaskKind
    """Kind of task that the logits are of."""
    metric: str
    evaluation_set: EvaluationSet
    """Which sentences they are."""
    names: tuple[str, ...] = ()
    """The head's labels, in the order of its logits."""
    places: Places | None = None
    """Which outputs of each sentence count; None where there is one a sentence."""
    thresholds: Sequence[float] | None = None
    """Probability from which each label is given; None: one half."""
    dimensions: Sequence[int] = ()
    """Widths that the model's vectors may be cut to, the whole one first; none for other models."""
    sweep: Sequence[Batch] = ()
    """Further batches that only parity is judged on: other sizes, lengths, padding."""

    @property
    def problem_type(self) -> ProblemType:
        """Problem type that the logits are of."""
        return self.kind.problem_type

    def reduced(self, logits: np.ndarray, at: int) -> np.ndarray:
        """What is kept of the logits of batch `at`; where a fixed size has its row repeated, of the first."""
        return self.kind.reduced(logits[0], None if self.places is None else self.places[at])

    def outputs(self, run: Callable[[Batch], np.ndarray]) -> np.ndarray:
        """Outputs of a model over the sentences, as `TaskKind.collect` gives them."""
        reduced = [self.reduced(run(batch), at) for at, batch in enumerate(self.batches)]
        return self.kind.collect(reduced, self.places, self.names)


@dataclass(frozen=True)
class FurtherScore:
    """Value of a metric that files are judged by besides the task's."""

    metric: str
    value: float | None
    bounds: Bounds | None
    """The 95 % interval of the value."""

    @property
    def words(self) -> str:
        """The value with its interval: in percent, or of a loss in nats."""
        if self.metric not in LOSSES or self.value is None:
            return score_text(self.value, self.bounds, missing="undefined")
        return f"{self.value:.3f}" + (
            f" [{self.bounds.low:.3f}, {self.bounds.high:.3f}]" if self.bounds else ""
        )


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
    also: Mapping[str, FurtherScore] = field(default_factory=dict)
    """What it is judged by besides, by metric; none where there are no labels to score against."""
    outcomes: str = ""
    """What each sentence adds to the metric, packed; empty where there are no labels to score against."""

    def drop(self, parent_score: float | None) -> float:
        """Return the loss [points]: of the task's metric, or of agreement where there is no score.

        Infinite where there is no score and agreement is undefined.
        """
        if self.score is None or parent_score is None:
            # Nothing shows that an undefined agreement is near: more is lost than anybody allows.
            return math.inf if self.parity.agreement is None else in_points(1 - self.parity.agreement)
        return in_points(parent_score - self.score)

    def loss_text(self, parent_score: float | None) -> str:
        """The loss of the metric with its interval on a second line [points]; empty without a score."""
        if self.score is None or parent_score is None:
            return ""
        interval = f"\n{self.loss.percent()}" if self.loss else ""
        return f"{self.drop(parent_score):.2f}{interval}"

    def worst_drop(self, kind: TaskKind, parent: Sequence[LabelScore]) -> tuple[float, str]:
        """Return the largest loss of what `--max-label-drop` limits [points], and its words.

        Args:
            kind: of the task.
            parent: scores of each label with the parent.
        """
        return kind.worst_drop(parent, self.labels, self.parity.agreement)


class ParentLogits:
    """Logits of the parent, batch by batch: kept as far as `MOST_KEPT` bytes go, else computed again."""

    def __init__(self, parent: Runner, batches: Sequence[Batch]) -> None:
        self._parent, self._batches = parent, batches
        self._kept: dict[int, np.ndarray] = {}
        self._bytes = 0

    def __getitem__(self, number: int) -> np.ndarray:
        if number in self._kept:
            return self._kept[number]
        logits = self._parent(self._batches[number])
        if self._bytes + logits.nbytes <= MOST_KEPT:
            self._kept[number] = logits
            self._bytes += logits.nbytes
        return logits


class Validator:
    """Runs files on the sentences and compares them with the parent."""

    def __init__(self, parent: Runner, sentences: Sentences) -> None:
        self.sentences = sentences
        self._batches = [*sentences.batches, *sentences.sweep]
        self._kind = sentences.kind
        self._parent = ParentLogits(parent, self._batches)
        scored = filter(self._is_scored, range(len(self._batches)))
        self._parent_outputs = self._outputs([sentences.reduced(self._parent[at], at) for at in scored])
        self.parent_score = self._score(self._parent_outputs)
        self.parent_bounds = self._bounds(self._parent_outputs)
        self.parent_labels = self._labels(self._parent_outputs)
        self.parent_also = self._also(self._parent_outputs)
        self.parent_outcomes = self._outcomes(self._parent_outputs)
        self._origin = np.float32(0) if sentences.head_trained else self._mean_logits()

    def __call__(self, path: Path) -> FileVerdict:
        """The verdict on a file.

        Raises:
            EdgepressError: no runtime opens it.
            ExpectationError: its logits cannot be compared with the parent's.
        """
        comparison, reduced = parity.LogitsComparison(self._kind, self.sentences.thresholds), []
        for at, logits in self._run(path):
            theirs, ours = self._parent[at] - self._origin, logits - self._origin
            whole = at < len(self.sentences.batches) or not self._kind.texts_together
            comparison.add(theirs, ours, self._batches[at], agrees=whole)
            if self._is_scored(at):
                reduced.append(self.sentences.reduced(logits, at))
        outputs = self._outputs(reduced)
        return FileVerdict(
            self._score(outputs),
            comparison.parity(),
            self._bounds(outputs),
            self._loss(outputs),
            self._labels(outputs),
            self._also(outputs),
            self._outcomes(outputs),
        )

    def rms(self, path: Path, limit: int) -> float:
        """Root mean square of the differences of a file's logits from the parent's, over `limit` batches."""
        comparison = parity.LogitsComparison(self._kind)
        for at, logits in self._run(path, limit):
            comparison.add(self._parent[at], logits, self._batches[at])
        return comparison.rms

    def _run(self, path: Path, limit: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Logits of a file, batch by batch, with the number of the batch."""
        with open_runner(path, environment().cores) as runner:
            for at, batch in enumerate(self._batches[:limit]):
                yield at, runner(batch)

    def _mean_logits(self) -> np.ndarray:
        """The parent's mean logits.

        An untrained head decides nearly always the same, and agreeing on that means nothing: its decisions
        are balanced when they are taken from its mean logits.
        """
        total, count = np.float64(0), 0
        for at, batch in enumerate(self._batches):
            own = parity.compared(self._kind, self._parent[at], batch)
            total, count = total + own.sum(axis=0, dtype=np.float64), count + len(own)
        return np.asarray(total / count, dtype=np.float32)

    def _is_scored(self, at: int) -> bool:
        """Whether a batch is one of the sentences, and has labels to score against."""
        return self.sentences.labels is not None and at < len(self.sentences.batches)

    def _outputs(self, reduced: Sequence[np.ndarray]) -> np.ndarray | None:
        """What is scored of the sentences; None where there are no labels to score against."""
        own = self.sentences
        return None if own.labels is None else own.kind.collect(reduced, own.places, own.names)

    def _score(self, outputs: np.ndarray | None) -> float | None:
        own = self.sentences
        if outputs is None or own.labels is None:
            return None
        return score(own.metric, outputs, own.labels, own.problem_type, own.thresholds)

    def _bounds(self, outputs: np.ndarray | None) -> Bounds | None:
        own = self.sentences
        if outputs is None or own.labels is None:
            return None
        return score_bounds(own.metric, outputs, own.labels, own.problem_type, own.thresholds)

    def _outcomes(self, outputs: np.ndarray | None) -> str:
        own = self.sentences
        if outputs is None or own.labels is None:
            return ""
        return packed_outcomes(own.metric, outputs, own.labels, own.problem_type, own.thresholds)

    def _loss(self, outputs: np.ndarray | None) -> Bounds | None:
        own, theirs = self.sentences, self._parent_outputs
        if outputs is None or theirs is None or own.labels is None:
            return None
        return drop_bounds(own.metric, theirs, outputs, own.labels, own.problem_type, own.thresholds)

    def _labels(self, outputs: np.ndarray | None) -> tuple[LabelScore, ...]:
        own = self.sentences
        if outputs is None or own.labels is None:
            return ()
        decided = self._kind.decide(outputs, own.thresholds)
        return tuple(self._kind.label_scores(decided, own.labels, own.names))

    def _also(self, outputs: np.ndarray | None) -> dict[str, FurtherScore]:
        own = self.sentences
        if outputs is None or own.labels is None:
            return {}
        found = {name: self._further(name, outputs) for name in self._kind.also.values()}
        for width in own.dimensions[1:]:
            cut = self._kind.cut(outputs, width)
            found[f"{own.metric} of {width} numbers"] = self._further(own.metric, cut)
        return found

    def _further(self, metric: str, outputs: np.ndarray) -> FurtherScore:
        own = self.sentences
        assert own.labels is not None, "it is scored"
        judged = (outputs, own.labels, own.problem_type, own.thresholds)
        return FurtherScore(metric, score(metric, *judged), score_bounds(metric, *judged))
