"""Variants of one model: quantized from its fp32 ONNX file, and judged beside it on real sentences."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from device_bench.environment import environment
from edgepress.errors import EdgepressError
from edgepress.metrics import score
from edgepress.tasks import ProblemType
from export.base.runner import Batch
from export.base.scheme import Options, Scheme
from export.check import parity
from export.check.parity import Parity
from export.onnx import OnnxRunner


@dataclass(frozen=True)
class Sentences:
    """Real sentences, one batch of size 1 each, and their labels where the model can be scored."""

    batches: Sequence[Batch]
    labels: np.ndarray | None
    head_trained: bool
    problem_type: ProblemType
    metric: str


@dataclass(frozen=True)
class Verdict:
    """What a file is worth on the sentences."""

    score: float | None
    """The task's metric; None where there are no labels to score against."""
    parity: Parity

    def drop(self, parent_score: float | None) -> float:
        """What is lost [points]: of the task's metric, or of agreement where there is no score."""
        if self.score is None or parent_score is None:
            return 100 * (1 - self.parity.agreement)
        return 100 * (parent_score - self.score)


class Judge:
    """Runs files on the sentences as deployed (batch 1, no padding) and compares them with the parent."""

    def __init__(self, parent: Path, sentences: Sentences) -> None:
        self.sentences = sentences
        self._parent_logits = self.logits(parent)
        self.parent_score = self._score(self._parent_logits)
        # An untrained head decides nearly always the same, and agreeing on that means nothing: its
        # decisions are balanced when they are taken from its mean logits.
        mean = np.concatenate(self._parent_logits).mean(axis=0)
        self._origin = np.zeros_like(mean) if sentences.head_trained else mean

    def __call__(self, path: Path) -> Verdict:
        logits, own = self.logits(path), self.sentences
        parent, child = ([one - self._origin for one in each] for each in (self._parent_logits, logits))
        found = parity.compare_logits(parent, child, own.batches, own.problem_type)
        return Verdict(self._score(logits), found)

    def logits(self, path: Path, limit: int | None = None) -> list[np.ndarray]:
        """A file's logits, one array (1, labels) a sentence, for the first `limit` sentences."""
        with OnnxRunner(path, environment().cores) as runner:
            return [runner(batch) for batch in self.sentences.batches[:limit]]

    def _score(self, logits: Sequence[np.ndarray]) -> float | None:
        own = self.sentences
        if own.labels is None:
            return None
        return score(own.metric, np.concatenate(logits), own.labels, own.problem_type)


@dataclass(frozen=True)
class Variant:
    """One quantized file."""

    scheme: Scheme
    path: Path
    verdict: Verdict
    seconds: float
    """What quantizing took."""
    kept_float: tuple[str, ...]

    @property
    def name(self) -> str:
        """The scheme, and how many layers it left in float."""
        kept = f", {len(self.kept_float)} float" if self.kept_float else ""
        return self.scheme.name + kept


@dataclass(frozen=True)
class Builder:
    """Makes and judges variants of one fp32 file."""

    parent: Path
    judge: Judge
    options: Options
    atol: float | None

    def build(self, scheme: Scheme, keep_float: frozenset[str] = frozenset()) -> Variant:
        """Quantize beside the parent, judge, and compare with the parent.

        Raises:
            ExpectationError: the result is further from its parent than the tolerance allows.
        """
        kept = self.options.keep_float | keep_float
        target = self.target(scheme)
        start = time.perf_counter()
        self.quantize(scheme, kept, target)
        seconds = time.perf_counter() - start
        verdict = self.judge(target)
        parity.require(verdict.parity, scheme.precision, self.atol, target.name)
        return Variant(scheme, target, verdict, seconds, tuple(sorted(kept)))

    def target(self, scheme: Scheme) -> Path:
        """Where a scheme's file is written: beside the parent."""
        return self.parent.with_name(scheme.file_name)

    def quantize(self, scheme: Scheme, keep_float: frozenset[str], target: Path) -> None:
        """Write the quantized file only."""
        if scheme.calibrated and not self.options.calibration_batches:
            raise EdgepressError(
                f"{scheme.name} needs sentences to calibrate on", "name a --task that has a train split"
            )
        scheme.quantize(self.parent, target, replace(self.options, keep_float=keep_float))

    def drop(self, variant: Variant) -> float:
        """What a variant loses against the parent [points]."""
        return variant.verdict.drop(self.judge.parent_score)
