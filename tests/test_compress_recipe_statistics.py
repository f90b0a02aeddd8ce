"""Means, gains and retention over seeds."""

import pytest

from compress.recipe.results.lines import gain, mean, retention


def test_mean_over_seeds_by_hand():
    found = mean([0.90, 0.92, 0.94])  # s = 0.02, t(0.975, 2) = 4.302653: half = 4.302653 * 0.02 / sqrt(3)
    assert found.value == pytest.approx(0.92)
    assert found.high - found.value == pytest.approx(0.049683, abs=1e-6)
    assert found.value - found.low == pytest.approx(0.049683, abs=1e-6)
    assert (mean([0.9]).low, mean([0.9]).high) == (None, None)


def test_gain_is_paired_by_seed():
    ours, theirs = {0: 0.90, 1: 0.80, 2: 0.95}, {2: 0.94, 1: 0.78, 0: 0.87}
    found = gain(ours, theirs)  # differences 0.03, 0.02, 0.01: s = 0.01, half = 4.302653 * 0.01 / sqrt(3)
    assert found.value == pytest.approx(0.02)
    assert found.low == pytest.approx(0.02 - 0.0248414, abs=1e-6)


def test_gain_over_one_value_and_over_other_seeds():
    over_one = gain({0: 0.9, 1: 0.8}, {None: 0.7})  # 0.2, 0.1: s = 0.0707107, t(0.975, 1) = 12.7062
    assert over_one.value == pytest.approx(0.15)
    assert over_one.high == pytest.approx(0.15 + 12.7062 * 0.0707107 / 2**0.5, abs=1e-4)
    unpaired = gain({0: 0.9, 1: 0.8}, {2: 0.7, 3: 0.6})
    assert unpaired.value == pytest.approx(0.2)
    assert unpaired.low is None


def test_retention():
    found = retention({0: 0.9, 1: 0.81}, {None: 0.9})
    assert found.value == pytest.approx(0.95)
    assert retention({0: 0.1}, {None: -0.1}) is None
