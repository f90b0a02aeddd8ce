"""Choice of the cores that a measurement runs on, the same in each round for all files of a comparison."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Sequence

import psutil

WATCHED_S = 0.1
BUSY_STEP = 10.0
"""Loads within this many percent are alike."""
OTHERS = 7
"""Cores to look at where those in use are slow: what a machine has more of is no better."""
LOOPS, LOOP_TURNS = 3, 500
"""About 0.02 ms each: with going there less than a five-hundredth of a round."""
SLOW = 1.2
"""Times the quickest loop seen. Undisturbed ones differ by 10 %; a busy sibling thread takes 60 % longer."""


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may run on; none where the system binds no process."""
    own = psutil.Process()
    return list(own.cpu_affinity()) if hasattr(own, "cpu_affinity") else []


def quickest_loop_s(core: int) -> float:
    """Time of the quickest of some loops of arithmetic on a core [s]."""
    own = psutil.Process()
    before = own.cpu_affinity()
    own.cpu_affinity([core])
    try:
        return min(_arithmetic_s() for _ in range(LOOPS))
    finally:
        own.cpu_affinity(before)


class CpuAffinity:
    """The cores that rounds run on: idle ones, drawn for each launch, which are left while they are slow.

    Cores of a shared machine differ, and a process that the scheduler moves has its caches to fill again:
    two files on one core are alike in both. What the system calls idle may still be slowed by what it cannot
    see, as another virtual machine's work on the sibling thread, and then a loop of arithmetic takes longer.

    Args:
        count: how many at a time.
        usable: gives the numbers of the cores to choose from.
        loop_s: gives the time of a loop of arithmetic on a core [s].
    """

    def __init__(
        self,
        count: int,
        usable: Callable[[], list[int]] = usable_cores,
        loop_s: Callable[[int], float] = quickest_loop_s,
    ) -> None:
        self._count, self._usable, self._loop_s = count, usable, loop_s
        self._idle: list[int] = []
        self._present: tuple[int, ...] = ()
        self._least_s = float("inf")

    def draw(self) -> tuple[int, ...]:
        """Begin a launch: on some of the cores that did least in the last moment, so that over launches no
        core stands for all.

        Returns:
            Numbers of cores; none where there is nothing to choose, or the system binds no process (macOS).
        """
        self._idle = idlest(self._count, self._usable)[: self._count + OTHERS]
        self._present = tuple(sorted(self._idle[: self._count]))
        return self._present

    def undisturbed(self) -> tuple[int, ...]:
        """The launch's present cores, or others where one of them is slow now and others are quicker."""
        loops_s = self._loops_s(self._present)
        if any(own > SLOW * self._least_s for own in loops_s.values()):
            loops_s |= self._loops_s([core for core in self._idle if core not in loops_s])
            self._present = tuple(sorted(sorted(loops_s, key=loops_s.__getitem__)[: self._count]))
        return self._present

    def _loops_s(self, cores: Sequence[int]) -> dict[int, float]:
        """How long a loop takes on each, at best."""
        found = {core: self._loop_s(core) for core in cores}
        self._least_s = min(self._least_s, *found.values()) if found else self._least_s
        return found


def idlest(count: int, usable_now: Callable[[], list[int]] = usable_cores) -> list[int]:
    """The `count` usable cores that did least in the last moment, and all that did as little as one of them.

    The idlest come first, those alike in random order; none where there is nothing to choose.
    """
    usable = usable_now()
    if count >= len(usable):
        return []
    load = psutil.cpu_percent(WATCHED_S, percpu=True)
    random.shuffle(usable)
    usable.sort(key=lambda core: _step(load, core))
    return [core for core in usable if _step(load, core) <= _step(load, usable[count - 1])]


def bind(process_id: int, cores: Sequence[int]) -> None:
    """Keep a process, with the threads that it has and those to come, on these cores; nothing for none."""
    if not cores:
        return
    with contextlib.suppress(psutil.NoSuchProcess):  # who talks to it says why it is gone
        process = psutil.Process(process_id)
        process.cpu_affinity(list(cores))  # on Linux of its first thread alone
        for thread in process.threads() if psutil.LINUX else ():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread.id, cores)


def _step(load: Sequence[float], core: int) -> float:
    return load[core] // BUSY_STEP if core < len(load) else 0.0


def _arithmetic_s() -> float:
    start, total = time.perf_counter(), 0
    for n in range(LOOP_TURNS):
        total += n * n
    return time.perf_counter() - start
