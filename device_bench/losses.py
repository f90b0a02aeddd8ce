"""Loss of a file against another: how much lower its score is, with a 95 % interval over the texts.

Where both were scored on the same texts and their records keep the outcome of each, the two are paired text
by text; else the interval is that of the difference of two independent measurements, which is wider, and says
so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from device_bench.records import Measurement
from device_bench.stats import Interval
from edgepress.core.intervals import Bounds, are_alike, in_points, packed_loss_bounds, points_text, wilson

NO_OUTCOMES = "their records keep no outcomes of single texts"
OTHER_TEXTS = "they were scored on different texts"
UNPAIRED = "unpaired"


@dataclass(frozen=True)
class Loss:
    """Loss of a file against another in the same metric."""

    value: float
    """Score of the other less its own, 0..1; below 0 where it gains."""
    bounds: Bounds | None
    """Interval of the loss; None where the scores have none."""
    texts: int
    """Number of texts that its own score is of; 0 where nobody noted it."""
    unpaired: str = ""
    """Reason for which the two are not paired text by text; empty where they are."""

    @property
    def points(self) -> float:
        """The loss in points; never minus zero."""
        return in_points(self.value)

    @property
    def interval(self) -> str:
        """The interval in points, marked where it is not paired; empty where there is none."""
        if self.bounds is None:
            return ""
        return self.bounds.percent() + (f", {UNPAIRED}" if self.unpaired else "")

    @property
    def words(self) -> str:
        """The loss, its interval, and what it is of."""
        said = f"loses {points_text(self.points, self.interval)}"
        if self.unpaired:
            return f"{said}: {self.unpaired}"
        return f"{said} on the same {self.texts:,} texts"


def loss(before: Measurement, after: Measurement) -> Loss | None:
    """Return what a file loses against another; None where one has no score, or they have different metrics.

    Args:
        before: a record of the other file.
        after: a record of the file.
    """
    if before.score is None or after.score is None or before.metric != after.metric:
        return None
    lost = before.score - after.score
    reason = _unpaired(before, after)
    if not reason:
        bounds = packed_loss_bounds(after.metric, before.outcomes, after.outcomes)
        return Loss(lost, bounds, after.scored_rows)
    old, new = score_interval(before), score_interval(after)
    known = old.low < old.high and new.low < new.high
    ends = square_and_add(new, old)
    return Loss(lost, Bounds(ends.low, ends.high) if known else None, after.scored_rows, reason)


def _unpaired(before: Measurement, after: Measurement) -> str:
    if before.texts_sha256 and after.texts_sha256 and before.texts_sha256 != after.texts_sha256:
        return OTHER_TEXTS
    known = before.texts_sha256 and after.texts_sha256
    return "" if known and are_alike(after.metric, before.outcomes, after.outcomes) else NO_OUTCOMES


def score_interval(record: Measurement) -> Interval:
    """The score with its recorded interval; else with Wilson's (1927) for a share of rows.

    That one is close to 95 % for accuracy, also near 0 and 1 (Brown, Cai and DasGupta 2001), and a guide for
    other metrics of 0..1. Without rows both ends are the score.
    """
    score = float(record.score or 0.0)
    if record.score_interval is not None:
        return Interval(score, *record.score_interval)
    if not record.scored_rows or not 0 <= score <= 1:
        return Interval(score, score, score)
    found = wilson(round(score * record.scored_rows), record.scored_rows)
    return Interval(score, min(score, found.low), max(score, found.high))


def square_and_add(before: Interval, after: Interval) -> Interval:
    """Return the increase from one independent measurement to another, with its interval.

    "Square and add" (Newcombe 1998, "Interval estimation for the difference between independent proportions",
    method 10, with Wilson's intervals; Zou and Donner 2008 for other figures).
    """
    rise = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Interval(rise, rise - down, rise + up)
