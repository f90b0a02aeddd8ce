"""Outcomes: what each text adds to a metric, enough to compute it and to compare two files text by text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgepress.core.metrics import (
    ANSWER_METRICS,
    CORRELATIONS,
    CORRELATIONS_OF_COSINES,
    ENTITY_METRICS,
    MASKED_METRICS,
    METRICS,
    RANK_METRICS,
    contributions,
    entity_counts,
    of_counts,
    predict,
    undefined,
    value_of,
)
from edgepress.core.tasks import ON_TRAIN, ProblemType

SHARES = ("accuracy",)
"""Metrics that are the share of texts that are right."""
MEANS = (*SHARES, *RANK_METRICS, *ANSWER_METRICS)
"""Metrics that are the mean over texts, questions or queries."""
SUMS = (*ENTITY_METRICS, *MASKED_METRICS)
"""Metrics of the sums of three numbers a text."""


def outcomes(name: str, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return what each text adds to a metric that is defined.

    Args:
        name: of the metric.
        predicted: what `metrics.predict` made of the logits.
        labels: of the same texts.

    Returns:
        of shares (texts,): right or not; of means (questions or queries,): the part of each; of entities and
        hidden tokens (texts, 3): counts; else (texts, 2) or (texts, labels, 2): prediction and label.
    """
    if name in SHARES:
        right: np.ndarray = (predicted == labels).reshape(len(labels), -1).all(axis=1)
        return right
    if name in ENTITY_METRICS:
        return entity_counts(predicted, labels).sum(axis=1)
    if name in MASKED_METRICS:
        return predicted
    own = contributions(name, predicted, labels)
    if own is not None:
        return own
    if name in CORRELATIONS_OF_COSINES:
        predicted = predicted[:, 0]
    return np.stack([predicted, labels], axis=-1)


def packed_outcomes(
    metric: str,
    logits: np.ndarray,
    labels: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> str:
    """Pack what each text adds to a metric; empty where that is undefined.

    Args:
        metric, logits, labels, problem_type, thresholds: as `metrics.score` takes them.
    """
    name, predicted = metric.removesuffix(ON_TRAIN), predict(logits, problem_type, thresholds)
    if not len(labels) or not np.isfinite(logits).all() or undefined(name, predicted, labels):
        return ""
    from edgepress.core.packed_array import pack

    return pack(outcomes(name, predicted, labels))


def value(name: str, own: np.ndarray) -> float | None:
    """The metric of these outcomes; None where it is undefined.

    Args:
        name: of the metric.
        own: as `outcomes` gives them, of any of the texts.
    """
    if name in MEANS:
        return float(own.mean(dtype=np.float64)) if len(own) else None
    if name in ENTITY_METRICS:
        return of_counts(name, own[:, None])
    if name in MASKED_METRICS:
        return None if undefined(name, own, own) else value_of(name, own, own)
    name = _of_values(name)
    predicted, labels = own[..., 0], own[..., 1]
    if name not in CORRELATIONS:
        predicted, labels = predicted.astype(np.int64), labels.astype(np.int64)
    return None if undefined(name, predicted, labels) else value_of(name, predicted, labels)


def fit(name: str, own: np.ndarray) -> bool:
    """Whether an array has the form of a metric's outcomes."""
    if name in MEANS:
        return own.ndim == 1 and (own.dtype == bool or name not in SHARES)
    if name in SUMS:
        return own.ndim > 1 and own.shape[1:] == (3,)
    return _of_values(name) in METRICS and own.ndim > 1 and own.shape[-1] == 2  # noqa: PLR2004


def _of_values(name: str) -> str:
    """The metric of the first texts' cosines alone, which outcomes of pairs are."""
    return name.removesuffix("_cosine") if name in CORRELATIONS_OF_COSINES else name
