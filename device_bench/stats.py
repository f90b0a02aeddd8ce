"""Statistics of latencies, derived when read and never stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    values = np.asarray(samples, dtype=np.float64)
    rows = np.random.default_rng(seed).integers(values.size, size=(RESAMPLES, values.size))
    low, high = np.percentile(statistic(values[rows], axis=1), [2.5, 97.5])
    return Interval(float(statistic(values, axis=0)), float(low), float(high))


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
