"""Whole passes of two models over the same texts, in turn, in parts: one pass is enough for an interval."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from device_bench import stats
from device_bench.cpu import SMALLEST_VOCABULARY
from device_bench.plan import Case, Plan, Target
from device_bench.process import Process
from device_bench.stats import Interval
from edgepress.core import console

PART_ROWS, FEWEST_PARTS = 25, 8
CASE, PLAN = Case(1, kind="pass"), Plan((), vocabulary=SMALLEST_VOCABULARY)
MINUTE_S = 60


def parts_of(rows: int) -> int:
    """Return the number of parts of a pass: about `PART_ROWS` texts each, and enough for an interval."""
    return min(rows, max(FEWEST_PARTS, round(rows / PART_ROWS)))


@dataclass(frozen=True)
class Side:
    """A model, and the parts of a pass in its own token ids; part i of every model is of the same texts."""

    target: Target
    parts: Sequence[Path]


def time_ratio(slow: Side, fast: Side, passes: int, title: str) -> Interval:
    """Measure the total time of all texts in `slow` divided by that in `fast`, at batch 1.

    The models take turns part by part (A B, B A, ...), so that whatever else the machine does falls on both;
    the interval is a bootstrap over parts. The expected duration, by a part of each, is printed first.

    Args:
        slow: one of the models.
        fast: the other.
        passes: number of times that every text is run.
        title: name of the measurement, for messages.
    """
    with ExitStack() as stack:
        pair = [(stack.enter_context(closing(Process(one.target, PLAN))), one.parts) for one in (slow, fast)]
        for _ in range(2):  # the first is the warm-up
            probe = [_part_ms(process, parts[0]) for process, parts in pair]
        rounds = passes * len(slow.parts)
        console.step(f"{title}: about {_duration(sum(probe) / 1000 * rounds)}")
        progress = stack.enter_context(console.progress())
        found = [_round(pair, number) for number in progress.track(range(rounds), description=title)]
    return ratio_of_totals([a for a, _ in found], [b for _, b in found])


def ratio_of_totals(slow: Sequence[float], fast: Sequence[float]) -> Interval:
    """Sum of one over sum of the other, resampled in pairs."""
    a, b = np.asarray(slow), np.asarray(fast)

    def ratio(picked: np.ndarray, axis: int) -> np.ndarray:
        rows = picked.astype(int)
        result: np.ndarray = a[rows].sum(axis=axis) / b[rows].sum(axis=axis)
        return result

    return stats.bootstrap(range(len(a)), ratio)


def _round(pair: Sequence[tuple[Process, Sequence[Path]]], number: int) -> tuple[float, float]:
    """Time one part in both models [ms], in the order given; which is first changes from round to round."""
    part = number % len(pair[0][1])
    order = pair if number % 2 else pair[::-1]
    times = [_part_ms(process, parts[part]) for process, parts in order]
    a, b = times if number % 2 else times[::-1]
    return a, b


def _part_ms(process: Process, part: Path) -> float:
    process.target = replace(process.target, texts=part)
    return process.run(CASE, 1)[0]


def _duration(seconds: float) -> str:
    return f"{seconds / MINUTE_S:.0f} min" if seconds > 2 * MINUTE_S else f"{seconds:.0f} s"
