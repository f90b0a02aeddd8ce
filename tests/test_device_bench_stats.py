"""Statistics of latencies against values worked out by hand and against their own meaning."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from device_bench.stats import (
    Interval,
    bootstrap,
    change,
    latency,
    launch_medians,
    milliseconds_form,
    outliers,
    paired_ratio,
    percentile,
    trimmed_mean,
)


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
    assert paired_ratio([slow], [fast]) == Interval(2.0, 2.0, 2.0)


def test_paired_ratio_does_not_see_what_slows_both() -> None:
    rng = np.random.default_rng(3)
    load = rng.uniform(1, 10, 40)
    slow = [[3 * factor] * 3 for factor in load]
    fast = [[2 * factor] * 3 for factor in load]
    found = paired_ratio([slow], [fast])
    assert (found.low, found.high) == (pytest.approx(1.5), pytest.approx(1.5))


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([[[1.0], [1.0]]], [[[1.0]]])
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([[[1.0]], [[1.0]]], [[[1.0]]])


def test_few_launches_have_students_interval() -> None:
    # Logarithms 0, 1, 2: mean 1, standard error 1 / sqrt(3), t of two degrees of freedom 4.3027.
    found = trimmed_mean([1.0, np.e, np.e**2])
    assert found.value == pytest.approx(np.e)
    assert np.log(found.high) - 1 == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert np.log(found.low) - 1 == pytest.approx(-4.3027 / 3**0.5, rel=1e-4)


def test_five_launches_are_trimmed() -> None:
    # Of logarithms 0, 1, 2, 3, 9: mean of 1, 2, 3; winsorized 1, 1, 2, 3, 3 with squares of 4 in all, so the
    # standard error is sqrt(4 / (3 * 2)), with two degrees of freedom.
    found = trimmed_mean(np.exp([9.0, 0.0, 3.0, 2.0, 1.0]).tolist())
    assert np.log(found.value) == pytest.approx(2)
    assert np.log(found.high) - 2 == pytest.approx(4.3027 * (4 / 6) ** 0.5, rel=1e-4)


def test_one_disturbed_launch_of_five_hardly_moves_the_figure() -> None:
    calm, disturbed = (
        trimmed_mean([10.0, 10.1, 10.2, 10.3, 10.4]),
        trimmed_mean([10.0, 10.1, 10.2, 10.3, 20.0]),
    )
    assert disturbed == calm


def launches(rng: np.random.Generator, count: int, value: float = 10.0) -> list[list[list[float]]]:
    """Launches that differ by 3 %, each of six rounds of three runs that differ by 1 % within it."""
    own = value * np.exp(rng.normal(0, 0.03, count))
    return [(each * np.exp(rng.normal(0, 0.01, (6, 3)))).tolist() for each in own]


@pytest.mark.parametrize("count", [3, 5])
def test_the_interval_over_launches_covers_what_one_over_rounds_misses(count: int) -> None:
    rng = np.random.default_rng(4)
    over_launches, over_rounds = 0, 0
    for _ in range(200):
        drawn = launches(rng, count)
        own = latency(drawn)
        pooled = bootstrap([float(np.median(samples)) for rounds in drawn for samples in rounds])
        over_launches += own.low <= 10.0 <= own.high
        over_rounds += pooled.low <= 10.0 <= pooled.high
    assert over_launches >= 182
    assert over_rounds < 150


def test_launches_of_one_minute_are_not_taken_for_independent() -> None:
    """72 launches in minutes of six, each minute 5 % better or worse than the others."""
    rng, covered = np.random.default_rng(9), 0
    for _ in range(200):
        minutes = np.repeat(rng.normal(0, 0.05, 12), 6)
        own = trimmed_mean((10 * np.exp(minutes + rng.normal(0, 0.03, 72))).tolist())
        covered += own.low <= 10.0 <= own.high
    assert 182 <= covered <= 198


def test_a_ratio_over_launches_sees_what_a_launch_does_to_one_file() -> None:
    fast = [[[1.0]] * 3 for _ in range(3)]
    slow = [[[2.0]] * 3, [[2.2]] * 3, [[2.1]] * 3]
    assert paired_ratio(slow, fast) == trimmed_mean([2.0, 2.2, 2.1])


def test_one_launch_is_judged_by_its_rounds_or_by_its_runs_where_they_are_few() -> None:
    rounds = [[1.0, 1.2, 1.1], [1.3, 1.2, 1.4], [1.0, 1.1, 1.5], [1.2, 1.2, 1.3], [1.1, 1.0, 1.6]]
    assert latency([rounds]) == bootstrap([1.1, 1.3, 1.1, 1.2, 1.1])
    assert latency([rounds[:2]]) == bootstrap([1.0, 1.2, 1.1, 1.3, 1.2, 1.4])


def test_what_did_not_change_is_called_changed_in_five_of_a_hundred_cases() -> None:
    rng = np.random.default_rng(5)
    pairs = [[launch_medians(launches(rng, count)) for count in (5, 7)] for _ in range(300)]
    found = [change(before, after) for before, after in pairs]
    assert 3 <= sum(not own.low <= 1 <= own.high for own in found) <= 27


def test_a_change_is_judged_as_yuen_does() -> None:
    rng = np.random.default_rng(8)
    before, after = rng.lognormal(0, 0.05, 6).tolist(), rng.lognormal(0.05, 0.1, 9).tolist()
    p = ttest_ind(np.log(after), np.log(before), equal_var=False, trim=0.2).pvalue
    found = change(before, after, level=1 - p)
    assert 1.0 in (pytest.approx(found.low), pytest.approx(found.high))


def test_a_change_is_seen_and_put_in_figures() -> None:
    rng = np.random.default_rng(6)
    found = change(launch_medians(launches(rng, 6, 10.0)), launch_medians(launches(rng, 6, 13.0)))
    assert 1 < found.low < 1.3 < found.high
    assert found.value == pytest.approx(1.3, rel=0.05)


def test_outliers_are_counted_by_the_modified_z_score() -> None:
    # Median 3, MAD 1: above 3 + 3.5 / 0.6745 = 8.19.
    assert outliers([1.0, 2.0, 3.0, 4.0, 5.0]) == 0
    assert outliers([1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 8.1]) == 0
    assert outliers([1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 8.3]) == 1
    assert outliers([-90.0, 2.0, 2.0, 3.0, 4.0, 4.0, 90.0]) == 2


def test_equal_samples_have_no_outliers() -> None:
    assert outliers([2.0] * 10) == 0


@pytest.mark.parametrize(
    ("values", "least", "shown"),
    [
        ([0.0157, 12.0], 2, "0.016"),
        ([8.04], 1, "8.0"),
        ([0.5, 30.0], 1, "0.50"),
        ([0.0], 2, "0.00"),
        ([], 1, "1.0"),
    ],
)
def test_latencies_are_shown_with_two_digits_of_the_smallest(
    values: list[float], least: int, shown: str
) -> None:
    assert milliseconds_form(values, least).format(values[0] if values else 1.0) == shown
