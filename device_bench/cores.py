"""Which cores a launch is bound to, so that the files of one comparison run on the same ones."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence

import psutil

WATCHED_S = 0.1
BUSY_STEP = 10.0
"""Loads within this many percent are alike."""


def idlest(count: int) -> tuple[int, ...]:
    """The `count` cores that did least in the last moment, of those that this process may use.

    Cores of a shared machine differ, and a process that the scheduler moves has its caches to fill again:
    two files on one core are alike in both. Among cores that are alike it is drawn anew each time, so that
    over launches none stands for all.

    Returns:
        Numbers of cores; none where there is nothing to choose, or the system binds no process (macOS).
    """
    usable = _usable()
    if count >= len(usable):
        return ()
    load = psutil.cpu_percent(WATCHED_S, percpu=True)
    random.shuffle(usable)
    return tuple(sorted(sorted(usable, key=lambda core: _step(load, core))[:count]))


def bind(process_id: int, cores: Sequence[int]) -> None:
    """Keep a process, and the threads that it starts from now on, on these cores; nothing for none."""
    if cores:
        with contextlib.suppress(psutil.NoSuchProcess):  # who talks to it says why it is gone
            psutil.Process(process_id).cpu_affinity(list(cores))


def _usable() -> list[int]:
    own = psutil.Process()
    return list(own.cpu_affinity()) if hasattr(own, "cpu_affinity") else []


def _step(load: Sequence[float], core: int) -> float:
    return load[core] // BUSY_STEP if core < len(load) else 0.0
