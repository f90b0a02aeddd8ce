"""Metrics on plain arrays: logits of shape (rows, labels), labels as `tasks.Examples` has them."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from edgepress.core.console import warn_once
from edgepress.core.tasks import ON_TRAIN, ProblemType
from edgepress.core.thresholds import decide

Metric = Callable[[np.ndarray, np.ndarray], float]
# A correlation of fewer pairs than this is none.
MIN_CORRELATED = 2


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
    def compute(predicted: np.ndarray, labels: np.ndarray) -> float:
        if labels.ndim > 1 and labels.shape[1] == 1:
            # One label: scikit-learn takes a column for one class a text, and counts "no" as a class, too.
            return float(f1_score(labels[:, 0], predicted[:, 0], average="binary", zero_division=0))
        return float(f1_score(labels, predicted, average=average, zero_division=0))

    return compute


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
CORRELATIONS = ("pearson", "spearman")
COUNTS = ("f1", "f1_micro")
"""Metrics that are 0 / 0 where no label is there and none is given."""


def _overlap(predicted: np.ndarray, labels: np.ndarray) -> float:
    union = (predicted | labels).sum(axis=-1)
    both = (predicted & labels).sum(axis=-1)
    return float(np.where(union == 0, 1.0, both / np.maximum(union, 1)).mean())


def undefined(metric: str, predicted: np.ndarray, labels: np.ndarray) -> str:
    """Why a metric has no value for these predictions and labels; empty where it has one."""
    if not np.isfinite(predicted).all():
        return "a prediction is not a finite number"
    if metric in CORRELATIONS:
        return _uncorrelated(predicted, labels)
    if metric == "matthews" and np.ptp(labels) == 0:
        return "all labels are the same"
    if metric in COUNTS and (metric == "f1" or labels.ndim > 1) and not (predicted.any() or labels.any()):
        return "no text has a label, and none is given one"
    return ""


def _uncorrelated(predicted: np.ndarray, labels: np.ndarray) -> str:
    if len(labels) < MIN_CORRELATED:
        return "there is one text only"
    constant = [name for name, own in (("labels", labels), ("predictions", predicted)) if np.ptp(own) == 0]
    return f"all {' and all '.join(constant)} are the same" if constant else ""


def score(
    metric: str,
    logits: np.ndarray,
    labels: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> float | None:
    """The metric's value, 0..1 (correlations and Matthews -1..1); None, with a warning, where it has none.

    A metric's name may say that the texts are those of the training (`tasks.ON_TRAIN`).
    """
    predicted, name = predict(logits, problem_type, thresholds), metric.removesuffix(ON_TRAIN)
    # A class is found among logits that are no numbers, too.
    finite = bool(np.isfinite(logits).all())
    reason = undefined(name, predicted, labels) if finite else "an output of the model is not a finite number"
    if reason:
        warn_once(f"{metric} is undefined: {reason}")
        return None
    return METRICS[name](predicted, labels)


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
) -> dict[str, float | None]:
    """The metric's value, then those of the usual ones; None where one is undefined."""
    suffix = ON_TRAIN if metric.endswith(ON_TRAIN) else ""
    names = dict.fromkeys((metric, *(f"{name}{suffix}" for name in USUAL[problem_type])))
    return {name: score(name, logits, labels, problem_type, thresholds) for name in names}


def agreement(
    parent: np.ndarray,
    child: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> float | None:
    """How often two models decide alike, 0..1; of values their rank correlation, None where undefined."""
    ours, theirs = (predict(logits, problem_type, thresholds) for logits in (child, parent))
    if problem_type == "regression":
        return None if undefined("spearman", ours, theirs) else METRICS["spearman"](ours, theirs)
    return float((ours == theirs).mean())
