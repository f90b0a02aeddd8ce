"""Statistics over seeds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import t

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % confidence interval, if there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    def scaled(self, factor: float) -> Estimate:
        """In another unit."""
        low, high = (None if end is None else factor * end for end in (self.low, self.high))
        return Estimate(factor * self.value, low, high)


def mean(values: Sequence[float]) -> Estimate:
    """The mean and its interval by Student's t; of one value no interval.

    The interval is mean ± t(0.975, n - 1) · s / √n with the sample standard deviation s.
    """
    middle = float(np.mean(values))
    if len(values) == 1:
        return Estimate(middle)
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / sqrt(len(values)))
    return Estimate(middle, middle - half, middle + half)


Scores = Mapping[Hashable, float]
"""Seed -> score; None -> score where there are no seeds."""


def gain(ours: Scores, theirs: Scores) -> Estimate:
    """How far `ours` is above `theirs`: the mean of the differences seed by seed.

    Where `theirs` is one value, it is taken from each of ours, and the interval is that of our seeds. Where
    the seeds differ there is nothing to pair, and no interval.
    """
    pairs = _pairs(ours, theirs)
    if pairs is None:
        return Estimate(float(np.mean(list(ours.values())) - np.mean(list(theirs.values()))))
    return mean([a - b for a, b in pairs])


def retention(ours: Scores, theirs: Scores) -> Estimate | None:
    """Ours as a share of theirs, paired as `gain`; None where theirs is not above 0 (a correlation)."""
    if min(theirs.values()) <= 0:
        return None
    pairs = _pairs(ours, theirs)
    if pairs is None:
        return Estimate(float(np.mean(list(ours.values())) / np.mean(list(theirs.values()))))
    return mean([a / b for a, b in pairs])


def _pairs(ours: Scores, theirs: Scores) -> list[tuple[float, float]] | None:
    if len(theirs) == 1:
        return [(score, next(iter(theirs.values()))) for score in ours.values()]
    if set(ours) != set(theirs):
        return None
    return [(score, theirs[seed]) for seed, score in ours.items()]
