"""Metrics against values worked out by hand."""

import numpy as np
import pytest

from edgepress.metrics import METRICS, agreement, predict, score
from edgepress.tasks import TASKS

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"

PREDICTED, LABELS = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
FLAGS, TRUE_FLAGS = np.array([[1, 0], [0, 0], [1, 0]]), np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])


KNOWN = [
    ("accuracy", PREDICTED, LABELS, 3 / 4),
    ("f1", PREDICTED, LABELS, 2 / 3),  # 2 TP / (2 TP + FP + FN) = 2 / (2 + 1 + 0)
    ("f1_macro", PREDICTED, LABELS, (2 / 3 + 4 / 5) / 2),
    ("f1_micro", PREDICTED, LABELS, 3 / 4),
    ("f1_micro", FLAGS, TRUE_FLAGS, 2 / 5),  # TP 1, FP 1, FN 2
    ("matthews", PREDICTED, LABELS, 2 / 12**0.5),  # TP 1, TN 2, FP 1, FN 0
    ("pearson", np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]), 3 / (2 * 42 / 9) ** 0.5),
    ("spearman", np.array([10.0, 30.0, 20.0, 99.0]), np.array([1.0, 2.0, 3.0, 4.0]), 1 - 6 * 2 / 60),
    ("hamming_score", FLAGS, TRUE_FLAGS, (1 / 2 + 1 + 0) / 3),
    ("hamming_labelwise", FLAGS, TRUE_FLAGS, 3 / 6),
]


@pytest.mark.parametrize(("metric", "predicted", "labels", "expected"), KNOWN)
def test_known_values(metric: str, predicted: np.ndarray, labels: np.ndarray, expected: float) -> None:
    assert METRICS[metric](predicted, labels) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["accuracy", "f1", "f1_macro", "f1_micro", "matthews"])
def test_perfect_predictions_score_one(metric: str) -> None:
    assert METRICS[metric](LABELS, LABELS) == 1


def test_f1_without_positives_is_zero_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert METRICS["f1"](np.zeros(4, dtype=int), np.zeros(4, dtype=int)) == 0
    assert not recwarn.list


def test_every_metric_has_a_known_value() -> None:
    assert {metric for metric, *_ in KNOWN} == set(METRICS)


def test_every_task_has_a_known_metric() -> None:
    assert {task.metric for task in TASKS.values()} <= set(METRICS)


def test_predicted_class_is_the_largest_logit() -> None:
    logits = np.array([[-1.0, -2.0, -3.0], [0.0, 0.1, 5.0]])
    assert predict(logits, SINGLE).tolist() == [0, 2]


def test_predicted_flags_are_logits_above_zero() -> None:
    logits = np.array([[-1.0, 0.0, 0.1], [3.0, -0.1, 2.0]])
    assert predict(logits, MULTI).tolist() == [[0, 0, 1], [1, 0, 1]]


def test_predicted_value_is_the_only_logit() -> None:
    assert predict(np.array([[1.5], [-2.0]]), REGRESSION).tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("metric", "logits", "labels", "problem_type", "expected"),
    [
        ("accuracy", np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([0, 0]), SINGLE, 0.5),
        ("f1_micro", np.array([[2.0, -1.0], [-1.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 1.0]]), MULTI, 0.8),
        ("spearman", np.array([[3.0], [2.0], [1.0]]), np.array([0.0, 0.5, 0.9]), REGRESSION, -1.0),
    ],
)
def test_score_from_logits(
    metric: str, logits: np.ndarray, labels: np.ndarray, problem_type: str, expected: float
) -> None:
    assert score(metric, logits, labels, problem_type) == pytest.approx(expected)


def test_agreement_counts_equal_classes() -> None:
    parent = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 9.0]])
    child = np.array([[9.0, 8.0], [0.0, 0.1], [0.0, 1.0], [1.0, 2.0]])
    assert agreement(parent, child, SINGLE) == 0.75


def test_agreement_counts_equal_flags() -> None:
    parent, child = np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([[2.0, -3.0], [0.5, -0.5]])
    assert agreement(parent, child, MULTI) == 0.75


def test_agreement_of_regression_is_rank_correlation() -> None:
    parent = np.array([[1.0], [2.0], [3.0], [4.0]])
    assert agreement(parent, parent**3, REGRESSION) == pytest.approx(1)
    assert agreement(parent, -parent, REGRESSION) == pytest.approx(-1)
