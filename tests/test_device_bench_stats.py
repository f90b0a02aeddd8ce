"""Statistics of latencies against values worked out by hand and against their own meaning."""

import numpy as np
import pytest

from device_bench.stats import Interval, bootstrap, outliers, paired_ratio, percentile


@pytest.mark.parametrize(("q", "expected"), [(0, 1), (50, 2.5), (95, 3.85), (100, 4)])
def test_percentile_is_linear_between_neighbours(q: float, expected: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], q) == pytest.approx(expected)


def test_half_width_is_a_share_of_the_value() -> None:
    assert Interval(10.0, 9.0, 12.0).half_width == pytest.approx(0.15)


def test_bootstrap_of_equal_samples_has_no_width() -> None:
    assert bootstrap([3.0] * 20) == Interval(3.0, 3.0, 3.0)


def test_bootstrap_depends_on_the_seed_alone() -> None:
    samples = np.random.default_rng(0).normal(10, 2, 200)
    assert bootstrap(samples, seed=5) == bootstrap(samples, seed=5)
    assert bootstrap(samples, np.mean, seed=5) != bootstrap(samples, np.mean, seed=6)


@pytest.mark.parametrize("size", [1, 2, 5, 30, 61])
def test_bootstrap_by_ranks_is_that_of_resampled_values(size: int) -> None:
    samples = np.random.default_rng(4).exponential(1, size)
    assert bootstrap(samples) == bootstrap(samples, lambda values, axis: np.median(values, axis=axis))


def test_bootstrap_of_the_mean_is_the_normal_interval() -> None:
    samples = np.random.default_rng(0).normal(10, 2, 400)
    found = bootstrap(samples, np.mean)
    error = 1.96 * samples.std() / len(samples) ** 0.5
    assert found.value == pytest.approx(samples.mean())
    assert found.high - found.low == pytest.approx(2 * error, rel=0.1)
    assert found.low < found.value < found.high


def test_interval_covers_the_median_about_nineteen_times_of_twenty() -> None:
    rng = np.random.default_rng(1)
    intervals = [bootstrap(rng.exponential(1, 60)) for _ in range(100)]
    covered = sum(found.low <= np.log(2) <= found.high for found in intervals)
    assert 88 <= covered <= 100


def test_more_samples_narrow_the_interval() -> None:
    samples = np.random.default_rng(2).normal(10, 1, 1000)
    assert bootstrap(samples).half_width < bootstrap(samples[:50]).half_width / 2


def test_paired_ratio_is_formed_round_by_round() -> None:
    slow = [[2.0, 2.0, 90.0], [20.0, 20.0], [4.0]]
    fast = [[1.0, 1.0, 1.0], [10.0, 10.0], [2.0]]
    assert paired_ratio(slow, fast) == Interval(2.0, 2.0, 2.0)


def test_paired_ratio_does_not_see_what_slows_both() -> None:
    rng = np.random.default_rng(3)
    load = rng.uniform(1, 10, 40)
    slow = [[3 * factor] * 3 for factor in load]
    fast = [[2 * factor] * 3 for factor in load]
    found = paired_ratio(slow, fast)
    assert (found.low, found.high) == (pytest.approx(1.5), pytest.approx(1.5))


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([[1.0], [1.0]], [[1.0]])


def test_outliers_are_counted_by_the_modified_z_score() -> None:
    # Median 3, MAD 1: above 3 + 3.5 / 0.6745 = 8.19.
    assert outliers([1.0, 2.0, 3.0, 4.0, 5.0]) == 0
    assert outliers([1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 8.1]) == 0
    assert outliers([1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 8.3]) == 1
    assert outliers([-90.0, 2.0, 2.0, 3.0, 4.0, 4.0, 90.0]) == 2


def test_equal_samples_have_no_outliers() -> None:
    assert outliers([2.0] * 10) == 0
