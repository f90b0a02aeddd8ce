"""A child process that runs one file; the only thing that knows the workers' protocol."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

from device_bench.cpu_affinity import bind
from device_bench.plan import Case, Plan, Target
from edgepress.core.errors import EdgepressError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


Start = Callable[["Target", "Plan", Sequence[int]], "Process"]
"""Starts the process of a file; `Process` does."""


def of_each(work: Callable[[ItemT], ResultT], items: Sequence[ItemT], device: str) -> list[ResultT]:
    """Do work that starts a process for each item, and return the results in the order of the items.

    Items are worked on one after another, but side by side for a GPU: there starting takes longer than all
    that follows, and cores are many.
    """
    if device != "gpu":
        return [work(item) for item in items]
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(work, items))


class Process:
    """`device_bench.cpu` (or `.gpu`) with one file in it.

    Args:
        target: the file.
        plan: the device, and how it is opened there.
        cores: what to bind it to; none: it is free.

    Raises:
        EdgepressError: the file cannot be opened, or the process died.
    """

    def __init__(self, target: Target, plan: Plan, cores: Sequence[int] = ()) -> None:
        self.target = target
        command = [sys.executable, "-m", f"device_bench.{plan.device}", str(target.path)]
        command += [str(plan.threads), str(plan.vocabulary), target.mode]
        self._words = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # see close
        # A session of its own: Ctrl-C is ours to handle, and the end of its input stops it.
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
            start_new_session=True,
        )
        self._cores: Sequence[int] = ()
        self.bind(cores)  # long before its runtime starts threads, which inherit it
        self.peak_memory_bytes = 0
        self.waited: float | None = None
        """Share of the last runs' time in which it had no core; None where that is not known."""
        try:
            self.loaded = self._read()
        except BaseException:
            self.close()
            raise

    def bind(self, cores: Sequence[int]) -> None:
        """Move it to these cores; none: leave it."""
        if cores != self._cores:
            bind(self._child.pid, cores)
            self._cores = cores

    def run(self, case: Case, runs: int) -> list[float]:
        """Times of `runs` runs, or of one whole pass [ms]."""
        answer = self._ask(case.request(runs, self.target.texts))
        self.peak_memory_bytes = answer["peak_memory_bytes"]
        self.waited = answer.get("waited")
        samples: list[float] = answer["samples_ms"]
        return samples

    def save_logits(self, path: Path, first: int, end: int) -> None:
        """Run the target's texts from `first` to before `end`, one by one, and write their logits (rows,
        labels) to an .npy file.
        """
        self._ask({"logits": str(path), "texts": str(self.target.texts), "rows": [first, end]})

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # reading the answer says why the child is gone
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        if not line or "error" in answer:
            reason = answer.get("error") or self._last_words() or "its process was killed"
            raise EdgepressError(f"measuring {self.target.path.name} failed: {reason}")
        return answer

    def _last_words(self) -> str:
        self._child.wait()
        self._words.seek(0)
        return " ".join(self._words.read().strip().splitlines()[-1:])

    def close(self) -> None:
        """End the process, and wait for it."""
        self._child.kill()
        self._child.communicate()
        self._words.close()
