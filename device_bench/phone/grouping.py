"""Results of the launches of one file at one shape, or in passes over texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from device_bench.cpu import make_batch
from device_bench.phone.contract import PhoneResult, Request
from device_bench.phone.device import CoolDown
from device_bench.phone.texts import PhoneTexts
from device_bench.plan import Case, Plan, Target
from device_bench.texts import load, pass_batches
from export.core.registry import open_runner
from export.core.runner import Batch


@dataclass(frozen=True)
class Protocol:
    """Settings of a measurement on a phone, beyond a plan's shapes and threads."""

    launches: int = 3
    """New processes of each file at each shape: what a process gets by luck (its cores, its pages) is
    averaged out. Each pass over texts has a launch of its own."""
    warm_up_runs: int = 10
    """Runs of a pass's first texts to warm up with."""
    runs: int = 50
    min_time_ms: float = 1000.0
    """Least time of each launch [ms]."""
    cool_down: CoolDown = field(default_factory=CoolDown)


@dataclass
class File:
    """A file on the phone."""

    target: Target
    place: str
    """The file's folder on the phone."""
    texts: PhoneTexts | None = None
    """Texts that the file is scored on there."""
    model: str = ""
    """The file's path on the phone, once it was copied."""
    scored: PhoneResult | None = None
    """The launch that classified the texts."""


@dataclass
class PhoneCase:
    """A file at one case, and what came of it launch by launch."""

    file: File
    case: Case
    plan: Plan
    protocol: Protocol
    environment: dict[str, Any]
    emulated: bool
    launches: list[PhoneResult] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    """Snapshots before and after each launch."""
    warnings: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def turns(self) -> int:
        """Number of launches of the file."""
        return self.plan.passes if self.case.kind == "pass" else self.protocol.launches

    @cached_property
    def batches(self) -> Sequence[Batch]:
        """Batches of one run: one of the shape, (batch, length) int64, or those of a whole pass."""
        case = self.case
        if case.kind == "latency":
            return [make_batch(case.batch, case.sequence_length, self.plan.vocabulary)]
        assert self.file.target.texts is not None  # `measure_on_phone` has made sure
        return pass_batches(load(self.file.target.texts), case.batch, case.padding)

    def request(self) -> Request:
        """Make the next launch's request. Texts go with one launch alone, for they heat the phone."""
        single = self.case.kind == "pass"
        own, texts = self.protocol, None if self.file.scored else self.file.texts
        return Request(
            inputs=[{name: rows.tolist() for name, rows in batch.items()} for batch in self.batches],
            texts=texts.examples.texts if texts else (),
            threads=self.plan.threads,
            warm_up_batches=own.warm_up_runs,
            runs=1 if single else own.runs,
            min_time_ms=0.0 if single else own.min_time_ms,
        )

    def add(self, result: PhoneResult, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Take in what one launch gave."""
        self.launches.append(result)
        self.states.append({"before": {**result.before, **before}, "after": {**result.after, **after}})
        if result.text_logits:
            self.file.scored = result

    @property
    def samples_ms(self) -> tuple[tuple[float, ...], ...]:
        """Times, one inner tuple a launch."""
        return tuple(launch.samples_ms for launch in self.launches)

    @property
    def hot_runs(self) -> list[int]:
        """Indices of the samples, over all launches, taken at a higher thermal status than their launch began
        with."""
        flags = [
            status > (state["before"]["thermal_status"] or 0)
            for launch, state in zip(self.launches, self.states, strict=True)
            for status in _padded(launch.thermal_status, len(launch.samples_ms))
        ]
        return [run for run, hot in enumerate(flags) if hot]

    @property
    def logit_difference(self) -> float:
        """The largest difference between a logit of the first batch on the phone and here."""
        with open_runner(self.file.target.path, self.plan.threads) as runner:
            own = runner(self.batches[0])
        theirs = [np.asarray(launch.logits, dtype=np.float64) for launch in self.launches]
        return max(float(np.abs(one - own).max()) for one in theirs)


def _padded(statuses: Sequence[int], length: int) -> list[int]:
    """An app on an Android before 10 has none to tell."""
    return [*statuses, *[0] * (length - len(statuses))]
