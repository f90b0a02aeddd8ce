"""Statistics of latencies, derived when read and never stored.

The unit is the launch, a start of a file's process: memory layout, page placement and the like are drawn
once a launch, and its runs share them. However many runs one launch gives, they say nothing of the next
(Georges, Buytaert and Eeckhout 2007, "Statistically Rigorous Java Performance Evaluation"; Kalibera and
Jones 2013, "Rigorous Benchmarking in Reasonable Time").
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

import numpy as np
from scipy.special import stdtrit

# Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers": modified z-score above 3.5.
OUTLIER_Z = 3.5
MAD_TO_SIGMA = 0.6745
RESAMPLES = 2000
# Decimals of a latency at most: a millionth of a millisecond is none.
MOST_DECIMALS = 6
LEVEL = 0.95
TRIM = 0.2
# From two launches a batch on; fewer are taken for independent, which they cannot tell against.
BATCHES = 12
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


def median_or_zero(values: Sequence[float]) -> float:
    """The 50th percentile; 0 of no values."""
    return percentile(values, 50) if values else 0.0


def launch_medians(launches: Launches) -> list[float]:
    """The median over its rounds' medians, of each launch."""
    return [_middle([_middle(samples) for samples in rounds]) for rounds in launches]


def launch_ratios(slow: Launches, fast: Launches) -> list[float]:
    """The median over its rounds of slow / fast, of each launch; their samples are of the same moment."""
    return [_middle(_round_ratios(*pair)) for pair in zip(slow, fast, strict=True)]


def _round_ratios(slow: Rounds, fast: Rounds) -> list[float]:
    return [_middle(a) / _middle(b) for a, b in zip(slow, fast, strict=True)]


def _middle(values: Sequence[float]) -> float:
    return float(median(values))  # of a few values ten times as fast as NumPy's


def latency(launches: Launches) -> Interval:
    """The median of one run, over launches.

    Of a single launch over its rounds, or its runs where those are few: nothing is known of a second launch.
    """
    if len(launches) > 1:
        return trimmed_mean(launch_medians(launches))
    (rounds,) = launches
    if len(rounds) < FEWEST_ROUNDS:
        return bootstrap([sample for samples in rounds for sample in samples])
    return bootstrap([_middle(samples) for samples in rounds])


def paired_ratio(slow: Launches, fast: Launches) -> Interval:
    """Return the ratio of `slow` to `fast`, over launches; with a single launch, over its rounds.

    Args:
        slow: samples of one file by launch and round.
        fast: samples of the other, of the same launches and rounds.
    """
    if len(slow) > 1:
        return trimmed_mean(launch_ratios(slow, fast))
    ((theirs, ours),) = zip(slow, fast, strict=True)
    return bootstrap(_round_ratios(theirs, ours))


def trimmed_mean(values: Sequence[float]) -> Interval:
    """The trimmed geometric mean of positive values, with a t interval of their logarithms.

    Tukey and McLaughlin 1963, with `TRIM` of the values left out at each end from five values on: a launch
    that something else on the machine slows by half would otherwise widen the interval of all.

    Many values are first averaged in `BATCHES` batches of consecutive ones (Law and Kelton 1984, "Confidence
    Intervals for Steady-State Simulations"): a shared machine has better and worse minutes, launches of one
    minute are alike, and taken for independent they promise twice what they know.

    Not a bootstrap: resampling a few values knows no value beyond them. Of 3 launches the widest percentile
    interval is from the least to the greatest, which holds the median in 75 % of cases, not 95 %; Student's
    t pays for the few values with its width (4.3 standard errors at 3).

    Args:
        values: at least two, in the order of the launches.
    """
    own = _estimate(values)
    return _interval(own.middle, own.error, own.degrees, LEVEL)


