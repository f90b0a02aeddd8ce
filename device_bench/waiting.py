"""Waiting for a core: how much of their time runs spent without one, since others kept the machine busy.

A run of 2 ms fits between two turns of the system's scheduler, one of 13 ms does not: on a busy machine the
short one is timed as it is and the long one with the turns of others, and their ratio is too large.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from device_bench.records import Measurement
from edgepress.core import console

BUSY = 0.1
"""Share of waiting from which on a machine counts as busy: the wall clock shows 1.1 times the CPU time."""


def share_waited(record: Measurement) -> float:
    """Median share of its time that a round waited for a core, 0..1; 0 where it is not known."""
    return median(record.waited) if record.waited else 0.0


def busy_machine(measured: Iterable[Measurement]) -> str:
    """Say that the machine was busy, and what that does to the times; empty where it was not."""
    share = max(map(share_waited, measured), default=0.0)
    if share <= BUSY:
        return ""
    return (
        f"the machine was busy: runs waited for a core {100 * share:.0f} % of their time; ratios of long to "
        "short runs are too large; repeat on an idle machine"
    )


def warn_of_busy_machine(measured: Iterable[Measurement]) -> None:
    """Warn in one line where the machine was busy."""
    if said := busy_machine(measured):
        console.warn(said)
