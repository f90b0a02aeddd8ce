"""Lines on scores: what each file lost between two measurements, with its interval."""

from __future__ import annotations

from collections.abc import Iterable

from device_bench.losses import Loss, loss
from device_bench.records import Measurement

WITHIN_CHANCE = "within chance"


def score_lines(pairs: Iterable[tuple[Measurement, Measurement]], max_drop: float = 0.0) -> list[str]:
    """A line for each file that both measurements scored by one metric, whatever shapes it was timed at.

    Args:
        pairs: the older and the newer record of a file at a shape.
        max_drop: points that a score may lose.
    """
    found = ((old, new, loss(old, new)) for old, new in pairs)
    return list(
        dict.fromkeys(_line(old, new, lost, max_drop) for old, new, lost in found if lost is not None)
    )


def _line(old: Measurement, new: Measurement, lost: Loss, max_drop: float) -> str:
    scores = " -> ".join(f"{100 * float(own.score or 0.0):.2f} %" for own in (old, new))
    return f"{new.metric or 'score'} of {new.name}: {scores}, {lost.words}{_verdict(lost, max_drop)}"


def _verdict(lost: Loss, max_drop: float) -> str:
    """Whether the loss is beyond its interval and what is allowed; nothing where that is not known."""
    if lost.bounds is None:
        return ""
    if lost.bounds.low > 0 and lost.points <= max_drop:
        return f"; within --max-drop {max_drop:g}"
    beyond = "worse" if lost.bounds.low > 0 else "better" if lost.bounds.high < 0 else WITHIN_CHANCE
    return f"; {beyond}"
