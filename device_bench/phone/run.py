"""Measurement on a phone: launches of the app in interleaved model order, one record a file and length."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from device_bench.phone import app
from device_bench.phone.adb import Adb, open_phone
from device_bench.phone.contract import AppFailedError, Request
from device_bench.phone.device import (
    EMULATED_WARNING,
    describe,
    environment,
    is_emulated,
    properties,
    require_abi,
    snapshot,
)
from device_bench.phone.prepare import prepared
from device_bench.phone.record import record
from device_bench.phone.series import Protocol, Series
from device_bench.phone.texts import Texts
from device_bench.plan import Plan, Subject
from device_bench.records import Measurement
from edgepress.console import step, warn
from edgepress.errors import EdgepressError

TextsOf = Callable[[Subject], Texts | None]


def measure_on_phone(
    subjects: Sequence[Subject],
    plan: Plan,
    serial: str | None = None,
    apk: Path | None = None,
    texts_of: TextsOf = lambda _: None,
    protocol: Protocol | None = None,
) -> Iterator[Measurement]:
    """Measure ONNX files in the demo app on an attached phone; their records come at the end.

    The launches go over all files in turn (A B, B A, ...). What was measured by then also comes when the
    phone goes away or the user interrupts, before the error; whatever was changed on the phone is put back
    in any case.

    Args:
        subjects: the files; a model's tokenizer is looked for in its artifact's folder.
        plan: shapes that are still to be measured, threads, vocabulary, and when a median is settled.
        serial: which phone, where several are attached.
        apk: the app, where it is not on the phone; taken away again if it was not there before.
        texts_of: real texts that a file is to classify on the phone and be scored on.
        protocol: launches, runs and cool-down.

    Raises:
        EdgepressError: no phone can be used, it went away, or no file could be measured.
    """
    lengths = tuple(case.sequence_length for case in plan.cases if case.kind == "latency")
    if plan.passes:
        warn("whole passes are not timed on a phone")
    if lengths:
        plan = replace(plan, sequence_lengths=lengths, done=frozenset())
        yield from _measured(subjects, plan, open_phone(serial), apk, texts_of, protocol or Protocol())


def _measured(
    subjects: Sequence[Subject],
    plan: Plan,
    phone: Adb,
    apk: Path | None,
    texts_of: TextsOf,
    protocol: Protocol,
) -> Iterator[Measurement]:
    known = properties(phone)
    require_abi(phone, known, app.abis_of(apk))
    if is_emulated(known):
        warn(EMULATED_WARNING)
    own = environment(phone, known)
    series = [
        Series(one, plan, protocol, own, is_emulated(known), place=str(place), texts=texts_of(one))
        for place, one in enumerate(subjects)
    ]
    try:
        with prepared(phone, warn) as undo:
            app.install(phone, apk, undo)
            undo("rm", "-rf", app.INBOX)
            _Launches(phone, plan, protocol).take(series)
    except (EdgepressError, KeyboardInterrupt):
        yield from _records(series)
        raise
    yield from _records(series)
    if all(one.error for one in series):
        raise EdgepressError(f"no file could be measured: {series[0].error}")


def _records(series: Sequence[Series]) -> Iterator[Measurement]:
    complete = min((len(one.launches) for one in series if not one.error), default=0)
    for one in series:
        # Ratios are formed launch by launch: in a cut measurement the last turn is not whole.
        one.cut_to(complete or len(one.launches))
        if one.launches or one.error:
            yield from (record(one, index) for index in range(len(one.plan.sequence_lengths)))


@dataclass
class _Launches:
    """The launches of one measurement, and what they share."""

    phone: Adb
    plan: Plan
    protocol: Protocol
    cooling_s: float = 0.0

    def take(self, series: Sequence[Series]) -> None:
        """Launch every file as often as the protocol says; a file that fails is left out from then on."""
        run = uuid.uuid4().hex[:12]
        order = list(series)
        for turn in range(self.protocol.launches):
            order.reverse()  # A B, B A, ...: coming second must not be a disadvantage
            for one in order:
                if not one.error:
                    one.run = run
                    self._launch(one, turn)

    def _launch(self, one: Series, turn: int) -> None:
        step(f"phone: {one.subject.name}, launch {turn + 1} of {self.protocol.launches}")
        try:
            if turn == 0:
                one.model = app.push_files(self.phone, one.subject.path, f"{app.INBOX}/{one.place}")
            before = self._cooled(one)
            result = app.launch(
                self.phone, one.model, self._request(one, turn), f"{one.run}-{one.place}-{turn}"
            )
            one.add(result, before, snapshot(self.phone))
        except AppFailedError as error:
            one.error = str(error)
            warn(f"{one.subject.name}: {error}" + (f"\n{error.hint}" if error.hint else ""))

    def _cooled(self, one: Series) -> dict[str, Any]:
        cooling = self.protocol.cool_down
        seconds, state = cooling.wait(self.phone, self.cooling_s, step)
        self.cooling_s += seconds
        if not cooling.reached(state):
            one.warnings.append(f"launched warm after {self.cooling_s:.0f} s of cooling: {describe(state)}")
            warn(f"{one.subject.name}: {one.warnings[-1]}")
        return state

    def _request(self, one: Series, turn: int) -> Request:
        """Texts go with the first launch alone: they heat the phone, and once says it all."""
        return Request(
            inputs=[{name: rows.tolist() for name, rows in batch.items()} for batch in one.batches],
            texts=one.texts.examples.texts if one.texts and turn == 0 else (),
            threads=self.plan.threads,
            warm_up_runs=self.protocol.warm_up_runs,
            runs=self.protocol.runs,
            min_time_ms=self.protocol.min_time_ms,
        )
