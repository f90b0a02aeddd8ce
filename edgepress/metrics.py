"""Metrics on plain arrays: logits of shape (rows, labels), labels as `tasks.Examples` has them."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from edgepress.tasks import ProblemType
from edgepress.thresholds import decide

Metric = Callable[[np.ndarray, np.ndarray], float]


def predict(
    logits: np.ndarray, problem_type: ProblemType, thresholds: Sequence[float] | None = None
) -> np.ndarray:
    """Class ids (rows,), 0/1 flags (rows, labels), or values (rows,).

    Flags are set where the logit is above 0 or, with thresholds, where the probability reaches its own.
    """
    if problem_type == "single_label_classification":
        return logits.argmax(axis=-1)
    if problem_type == "multi_label_classification":
        return (logits > 0).astype(np.int64) if thresholds is None else decide(logits, thresholds)
    return logits[:, 0]


def _f1(average: str) -> Metric:
    return lambda predicted, labels: float(f1_score(labels, predicted, average=average, zero_division=0))


# Each takes predictions (of `predict`) and labels, and is better when higher.
METRICS: dict[str, Metric] = {
    "accuracy": lambda predicted, labels: float(accuracy_score(labels, predicted)),
    "f1": _f1("binary"),
    "f1_macro": _f1("macro"),
    "f1_micro": _f1("micro"),
    "matthews": lambda predicted, labels: float(matthews_corrcoef(labels, predicted)),
    "pearson": lambda predicted, labels: float(pearsonr(labels, predicted).statistic),
    "spearman": lambda predicted, labels: float(spearmanr(labels, predicted).statistic),
    # Godbole and Sarawagi 2004: overlap over union of the label sets, 1 where both are empty.
    "hamming_score": lambda predicted, labels: _overlap(predicted, labels.astype(np.int64)),
    # One minus the Hamming loss: the share of flags that are right.
    "hamming_labelwise": lambda predicted, labels: float((predicted == labels).mean()),
}


def _overlap(predicted: np.ndarray, labels: np.ndarray) -> float:
    union = (predicted | labels).sum(axis=-1)
    both = (predicted & labels).sum(axis=-1)
    return float(np.where(union == 0, 1.0, both / np.maximum(union, 1)).mean())


def score(
    metric: str,
    logits: np.ndarray,
    labels: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> float:
    """The metric's value, 0..1 (correlations and Matthews -1..1)."""
    return METRICS[metric](predict(logits, problem_type, thresholds), labels)


# What people expect to see beside a task's own metric.
USUAL: dict[ProblemType, tuple[str, ...]] = {
    "single_label_classification": ("accuracy", "f1_macro"),
    "multi_label_classification": ("f1_micro", "f1_macro", "hamming_score", "hamming_labelwise"),
    "regression": ("pearson", "spearman"),
}


def scores(
    metric: str,
    logits: np.ndarray,
    labels: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> dict[str, float]:
    """The metric's value, then those of the usual ones."""
    names = dict.fromkeys((metric, *USUAL[problem_type]))
    return {name: score(name, logits, labels, problem_type, thresholds) for name in names}


def agreement(
    parent: np.ndarray,
    child: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> float:
    """How often two models decide alike, 0..1; for regression the rank correlation of their values."""
    ours, theirs = (predict(logits, problem_type, thresholds) for logits in (child, parent))
    if problem_type == "regression":
        return METRICS["spearman"](ours, theirs)
    return float((ours == theirs).mean())
