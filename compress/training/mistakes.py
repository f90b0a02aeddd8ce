"""Where a model errs, as a manifest keeps it: confusion matrices, ROC curves with the chosen thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.metrics import auc, confusion_matrix, roc_curve

from edgepress.core.metrics import predict
from edgepress.core.tasks import Task

# Enough for a smooth line in a picture.
CURVE_POINTS = 60
DIGITS = 4


def confusion(
    task: Task, logits: np.ndarray, labels: np.ndarray, thresholds: Sequence[float] | None
) -> dict[str, list[list[int]]]:
    """How many texts of each class (rows) were given each class (columns).

    Args:
        task: what the logits are of.
        logits: (rows, labels).
        labels: (rows,), or 0/1 flags (rows, labels).
        thresholds: from which probability on each label is given; None: one half.

    Returns:
        one matrix under the task's name; one of no and yes for each label where labels come several at once;
        nothing for values.
    """
    given = predict(logits, task.problem_type, thresholds)
    if task.problem_type == "single_label_classification":
        return {task.name: confusion_matrix(labels, given, labels=range(len(task.labels))).tolist()}
    if task.problem_type == "multi_label_classification":
        # Label by label: of a single column scikit-learn makes a matrix for "no" as well.
        return {
            label: confusion_matrix(labels[:, index], given[:, index], labels=(0, 1)).tolist()
            for index, label in enumerate(task.labels)
        }
    return {}


def roc(
    task: Task, logits: np.ndarray, labels: np.ndarray, chosen: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, Any]]:
    """The ROC curve of each label, as far as it is both there and not there.

    Args:
        task: of several labels at once.
        logits: (rows, labels).
        labels: 0/1 flags of the same shape.
        chosen: where thresholds were chosen -> one a label.

    Returns:
        label -> `auc`, `curve` (points of false and true positive rate) and `chosen`: the point of each
        threshold.
    """
    found = {}
    for index, label in enumerate(task.labels):
        scores, flags = expit(logits[:, index].astype(np.float64)), labels[:, index]
        if flags.min() == flags.max():
            continue
        wrong, right, _ = roc_curve(flags, scores)
        points = {where: _rates(scores >= own[index], flags) for where, own in chosen.items()}
        area = round(float(auc(wrong, right)), DIGITS)
        found[label] = {"auc": area, "curve": _thinned(wrong, right), "chosen": points}
    return found


def _rates(given: np.ndarray, flags: np.ndarray) -> list[float]:
    """False and true positive rate."""
    return [round(float(given[flags == flag].mean()), DIGITS) for flag in (0, 1)]


def _thinned(wrong: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """Points at even distances along the curve, measured along the axes."""
    length = wrong + right
    places = np.linspace(0, length[-1], CURVE_POINTS)
    columns = (np.interp(places, length, rate).round(DIGITS).tolist() for rate in (wrong, right))
    return [list(point) for point in zip(*columns, strict=True)]
