"""95 % intervals of scores, and of what a file loses: how far they would move with other texts.

The share of texts that are right has Wilson's interval, the difference of two shares on the same texts
Tango's, which is wide also where the two agree on every text: no loss among 150 texts may be 2.5 points.
Other metrics have the bootstrap's, over texts.

Wilson 1927, "Probable inference, the law of succession, and statistical inference"; Tango 1998, "Equivalence
test and confidence interval for the difference in proportions for the paired-sample design", section 3; Efron
1979, "Bootstrap methods: another look at the jackknife".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

from edgepress.core.metrics import predict, undefined
from edgepress.core.outcomes import SHARES, fit, outcomes, value
from edgepress.core.packed_array import unpack
from edgepress.core.tasks import ON_TRAIN, ProblemType

Z = 1.959963984540054
RESAMPLES = 400
MOST_TEXTS = 10_000_000


@dataclass(frozen=True)
class Bounds:
    """Both ends of a 95 % interval, in the unit of the figure that they belong to."""

    low: float
    high: float

    def percent(self) -> str:
        """Format in percent: "[74.1, 79.4]"."""
        return f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"

    @property
    def recorded(self) -> list[float]:
        """Both ends, for the manifest."""
        return [self.low, self.high]


def score_text(score: float | None, bounds: Bounds | None = None, gap: str = " ", missing: str = "-") -> str:
    """A score in percent with its interval: "76.84 % [74.1, 79.4]"."""
    if score is None:
        return missing
    return f"{100 * score:.2f} %{gap + bounds.percent() if bounds else ''}"


def points_text(points: float, interval: Bounds | str | None = None, sign: str = "") -> str:
    """A difference of two scores, which is in points everywhere, in words: "1.15 points [0.4, 2.2]".

    Args:
        points: the difference.
        interval: of it, or its words; None or empty: it has none.
        sign: "+" shows also that it is above 0.
    """
    said = interval.percent() if isinstance(interval, Bounds) else interval
    return f"{points + 0.0:{sign}.2f} points{f' {said}' if said else ''}"


def in_points(share: float) -> float:
    """A difference of two scores in points, never minus zero: of 0.9 and 0.89 it is 1.

    Without rounding it would be 1.0000000000000009, and more than one point that may be lost.
    """
    return round(100 * share, 9) + 0.0


def score_bounds(
    metric: str,
    logits: np.ndarray,
    labels: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> Bounds | None:
    """The interval of `metrics.score` over the texts; None where the score is undefined.

    Args:
        metric, logits, labels, problem_type, thresholds: as `metrics.score` takes them.
    """
    if not np.isfinite(logits).all():
        return None
    return bounds_of(metric, predict(logits, problem_type, thresholds), labels)


def bounds_of(metric: str, predicted: np.ndarray, labels: np.ndarray) -> Bounds | None:
    """Compute as `score_bounds` does, from what `metrics.predict` made of the logits."""
    name = metric.removesuffix(ON_TRAIN)
    if not len(labels) or undefined(name, predicted, labels):
        return None
    own = outcomes(name, predicted, labels)
    if name in SHARES:
        return wilson(int(own.sum()), len(own))
    return _bootstrap(len(own), lambda rows: value(name, own[rows]))


def drop_bounds(
    metric: str,
    parent: np.ndarray,
    child: np.ndarray,
    labels: np.ndarray,
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> Bounds | None:
    """The interval of what a file loses against its parent on the same texts; None where that is undefined.

    Args:
        metric: the task's.
        parent: the parent's logits, (rows, labels).
        child: the file's.
        labels: (rows,) or (rows, labels).
        problem_type: what the logits mean.
        thresholds: from which probability on each label is given.
    """
    if not (np.isfinite(parent).all() and np.isfinite(child).all()):
        return None
    theirs, ours = (predict(logits, problem_type, thresholds) for logits in (parent, child))
    return paired_bounds(metric, theirs, ours, labels)


def paired_bounds(metric: str, theirs: np.ndarray, ours: np.ndarray, labels: np.ndarray) -> Bounds | None:
    """Compute as `drop_bounds` does, from what `metrics.predict` made of both logits."""
    name = metric.removesuffix(ON_TRAIN)
    if not len(labels) or undefined(name, ours, labels) or undefined(name, theirs, labels):
        return None
    return loss_bounds(name, outcomes(name, theirs, labels), outcomes(name, ours, labels))


def loss_bounds(metric: str, before: np.ndarray, after: np.ndarray) -> Bounds | None:
    """Compute as `drop_bounds` does, from the outcomes of two files on the same texts.

    Args:
        metric: the task's.
        before: as `outcomes.outcomes` gives them for the parent.
        after: those of the file, of the same shape.
    """
    name = metric.removesuffix(ON_TRAIN)
    if name in SHARES:
        lost, won = before & ~after, after & ~before
        return tango(int(lost.sum()), int(won.sum()), len(before))

    def lose(rows: np.ndarray) -> float | None:
        old, new = value(name, before[rows]), value(name, after[rows])
        return None if old is None or new is None else old - new

    return _bootstrap(len(before), lose)


@lru_cache(maxsize=1024)  # a file's record at each shape has the same
def packed_loss_bounds(metric: str, before: str, after: str) -> Bounds | None:
    """Compute as `loss_bounds` does, from packed outcomes; None where one is empty or they are not alike."""
    if not are_alike(metric, before, after):
        return None
    return loss_bounds(metric, unpack(before), unpack(after))


@lru_cache(maxsize=1024)
def are_alike(metric: str, before: str, after: str) -> bool:
    """Whether both are packed outcomes of a metric, of as many texts."""
    if not before or not after:
        return False
    name, theirs, ours = metric.removesuffix(ON_TRAIN), unpack(before), unpack(after)
    return theirs.shape == ours.shape and fit(name, theirs) and fit(name, ours)


def wilson(right: int, count: int) -> Bounds:
    """The interval of a share of `right` among `count`."""
    share, spread = right / count, Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    # The share itself is in it, whatever the last bit of a sum is.
    return Bounds(min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share))


def tango(lost: int, won: int, count: int) -> Bounds:
    """The interval of (lost - won) / count: the difference of two shares on the same texts.

    Args:
        lost: texts that only the first has right.
        won: texts that only the second has right.
        count: all texts.
    """
    # Seen from the other side the two change places.
    return Bounds(-_upper(won, lost, count), _upper(lost, won, count))


def _upper(lost: int, won: int, count: int) -> float:
    """Difference above the estimate at which the score test turns."""
    found = (lost - won) / count

    def beyond(difference: float) -> float:
        """The score statistic's square at this difference, less that of 95 %."""
        linear = -lost - won + (2 * count - lost + won) * difference
        constant = -won * difference * (1 - difference)
        share = (math.sqrt(max(linear**2 - 8 * count * constant, 0.0)) - linear) / (4 * count)
        spread = count * (2 * share + difference * (1 - difference))
        gap = lost - won - count * difference
        return gap**2 / spread - Z**2 if spread > 0 else (math.inf if gap else -(Z**2))

    edge = 1 - 1e-9
    return float(brentq(beyond, found, edge)) if found < edge and beyond(edge) > 0 else 1.0


def texts_needed(bounds: Bounds, drop: float, allowed: float, count: int) -> int | None:
    """About how many texts would show that no more than `allowed` is lost; None where more is lost already.

    An interval's half width falls with the root of the number of texts, and where nothing differs with the
    number itself; the first is taken, which promises less.

    Args:
        bounds: of the loss.
        drop: the loss, 0..1.
        allowed: what may be lost, 0..1.
        count: texts that it was measured on.
    """
    if drop >= allowed:
        return None
    return min(math.ceil(count * ((bounds.high - drop) / (allowed - drop)) ** 2), MOST_TEXTS)


def _bootstrap(count: int, of_rows: Callable[[np.ndarray], float | None]) -> Bounds | None:
    """The interval of what texts with these numbers give."""
    if not count:
        return None
    rng = np.random.default_rng(0)
    drawn = (of_rows(rng.integers(0, count, count)) for _ in range(RESAMPLES))
    known = [one for one in drawn if one is not None]
    if not known:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return Bounds(float(low), float(high))
