"""Metrics and thresholds on plain arrays: logits (rows, labels), labels as `splits.Examples` has them.

From which probability on a label is given is chosen per label, and kept in config.json:

    "edgepress_thresholds": [0.12, 0.03, ...]     in the order of id2label

A label is given where its probability reaches its threshold; without the key that is 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import expit
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, matthews_corrcoef, roc_curve

from edgepress.core.console import warn_once
from edgepress.core.tasks import ON_TRAIN, ProblemType
from edgepress.core.tasks.kinds import kind_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

THRESHOLDS = "edgepress_thresholds"
HALF = 0.5


def set_thresholds(model: PreTrainedModel, thresholds: Sequence[float] | None) -> None:
    """Write into the model's config from which probability on each label is given; None: one half."""
    if thresholds is not None:
        setattr(model.config, THRESHOLDS, list(thresholds))
    elif hasattr(model.config, THRESHOLDS):
        delattr(model.config, THRESHOLDS)  # those of the model that it was made of


def gmean_thresholds(logits: np.ndarray, labels: np.ndarray) -> list[float]:
    """The threshold of each label at which the geometric mean of sensitivity and specificity is largest.

    That is the point of the ROC curve where sqrt(TPR * (1 - FPR)) peaks (Kubat and Matwin 1997, section 2).
    All thresholds between the probabilities of two texts give the same point; the one in the middle, on
    the scale of logits, is taken: one that equals a text's own would turn it over where a file rounds
    otherwise. Where a label is never or always there, no point is better than another, and it is 0.5.

    Args:
        logits: (rows, labels).
        labels: 0/1 flags of the same shape; of other rows than those the result is judged on.
    """
    return [_best(z.astype(np.float64), y) for z, y in zip(logits.T, labels.T, strict=True)]


def _best(logits: np.ndarray, flags: np.ndarray) -> float:
    if flags.min() == flags.max():
        return HALF
    wrong, right, thresholds = roc_curve(flags, logits, drop_intermediate=False)
    means = right * (1 - wrong)
    best = np.argmax(means)
    if means[best] == 0:  # no threshold tells any two texts apart: one logit for all, or the wrong way round
        return HALF
    # Never the last point: there every text has the label, and the mean is 0.
    return float(expit((thresholds[best] + thresholds[best + 1]) / 2))


def decide(logits: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """0/1 flags (rows, labels): where the probability reaches its label's threshold."""
    return (expit(logits.astype(np.float64)) >= np.asarray(thresholds)).astype(np.int64)


Metric = Callable[[np.ndarray, np.ndarray], float]
# A correlation of fewer pairs than this is none.
MIN_CORRELATED = 2


def predict(
    logits: np.ndarray, problem_type: ProblemType, thresholds: Sequence[float] | None = None
) -> np.ndarray:
    """Class ids (rows,) or (rows, places), 0/1 flags (rows, labels), or values (rows,).

    Flags are set where the logit is above 0 or, with thresholds, where the probability reaches its own.
    """
    return kind_of(problem_type).decide(logits, thresholds)


def _f1(average: Literal["binary", "macro", "micro"]) -> Metric:
    """F1 as scikit-learn has it, whose many checks would take most of an interval's time.

    Of class ids (texts,) binary is that of class 1, and macro the mean over the classes that are there or
    given; of flags (texts, labels) macro is the mean over all. It is 0 where nothing is there or given.
    """

    def compute(predicted: np.ndarray, labels: np.ndarray) -> float:
        given, there = predicted.astype(bool), labels.astype(bool)
        if labels.ndim == 1:
            classes = np.arange(max(predicted.max(), labels.max(), 1) + 1)
            given, there = (own[:, None] == classes for own in (predicted, labels))
        right, both = (given & there).sum(axis=0), given.sum(axis=0) + there.sum(axis=0)
        if average == "micro":
            return float(2 * right.sum() / max(both.sum(), 1))
        each = 2 * right / np.maximum(both, 1)
        if average == "binary":
            return float(each[1 if labels.ndim == 1 else 0])
        return float(each.mean() if labels.ndim > 1 else each[both > 0].mean())

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
    # Of models that give vectors: cosines stand first, ranks among all passages beside them.
    "spearman_cosine": lambda predicted, labels: float(spearmanr(labels, predicted[:, 0]).statistic),
    "pearson_cosine": lambda predicted, labels: float(pearsonr(labels, predicted[:, 0]).statistic),
    # Godbole and Sarawagi 2004: overlap over union of the label sets, 1 where both are empty.
    "hamming_score": lambda predicted, labels: _overlap(predicted, labels.astype(np.int64)),
    # One minus the Hamming loss: the share of flags that are right.
    "hamming_labelwise": lambda predicted, labels: float((predicted == labels).mean()),
}
# Of the sums of what texts contribute: entities that are right, that are given, and that are there.
ENTITY_METRICS: dict[str, Callable[[float, float, float], float | None]] = {
    "entity_f1": lambda right, given, there: 2 * right / (given + there) if given + there else None,
    "entity_precision": lambda right, given, _: right / given if given else None,
    "entity_recall": lambda right, _, there: right / there if there else None,
}
# Of the modules that compute them: ranking, squad and masked_scores, which are imported where they are asked.
RANK_METRICS = ("map", "mrr_at_10", "ndcg_at_10", "recall_at_1", "recall_at_10")
ANSWER_METRICS = ("answer_f1", "exact_match")
MASKED_METRICS = ("masked_accuracy", "masked_lm_loss")
LOSSES = ("masked_lm_loss",)
"""Metrics that are better when lower, in nats: no model is chosen by them."""
NAMES = (*METRICS, *ENTITY_METRICS, *ANSWER_METRICS, *RANK_METRICS, *MASKED_METRICS)
CORRELATIONS = ("pearson", "spearman")
CORRELATIONS_OF_COSINES = ("spearman_cosine", "pearson_cosine")
COUNTS = ("f1", "f1_micro")
"""Metrics that are 0 / 0 where no label is there and none is given."""


