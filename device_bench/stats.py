"""Statistics of latencies, derived when read and never stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers": modified z-score above 3.5.
OUTLIER_Z = 3.5
MAD_TO_SIGMA = 0.6745
RESAMPLES = 2000


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


def paired_ratio(slow: Sequence[Sequence[float]], fast: Sequence[Sequence[float]]) -> Interval:
    """How many times `fast` is faster: the median over interleaved rounds of slow / fast.

    Args:
        slow: samples of one file, one sequence a round.
        fast: samples of the other, of the same rounds.
    """
    pairs = zip(slow, fast, strict=True)
    return bootstrap([float(np.median(a) / np.median(b)) for a, b in pairs])


def outliers(samples: Sequence[float]) -> int:
    """How many samples lie far from the median by the modified z-score; they are shown, not dropped."""
    values = np.asarray(samples, dtype=np.float64)
    distance = np.abs(values - np.median(values))
    mad = np.median(distance)
    return int((MAD_TO_SIGMA * distance > OUTLIER_Z * mad).sum()) if mad else 0
