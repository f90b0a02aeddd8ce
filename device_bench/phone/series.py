"""What the launches of one file gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from device_bench.cpu import make_batch
from device_bench.phone.contract import Result
from device_bench.phone.device import CoolDown
from device_bench.phone.texts import Texts
from device_bench.plan import Plan, Subject
from export.base.registry import open_runner


@dataclass(frozen=True)
class Protocol:
    """How a phone is measured, beyond a plan's shapes and threads."""

    launches: int = 3
    """New processes of each file: what a process gets by luck (its cores, its pages) is averaged out."""
    warm_up_runs: int = 10
    runs: int = 50
    min_time_ms: float = 1000.0
    """Of each shape in each launch."""
    cool_down: CoolDown = field(default_factory=CoolDown)


@dataclass
class Series:
    """One file, and what came of it launch by launch."""

    subject: Subject
    plan: Plan
    protocol: Protocol
    environment: dict[str, Any]
    emulated: bool
    place: str
    """Its folder on the phone."""
    texts: Texts | None = None
    """What it is scored on there."""
    model: str = ""
    """Its path on the phone."""
    run: str = ""
    launches: list[Result] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    """Snapshots before and after each launch."""
    warnings: list[str] = field(default_factory=list)
    error: str = ""

    def add(self, result: Result, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Take in what one launch gave."""
        self.launches.append(result)
        self.states.append({"before": {**result.before, **before}, "after": {**result.after, **after}})

    def cut_to(self, launches: int) -> None:
        """Leave out the launches that other files did not come to."""
        del self.launches[launches:], self.states[launches:]
        if not self.error and launches < self.protocol.launches:
            self.warnings.append(f"cut short: {launches} of {self.protocol.launches} launches")

    @cached_property
    def batches(self) -> list[dict[str, np.ndarray]]:
        """What is timed: one batch a sequence length, (batch, length) int64."""
        plan = self.plan
        return [make_batch(plan.batch, length, plan.vocabulary) for length in plan.sequence_lengths]

    @cached_property
    def own_logits(self) -> list[np.ndarray]:
        """The file's logits on this computer, for the same batches."""
        with open_runner(self.subject.path, self.plan.threads) as runner:
            return [runner(batch) for batch in self.batches]

    def samples_ms(self, index: int) -> tuple[tuple[float, ...], ...]:
        """Times at one of the sequence lengths, one inner tuple a launch."""
        return tuple(launch.shapes[index].samples_ms for launch in self.launches)

    def hot_runs(self, index: int) -> list[int]:
        """Which of all samples at this length were taken at a higher thermal status than the launch began."""
        flags = [
            status > (state["before"]["thermal_status"] or 0)
            for launch, state in zip(self.launches, self.states, strict=True)
            for status in _padded(launch.shapes[index].thermal_status, len(launch.shapes[index].samples_ms))
        ]
        return [run for run, hot in enumerate(flags) if hot]

    def logit_difference(self, index: int) -> float:
        """The largest difference between a logit on the phone and here, over all launches."""
        own = self.own_logits[index]
        theirs = [np.asarray(launch.shapes[index].logits, dtype=np.float64) for launch in self.launches]
        return max(float(np.abs(one - own).max()) for one in theirs)


def _padded(statuses: Sequence[int], length: int) -> list[int]:
    """An app on an Android before 10 has none to tell."""
    return [*statuses, *[0] * (length - len(statuses))]
