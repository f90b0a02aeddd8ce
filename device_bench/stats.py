"""Statistics of latencies, derived when read and never stored.

The unit is the launch, a start of a file's process: memory layout, page placement and the like are drawn
once a launch, and its runs share them. However many runs one launch gives, they say nothing of the next
(Georges, Buytaert and Eeckhout 2007, "Statistically Rigorous Java Performance Evaluation"; Kalibera and
Jones 2013, "Rigorous Benchmarking in Reasonable Time").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

# Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers": modified z-score above 3.5.
OUTLIER_Z = 3.5
MAD_TO_SIGMA = 0.6745
RESAMPLES = 2000
LEVEL = 0.95
# Below this many rounds of a single launch single runs are resampled: two medians say nothing.
FEWEST_ROUNDS = 5

Rounds = Sequence[Sequence[float]]
"""The samples of one launch, one sequence a round."""
Launches = Sequence[Rounds]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's width, as a share of the value."""
        return (self.high - self.low) / 2 / self.value


def percentile(samples: Sequence[float], q: float) -> float:
    """The q-th percentile (0..100), linear between neighbours."""
    return float(np.percentile(samples, q))


def launch_medians(launches: Launches) -> list[float]:
    """Of each launch the median over its rounds' medians."""
    return [_middle([_middle(samples) for samples in rounds]) for rounds in launches]


def launch_ratios(slow: Launches, fast: Launches) -> list[float]:
    """Of each launch the median over its rounds of slow / fast, whose samples are of the same moment."""
    return [_middle(_round_ratios(*pair)) for pair in zip(slow, fast, strict=True)]


def _round_ratios(slow: Rounds, fast: Rounds) -> list[float]:
    return [_middle(a) / _middle(b) for a, b in zip(slow, fast, strict=True)]


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values))


def latency(launches: Launches) -> Interval:
    """The median of one run, over launches.

    Of a single launch over its rounds, or its runs where those are few: nothing is known of a second launch.
    """
    if len(launches) > 1:
        return student(launch_medians(launches))
    (rounds,) = launches
    if len(rounds) < FEWEST_ROUNDS:
        return bootstrap([sample for samples in rounds for sample in samples])
    return bootstrap([_middle(samples) for samples in rounds])


def paired_ratio(slow: Launches, fast: Launches) -> Interval:
    """How many times `fast` is faster, over launches; of a single launch, over its rounds.

    Args:
        slow: samples of one file by launch and round.
        fast: samples of the other, of the same launches and rounds.
    """
    if len(slow) > 1:
        return student(launch_ratios(slow, fast))
    ((theirs, ours),) = zip(slow, fast, strict=True)
    return bootstrap(_round_ratios(theirs, ours))


def student(values: Sequence[float]) -> Interval:
    """The geometric mean of independent positive values, with Student's t interval of their logarithms.

    Not a bootstrap: resampling n values knows no value beyond them, so of 3 launches the widest percentile
    interval is from the least to the greatest, which holds the median in 75 % of cases, not 95 %. Student's t
    pays for the few values with its width (4.3 standard errors at 3, 2.8 at 5).

    Args:
        values: at least two, as the launches of a file have medians.
    """
    logs = np.log(np.asarray(values, dtype=np.float64))
    error = logs.std(ddof=1) / np.sqrt(logs.size)
    reach = stdtrit(logs.size - 1, (1 + LEVEL) / 2) * error
    middle = logs.mean()
    return Interval(*(float(np.exp(each)) for each in (middle, middle - reach, middle + reach)))


def change(before: Sequence[float], after: Sequence[float], level: float = LEVEL) -> Interval:
    """after / before of two independent measurements, with Welch's t interval of the logarithms' difference.

    It holds 1 in `level` of the cases in which nothing changed. That the two intervals overlap asks less
    than that, and that one holds the other's value asks more: the second value has an error of its own,
    and lies outside the first's 95 % interval in 9 (3 launches) to 16 (many) of 100 such cases.

    Args:
        before: one value a launch, at least two.
        after: the same of the other measurement.
        level: of the interval, 0..1.
    """
    from scipy.stats import ttest_ind  # half a second, which most readers of records need not wait

    old, new = np.log(np.asarray(before)), np.log(np.asarray(after))
    found = ttest_ind(new, old, equal_var=False).confidence_interval(level)
    ends = (new.mean() - old.mean(), found.low, found.high)
    return Interval(*(float(np.exp(each)) for each in ends))


def bootstrap(
    samples: Sequence[float], statistic: Callable[..., np.ndarray] = np.median, seed: int = 0
) -> Interval:
    """Percentile bootstrap (Efron 1979) of `statistic`, which takes an axis."""
    values = np.asarray(samples, dtype=np.float64)
    rows = np.random.default_rng(seed).integers(values.size, size=(RESAMPLES, values.size))
    low, high = np.percentile(statistic(values[rows], axis=1), [2.5, 97.5])
    return Interval(float(statistic(values, axis=0)), float(low), float(high))


def outliers(samples: Sequence[float]) -> int:
    """How many samples lie far from the median by the modified z-score; they are shown, not dropped."""
    values = np.asarray(samples, dtype=np.float64)
    distance = np.abs(values - np.median(values))
    mad = np.median(distance)
    return int((MAD_TO_SIGMA * distance > OUTLIER_Z * mad).sum()) if mad else 0
