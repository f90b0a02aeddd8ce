"""What a classifier says to a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgepress.core.metrics import predict
from edgepress.core.tasks import ProblemType


@dataclass(frozen=True)
class Prediction:
    """The answer to one text."""

    label: str | tuple[str, ...] | float
    """The class; those that are given, where several may be; the value of a regression."""
    probabilities: dict[str, float]
    """Class -> probability, 0..1; empty for a regression."""


def predictions(
    logits: np.ndarray,
    labels: Sequence[str],
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> list[Prediction]:
    """Answers from logits (rows, labels).

    Args:
        logits: one row a text.
        labels: the classes, in the order of the logits.
        problem_type: what the logits mean.
        thresholds: from which probability on each label is given, where several may be; None: one half.
    """
    decided = predict(logits, problem_type, thresholds)
    if problem_type == "regression":
        return [Prediction(float(value), {}) for value in decided]
    several = problem_type == "multi_label_classification"
    shares = 1 / (1 + np.exp(-logits)) if several else _softmax(logits)
    found = []
    for row, own in zip(shares, decided, strict=True):
        given = (
            tuple(name for name, flag in zip(labels, own, strict=True) if flag) if several else labels[own]
        )
        found.append(Prediction(given, dict(zip(labels, map(float, row), strict=True))))
    return found


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares
