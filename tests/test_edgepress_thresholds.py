"""Thresholds against values worked out by hand."""

import numpy as np
import pytest
from scipy.special import expit, logit

from edgepress.core.metrics import agreement, decide, gmean_thresholds, predict, score

MULTI = "multi_label_classification"
# Of the first label, the two positives stand at 0.2 and 0.3, the best negative at 0.1. Of the second one
# positive is below a negative: from 0.6 on 1/2 of the positives and 3/3 of the negatives are right (0.5),
# from 0.4 on 2/2 and 2/3 (0.67), from 0.1 on 2/2 and 0/3.
PROBABILITIES = np.array([[0.2, 0.6], [0.3, 0.5], [0.1, 0.4], [0.05, 0.1], [0.01, 0.1]])
FLAGS = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
LOGITS = logit(PROBABILITIES)


def between(low: float, high: float) -> float:
    return float(expit((logit(low) + logit(high)) / 2))


CHOSEN = [between(0.1, 0.2), between(0.1, 0.4)]


def test_the_largest_geometric_mean():
    assert gmean_thresholds(LOGITS, FLAGS) == pytest.approx(CHOSEN)


def test_rounding_turns_no_text_over():
    chosen = gmean_thresholds(LOGITS, FLAGS)
    for shift in (-0.1, 0.1):
        assert np.array_equal(decide(LOGITS + shift, chosen), decide(LOGITS, chosen))


def test_labels_that_stand_the_wrong_way_round_give_a_probability():
    chosen = gmean_thresholds(LOGITS[:, :1], 1 - FLAGS[:, :1])
    assert 0 <= chosen[0] <= 1


def test_a_label_is_given_from_its_threshold_on():
    chosen = gmean_thresholds(LOGITS, FLAGS)
    expected = [[1, 1], [1, 1], [0, 1], [0, 0], [0, 0]]
    assert decide(LOGITS, chosen).tolist() == expected
    assert predict(LOGITS, MULTI, chosen).tolist() == expected


def test_thresholds_of_float32_logits_hold_for_them():
    logits = LOGITS.astype(np.float32)
    assert decide(logits, gmean_thresholds(logits, FLAGS))[:, 0].tolist() == [1, 1, 0, 0, 0]


@pytest.mark.parametrize("flag", [0.0, 1.0])
def test_a_label_that_is_never_or_always_there_keeps_one_half(flag):
    flags = np.column_stack([FLAGS[:, 0], np.full(5, flag)])
    assert gmean_thresholds(LOGITS, flags) == pytest.approx([CHOSEN[0], 0.5])


def test_scores_are_of_the_decisions():
    assert score("hamming_score", LOGITS, FLAGS, MULTI) == pytest.approx((1 / 2 + 0 + 0 + 1 + 1) / 5)
    assert score("hamming_score", LOGITS, FLAGS, MULTI, [0.2, 0.4]) == pytest.approx((1 + 1 / 2 + 1 + 2) / 5)
    assert score("hamming_labelwise", LOGITS, FLAGS, MULTI, [0.2, 0.4]) == pytest.approx(9 / 10)


def test_agreement_is_of_the_decisions():
    shifted = logit(PROBABILITIES / 2)
    assert agreement(LOGITS, shifted, MULTI) == 9 / 10
    assert agreement(LOGITS, shifted, MULTI, [0.2, 0.4]) == 5 / 10


def test_no_thresholds_of_other_kinds_of_tasks():
    logits = np.array([[2.0, 1.0], [0.0, 1.0]])
    assert predict(logits, "single_label_classification", None).tolist() == [0, 1]
