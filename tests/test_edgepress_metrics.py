"""Metrics against values worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from edgepress.core import masked_scores, ranking, squad
from edgepress.core.console import warn_anew
from edgepress.core.metrics import (
    ANSWER_METRICS,
    MASKED_METRICS,
    METRICS,
    NAMES,
    RANK_METRICS,
    agreement,
    predict,
    score,
    scores,
    undefined,
)
from edgepress.core.tasks import TASKS

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"

PREDICTED, LABELS = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
FLAGS, TRUE_FLAGS = np.array([[1, 0], [0, 0], [1, 0]]), np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])


# Of each pair the cosine, and the rank of its second text.
COSINES = np.array([[0.1, 9], [0.3, 7], [0.2, 8], [0.9, 1]])
KNOWN = [
    ("accuracy", PREDICTED, LABELS, 3 / 4),
    ("f1", PREDICTED, LABELS, 2 / 3),  # 2 TP / (2 TP + FP + FN) = 2 / (2 + 1 + 0)
    ("f1_macro", PREDICTED, LABELS, (2 / 3 + 4 / 5) / 2),
    ("f1_micro", PREDICTED, LABELS, 3 / 4),
    ("f1_micro", FLAGS, TRUE_FLAGS, 2 / 5),  # TP 1, FP 1, FN 2
    ("matthews", PREDICTED, LABELS, 2 / 12**0.5),  # TP 1, TN 2, FP 1, FN 0
    ("pearson", np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]), 3 / (2 * 42 / 9) ** 0.5),
    ("spearman", np.array([10.0, 30.0, 20.0, 99.0]), np.array([1.0, 2.0, 3.0, 4.0]), 1 - 6 * 2 / 60),
    ("spearman_cosine", COSINES, np.array([1.0, 2.0, 3.0, 4.0]), 1 - 6 * 2 / 60),
    ("pearson_cosine", COSINES[[0, 2, 3]], np.array([0.1, 0.2, 0.9]), 1),
    ("hamming_score", FLAGS, TRUE_FLAGS, (1 / 2 + 1 + 0) / 3),
    ("hamming_labelwise", FLAGS, TRUE_FLAGS, 3 / 6),
]


@pytest.mark.parametrize(("metric", "predicted", "labels", "expected"), KNOWN)
def test_known_values(metric: str, predicted: np.ndarray, labels: np.ndarray, expected: float) -> None:
    assert METRICS[metric](predicted, labels) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["accuracy", "f1", "f1_macro", "f1_micro", "matthews"])
def test_perfect_predictions_score_one(metric: str) -> None:
    assert METRICS[metric](LABELS, LABELS) == 1


ONE_FLAG, ONE_TRUE = np.array([[1], [1], [0], [0]]), np.array([[1.0], [0.0], [1.0], [0.0]])
THREE_FLAGS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]])
THREE_TRUE = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
THREE_CLASSES, THREE_CLASSES_TRUE = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])


@pytest.mark.parametrize(
    ("metric", "predicted", "labels", "expected"),
    [
        # One label: TP 1, FP 1, FN 1, TN 1. As one class a text micro F1 would be the accuracy, 2 / 4.
        ("f1_micro", ONE_FLAG, ONE_TRUE, 2 / 4),
        ("f1_macro", ONE_FLAG, ONE_TRUE, 2 / 4),
        ("f1_micro", np.array([[1], [0], [0], [0]]), np.array([[1.0], [1.0], [0.0], [0.0]]), 2 / 3),
        ("f1_macro", np.array([[1], [0], [0], [0]]), np.array([[1.0], [1.0], [0.0], [0.0]]), 2 / 3),
        ("hamming_score", ONE_FLAG, ONE_TRUE, (1 + 0 + 0 + 1) / 4),
        ("hamming_labelwise", ONE_FLAG, ONE_TRUE, 2 / 4),
        # Three labels, of which the last never occurs: F1 is 1, 1/2 and, by scikit-learn's custom, 0.
        ("f1_micro", THREE_FLAGS, THREE_TRUE, 6 / (6 + 1 + 1)),
        ("f1_macro", THREE_FLAGS, THREE_TRUE, (1 + 1 / 2 + 0) / 3),
        ("hamming_score", THREE_FLAGS, THREE_TRUE, (1 + 1 / 2 + 0 + 1) / 4),
        ("hamming_labelwise", THREE_FLAGS, THREE_TRUE, 10 / 12),
        # Three classes: F1 is 1, 2/3, 2/3.
        ("accuracy", THREE_CLASSES, THREE_CLASSES_TRUE, 3 / 4),
        ("f1_macro", THREE_CLASSES, THREE_CLASSES_TRUE, (1 + 2 / 3 + 2 / 3) / 3),
        ("f1_micro", THREE_CLASSES, THREE_CLASSES_TRUE, 3 / 4),
        # One row.
        ("f1_micro", np.array([[1, 0]]), np.array([[1.0, 1.0]]), 2 / 3),
        ("f1_micro", np.array([[1]]), np.array([[1.0]]), 1.0),
        ("accuracy", np.array([1]), np.array([1]), 1.0),
    ],
)
def test_known_values_of_other_shapes(
    metric: str, predicted: np.ndarray, labels: np.ndarray, expected: float
) -> None:
    assert METRICS[metric](predicted, labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "logits", "labels", "problem_type", "reason"),
    [
        ("spearman", [[1.0], [2.0]], [3.0, 3.0], REGRESSION, "all labels are the same"),
        ("pearson", [[1.0], [1.0]], [3.0, 4.0], REGRESSION, "all predictions are the same"),
        ("pearson", [[1.0], [1.0]], [3.0, 3.0], REGRESSION, "all labels and all predictions are the same"),
        ("spearman", [[1.0]], [3.0], REGRESSION, "there is one text only"),
        ("spearman", [[float("nan")], [1.0]], [3.0, 4.0], REGRESSION, "not a finite number"),
        ("matthews", [[1.0, 0.0], [0.0, 1.0]], [1, 1], SINGLE, "all labels are the same"),
        ("f1", [[1.0, 0.0], [1.0, 0.0]], [0, 0], SINGLE, "no text has a label"),
        ("f1_micro", [[-1.0], [-1.0]], [[0.0], [0.0]], MULTI, "no text has a label"),
        ("f1_micro_on_train", [[-1.0], [-1.0]], [[0.0], [0.0]], MULTI, "no text has a label"),
    ],
)
def test_undefined_scores_say_why(capsys, metric, logits, labels, problem_type, reason) -> None:
    warn_anew()
    assert score(metric, np.array(logits), np.array(labels), problem_type) is None
    assert f"{metric} is undefined: " in capsys.readouterr().err.replace("\n", " ")
    assert reason in undefined(
        metric.removesuffix("_on_train"), predict(np.array(logits), problem_type), np.array(labels)
    )


def test_on_train_names_the_usual_scores_too() -> None:
    logits, labels = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    assert scores("accuracy_on_train", logits, labels, SINGLE) == {
        "accuracy_on_train": 1,
        "f1_macro_on_train": 1,
    }


def test_agreement_of_constant_values_is_undefined() -> None:
    assert agreement(np.ones((4, 1)), np.arange(4.0)[:, None], REGRESSION) is None
    assert agreement(np.arange(4.0)[:, None], 2 * np.arange(4.0)[:, None], REGRESSION) == pytest.approx(1)


def test_metrics_are_named_as_their_modules_name_them() -> None:
    assert tuple(ranking.METRICS) == RANK_METRICS
    assert tuple(squad.SCORES) == ANSWER_METRICS
    assert tuple(masked_scores.METRICS) == MASKED_METRICS


@pytest.mark.parametrize(
    ("metric", "shape", "classes"),
    [
        ("f1", (30,), 2),
        ("f1", (30, 1), 2),
        *((metric, shape, 2) for metric in ("f1_macro", "f1_micro") for shape in ((30,), (30, 1), (30, 4))),
        *((metric, (30,), 5) for metric in ("f1_macro", "f1_micro")),
    ],
)
def test_f1_is_scikit_learns(metric: str, shape: tuple[int, ...], classes: int) -> None:
    average = metric.removeprefix("f1").strip("_") or "binary"
    rng = np.random.default_rng(0)
    for _ in range(20):
        predicted, labels = (rng.integers(0, classes, shape)[: rng.integers(2, 9)] for _ in range(2))
        rows = min(len(predicted), len(labels))
        predicted, labels = predicted[:rows], labels[:rows]
        one = shape[1:] == (1,)  # scikit-learn takes one column for classes
        expected = f1_score(
            labels[:, 0] if one else labels,
            predicted[:, 0] if one else predicted,
            average="binary" if one else average,
            zero_division=0,
        )
        assert METRICS[metric](predicted, labels) == pytest.approx(expected, abs=1e-12)


def test_f1_without_positives_is_zero_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert METRICS["f1"](np.zeros(4, dtype=int), np.zeros(4, dtype=int)) == 0
    assert not recwarn.list


def test_every_metric_has_a_known_value() -> None:
    assert {metric for metric, *_ in KNOWN} == set(METRICS)


def test_every_task_has_a_known_metric() -> None:
    assert {task.metric for task in TASKS.values()} <= set(NAMES)


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