def contributions(name: str, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """Return the part of each question or query in a metric that is their mean; None for other metrics."""
    if name in RANK_METRICS:
        from edgepress.core.ranking import query_scores

        return query_scores(name, predicted, labels)
    if name in ANSWER_METRICS:
        from edgepress.core.squad import answer_scores

        return answer_scores(name, predicted, labels)
    return None


def entity_counts(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count entities as `tags.entity_counts`, whose library is loaded where entities are counted."""
    from edgepress.core.tags import entity_counts

    return entity_counts(predicted, labels)


def of_counts(metric: str, counts: np.ndarray) -> float | None:
    """The value of an entity metric, micro-averaged, 0..1; None where it is 0 / 0.

    Args:
        metric: a name in `ENTITY_METRICS`.
        counts: (texts, types, 3), of `tags.entity_counts`.
    """
    right, given, there = counts.sum(axis=(0, 1)).tolist()
    return ENTITY_METRICS[metric](right, given, there)


def _overlap(predicted: np.ndarray, labels: np.ndarray) -> float:
    union = (predicted | labels).sum(axis=-1)
    both = (predicted & labels).sum(axis=-1)
    return float(np.where(union == 0, 1.0, both / np.maximum(union, 1)).mean())


def undefined(metric: str, predicted: np.ndarray, labels: np.ndarray) -> str:
    """Why a metric has no value for these predictions and labels; empty where it has one."""
    if not np.isfinite(predicted).all():
        return "a prediction is not a finite number"
    if metric in MASKED_METRICS and not predicted[:, -1].any():  # hidden tokens of each text
        return "no token is hidden in so little text"
    if metric in (*CORRELATIONS, *CORRELATIONS_OF_COSINES):
        return _uncorrelated(predicted if metric in CORRELATIONS else predicted[:, 0], labels)
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
    value = None
    if not reason:
        value = value_of(name, predicted, labels)
        reason = "" if value is not None else "there is nothing to count"
    if reason:
        warn_once(f"{metric} is undefined: {reason}")
    return value


def value_of(name: str, predicted: np.ndarray, labels: np.ndarray) -> float | None:
    """The metric of what was decided; None where it is 0 / 0."""
    if name in ENTITY_METRICS:
        return of_counts(name, entity_counts(predicted, labels))
    own = contributions(name, predicted, labels)
    if own is not None:
        return float(own.mean()) if len(own) else None
    if name in MASKED_METRICS:
        from edgepress.core import masked_scores

        return masked_scores.METRICS[name](predicted)
    return METRICS[name](predicted, labels)


def scores(
    metric: str,
    logits: np.ndarray,
    labels: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> dict[str, float | None]:
    """The metric's value, then those of the usual ones; None where one is undefined."""
    suffix = ON_TRAIN if metric.endswith(ON_TRAIN) else ""
    usual = kind_of(problem_type).usual_beside(metric.removesuffix(ON_TRAIN))
    names = dict.fromkeys((metric, *(f"{name}{suffix}" for name in usual)))
    return {name: score(name, logits, labels, problem_type, thresholds) for name in names}


def agreement(
    parent: np.ndarray,
    child: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> float | None:
    """Return the share of equal decisions of two models, 0..1.

    For values it is their rank correlation, -1..1, and None where that is undefined.
    """
    ours, theirs = (predict(logits, problem_type, thresholds) for logits in (child, parent))
    if kind_of(problem_type).values:
        return None if undefined("spearman", ours, theirs) else METRICS["spearman"](ours, theirs)
    return float((ours == theirs).mean())
