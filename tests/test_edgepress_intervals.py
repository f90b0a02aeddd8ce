"""Intervals of scores and losses, against values worked out by hand and against their own definitions."""

import math

import numpy as np
import pytest

from edgepress.core.intervals import Bounds, Z, drop_bounds, score_bounds, tango, texts_needed, wilson

SINGLE = "single_label_classification"


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson(right, count, low, high):
    found = wilson(right, count)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("count", [10, 150, 5000])
def test_no_difference_among_few_texts_is_not_none(count):
    found = tango(0, 0, count)
    assert found.high == pytest.approx(Z**2 / (count + Z**2), abs=1e-6)
    assert found.low == -found.high


def test_150_texts_cannot_tell_two_points():
    found = tango(0, 0, 150)
    assert found.high > 0.02
    assert tango(0, 0, 200).high < 0.02


@pytest.mark.parametrize(
    ("lost", "won", "count"), [(9, 3, 50), (3, 9, 50), (12, 2, 872), (1, 0, 150), (40, 40, 200)]
)
def test_tango_is_where_the_score_test_turns(lost, won, count):
    found = tango(lost, won, count)
    assert found.low < (lost - won) / count < found.high
    for end in (found.low, found.high):
        # The restricted estimate, by maximum likelihood on a grid, in place of the closed form.
        grid = np.linspace(1e-9, 1, 400_001)
        share = grid[(grid + end > 0) & (2 * grid + end < 1)]
        same = (count - lost - won) * np.log(1 - 2 * share - end)
        likelihood = same + lost * np.log(share + end) + won * np.log(share)
        best = share[likelihood.argmax()]
        statistic = (lost - won - count * end) / math.sqrt(count * (2 * best + end * (1 - end)))
        assert abs(statistic) == pytest.approx(Z, abs=5e-3)


def test_the_two_sides_mirror():
    ours, theirs = tango(9, 3, 50), tango(3, 9, 50)
    assert (ours.low, ours.high) == pytest.approx((-theirs.high, -theirs.low))


def logits_of(classes, count=2):
    return np.eye(count)[np.asarray(classes)] * 4.0


def test_accuracy_has_wilsons():
    labels = np.array([0, 1] * 50)
    said = labels.copy()
    said[:10] = 1 - said[:10]
    assert score_bounds("accuracy", logits_of(said), labels, SINGLE) == wilson(90, 100)


def test_a_bootstrap_holds_the_score():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 300)
    said = np.where(rng.random(300) < 0.8, labels, 1 - labels)
    for metric in ("f1", "f1_macro", "matthews"):
        found = score_bounds(metric, logits_of(said), labels, SINGLE)
        assert found.low < 0.85
        assert 0.03 < found.high - found.low < 0.25


def test_a_loss_is_paired():
    labels = np.array([0, 1] * 100)
    before, after = labels.copy(), labels.copy()
    before[:40] = 1 - before[:40]  # both have the same forty wrong
    after[:42] = 1 - after[:42]
    found = drop_bounds("accuracy", logits_of(before), logits_of(after), labels, SINGLE)
    assert found == tango(2, 0, 200)
    alone = wilson(160, 200)
    assert found.high - found.low < (alone.high - alone.low) / 2


def test_values_of_a_regression():
    rng = np.random.default_rng(2)
    labels = rng.normal(size=100).astype(np.float32)
    said = (labels + rng.normal(scale=0.3, size=100))[:, None]
    found = score_bounds("spearman", said, labels, "regression")
    assert 0.8 < found.low < found.high <= 1
    lost = drop_bounds("spearman", said, said, labels, "regression")
    assert lost == Bounds(0.0, 0.0)


def test_what_is_undefined_has_none():
    assert score_bounds("matthews", logits_of([0, 0]), np.zeros(2, int), SINGLE) is None
    assert score_bounds("accuracy", np.full((2, 2), np.nan), np.zeros(2, int), SINGLE) is None
    assert score_bounds("accuracy", np.zeros((0, 2)), np.zeros(0, int), SINGLE) is None


def test_how_many_texts_would_tell():
    bounds = tango(0, 0, 150)
    wanted = texts_needed(bounds, 0.0, 0.02, 150)
    assert 190 < wanted < 300
    assert tango(0, 0, wanted).high <= 0.02
    assert texts_needed(tango(10, 2, 150), 8 / 150, 0.02, 150) is None


@pytest.mark.parametrize("count", [1, 7, 28, 29, 116, 872, 9999])
def test_a_share_is_in_its_interval_also_at_both_ends(count):
    for right in (0, 1, count - 1, count):
        bounds = wilson(right, count)
        assert 0 <= bounds.low <= right / count <= bounds.high <= 1
