"""From which probability on a label is given: chosen per label, and kept in config.json.

    "edgepress_thresholds": [0.12, 0.03, ...]     in the order of id2label

A label is given where its probability reaches its threshold; without the key that is 0.5.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit
from sklearn.metrics import roc_curve

THRESHOLDS = "edgepress_thresholds"
HALF = 0.5


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
