"""Confusion matrices and ROC curves against scikit-learn, and small ones by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from compress.training.mistakes import CURVE_POINTS, confusion, roc
from edgepress.core.tasks import TASKS

NEWS, TOXIC, PAIRS = TASKS["news_aggregator"], TASKS["toxic_comments"], TASKS["stsb"]


def test_rows_are_what_texts_are_and_columns_what_was_given():
    logits = np.eye(4)[[0, 0, 1, 3]]
    labels = np.array([0, 1, 1, 3])
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert confusion(NEWS, logits, labels, None) == {"news_aggregator": expected}


def test_each_label_has_a_matrix_of_its_own_that_follows_the_thresholds():
    logits = np.array([[1.0] * 6, [-1.0] * 6, [3.0] * 6])
    labels = np.array([[1.0] * 6, [0.0] * 6, [0.0] * 6])
    assert confusion(TOXIC, logits, labels, None)["toxic"] == [[1, 1], [0, 1]]
    assert confusion(TOXIC, logits, labels, [0.9] * 6)["toxic"] == [[1, 1], [1, 0]]
    assert list(confusion(TOXIC, logits, labels, None)) == list(TOXIC.labels)


def test_values_have_no_classes():
    assert confusion(PAIRS, np.zeros((3, 1)), np.zeros(3), None) == {}


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random((400, 6)) < 0.2).astype(np.float64)
    labels[:, 5] = 0
    return labels * 1.5 + rng.normal(size=labels.shape), labels


def test_curves_are_thin_and_rise_from_corner_to_corner(answers):
    found = roc(TOXIC, *answers, {"0.5": [0.5] * 6})
    for index, label in enumerate(TOXIC.labels[:5]):
        curve = np.array(found[label]["curve"])
        assert len(curve) <= CURVE_POINTS
        assert curve[0].tolist() == [0, 0]
        assert curve[-1].tolist() == [1, 1]
        assert (np.diff(curve, axis=0) >= 0).all()
        area = roc_auc_score(answers[1][:, index], answers[0][:, index])
        assert found[label]["auc"] == pytest.approx(area, abs=1e-4)
        assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(area, abs=0.02)


def test_a_label_that_is_never_there_has_no_curve(answers):
    assert set(roc(TOXIC, *answers, {})) == set(TOXIC.labels[:5])


def test_thresholds_lie_on_the_curve(answers):
    logits, labels = answers
    (point,) = roc(TOXIC, logits, labels, {"0.5": [0.5] * 6})["toxic"]["chosen"].values()
    given, there = logits[:, 0] >= 0, labels[:, 0] == 1
    assert point == pytest.approx([given[~there].mean(), given[there].mean()], abs=1e-4)