def change(before: Sequence[float], after: Sequence[float], level: float = LEVEL) -> Interval:
    """Return after / before of two independent measurements, each as `trimmed_mean` has it (Yuen 1974).

    Where nothing changed, the interval contains 1 with probability `level`. Overlap of the two measurements'
    intervals is a weaker condition, and that one interval contains the other's value a stronger one: the
    second value has an error of its own, and lies outside the first's 95 % interval in 9 (3 launches) to 16
    (many) of 100 such cases.

    Args:
        before: one value a launch, at least two.
        after: one value a launch of the other measurement, at least two.
        level: confidence level of the interval, 0..1.
    """
    old, new = _estimate(before), _estimate(after)
    error = float(np.hypot(old.error, new.error))
    shares = sum((own.error / error) ** 4 / own.degrees for own in (old, new)) if error else 1.0
    return _interval(new.middle - old.middle, error, 1 / shares, level)


@dataclass(frozen=True)
class _Estimate:
    """A trimmed mean of logarithms, its standard error and that one's degrees of freedom."""

    middle: float
    error: float
    degrees: int


def _estimate(values: Sequence[float]) -> _Estimate:
    logs = np.sort(_batched(np.log(np.asarray(values, dtype=np.float64))))
    cut = int(TRIM * logs.size)
    kept = logs[cut : logs.size - cut]
    winsorized = np.clip(logs, kept[0], kept[-1])
    squares = float(((winsorized - winsorized.mean()) ** 2).sum())
    error = (squares / (kept.size * (kept.size - 1))) ** 0.5
    return _Estimate(float(kept.mean()), error, kept.size - 1)


def _batched(values: np.ndarray) -> np.ndarray:
    """Means of consecutive values, where there are at least two for each batch."""
    if values.size < 2 * BATCHES:
        return values
    return np.array([part.mean() for part in np.array_split(values, BATCHES)])


def _interval(middle: float, error: float, degrees: float, level: float) -> Interval:
    reach = float(stdtrit(degrees, (1 + level) / 2)) * error
    return Interval(*(float(np.exp(each)) for each in (middle, middle - reach, middle + reach)))


def bootstrap(
    samples: Sequence[float], statistic: Callable[..., np.ndarray] = np.median, seed: int = 0
) -> Interval:
    """Percentile bootstrap (Efron 1979) of `statistic`, which takes an axis."""
    values = np.sort(np.asarray(samples, dtype=np.float64))
    if statistic is np.median:
        spread = values[_middle_ranks(values.size, seed)].mean(axis=0)
    else:
        spread = statistic(values[_resamples(values.size, seed)], axis=1)
    low, high = np.percentile(spread, [2.5, 97.5])
    return Interval(float(statistic(values, axis=0)), float(low), float(high))


def _resamples(size: int, seed: int) -> np.ndarray:
    """Ranks in the sorted sample, a row a resample."""
    return np.random.default_rng(seed).integers(size, size=(RESAMPLES, size))


@lru_cache(maxsize=256)
def _middle_ranks(size: int, seed: int) -> np.ndarray:
    """Ranks of the two values (or twice the one) in the middle of each resample.

    Which they are does not depend on the values, so a page of ten thousand medians sorts once for each size.
    """
    middle = [(size - 1) // 2, size // 2]
    return np.partition(_resamples(size, seed), middle, axis=1)[:, middle].T


def outliers(samples: Sequence[float]) -> int:
    """Count the samples that lie far from the median by the modified z-score; they are shown, not dropped."""
    values = np.asarray(samples, dtype=np.float64)
    distance = np.abs(values - np.median(values))
    mad = np.median(distance)
    return int((MAD_TO_SIGMA * distance > OUTLIER_Z * mad).sum()) if mad else 0


def milliseconds_form(values: Iterable[float], least: int) -> str:
    """Format of latencies that stand side by side: two digits of the smallest one.

    Args:
        values: latencies [ms].
        least: decimals at least.

    Returns:
        for `str.format`, such as "{:.3f}".
    """
    smallest = min((value for value in values if value > 0), default=1.0)
    return f"{{:.{min(MOST_DECIMALS, max(least, 1 - math.floor(math.log10(smallest))))}f}}"
