"""Measurement on a phone: launches of the app in interleaved model order, case by case."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_bench.facts import with_facts
from device_bench.phone import app
from device_bench.phone.adb import Adb, open_phone
from device_bench.phone.contract import AppFailedError
from device_bench.phone.device import (
    EMULATED_WARNING,
    describe,
    environment,
    is_emulated,
    properties,
    require_abi,
    snapshot,
)
from device_bench.phone.grouping import File, PhoneCase, Protocol
from device_bench.phone.prepare import prepared, reserved, restore
from device_bench.phone.record import record
from device_bench.phone.texts import PhoneTexts
from device_bench.plan import Case, Plan, Target
from device_bench.records import Measurement
from edgepress.core.console import step, warn
from edgepress.core.errors import EdgepressError

TextsOf = Callable[[Target], PhoneTexts | None]


@contextmanager
def exclusive_phone(serial: str | None = None) -> Iterator[Adb]:
    """The phone to measure on in the block: nobody else's meanwhile, and as it was before any measurement.

    Args:
        serial: which phone, where several are attached.

    Raises:
        EdgepressError: no phone can be used, or a measurement is running on it.
    """
    phone = open_phone(serial)
    with reserved(phone):
        restore(phone, warn)
        yield phone


def phone_environment(phone: Adb) -> dict[str, Any]:
    """Return the `environment` of records that are measured on this phone."""
    return environment(phone, properties(phone))


def measure_on_phone(
    targets: Sequence[Target],
    plan: Plan,
    phone: Adb,
    apk: Path | None = None,
    texts_of: TextsOf = lambda _: None,
    protocol: Protocol | None = None,
) -> Generator[Measurement, None, None]:
    """Measure ONNX files in the demo app on an attached phone; the records of a case come when it is done.

    The launches of a case go over all files in turn (A B, B A, ...). Whatever was changed on the phone is
    put back in any case.

    Args:
        targets: the files; a model's tokenizer is looked for in its artifact's folder.
        plan: cases that are still to be measured, threads, vocabulary, and when a median is settled.
        phone: from `exclusive_phone`.
        apk: the app, where it is not on the phone; taken away again if it was not there before.
        texts_of: real texts that a file is to classify on the phone and be scored on.
        protocol: launches, runs and cool-down.

    Raises:
        EdgepressError: the phone cannot be used or went away, or no file could be measured.
    """
    if not plan.cases:
        return
    _require_texts(targets, plan)
    known = properties(phone)
    require_abi(phone, known, app.abis_of(apk))
    if is_emulated(known):
        warn(EMULATED_WARNING)
    own = environment(phone, known), is_emulated(known)
    files = [File(with_facts(one), str(place), texts_of(one)) for place, one in enumerate(targets)]
    launches = _Launches(phone, protocol or Protocol(), uuid.uuid4().hex[:12])
    errors = set()
    with prepared(phone, warn) as undo:
        app.install(phone, apk, undo)
        app.clear_up(undo, launches.run)
        for number, case in enumerate(plan.cases):
            series = [PhoneCase(file, case, plan, launches.protocol, *own) for file in files]
            launches.take(series, number)
            errors |= {one.error for one in series}
            yield from [record(one, launches.run) for one in series]
    if "" not in errors:
        raise EdgepressError(f"no file could be measured: {series[0].error}")


def _require_texts(targets: Sequence[Target], plan: Plan) -> None:
    without = [one.name for one in targets if one.texts is None]
    if without and any(case.kind == "pass" for case in plan.cases):
        raise EdgepressError(f"{without[0]}: there are no texts to pass over", "name an artifact with a task")


@dataclass
class _Launches:
    """The launches of one measurement, and what they share."""

    phone: Adb
    protocol: Protocol
    run: str
    cooling_s: float = 0.0

    def take(self, series: Sequence[PhoneCase], number: int) -> None:
        """Launch every file as often as the case wants; a file that fails is left out for the rest of it."""
        order = list(series)
        for turn in range(series[0].turns):
            order.reverse()  # A B, B A, ...: coming second must not be a disadvantage
            for one in order:
                if not one.error:
                    step(f"phone: {_title(one.case)}, {one.file.target.name}, {turn + 1} of {one.turns}")
                    self._launch(one, f"{self.run}-{number}-{one.file.place}-{turn}")

    def _launch(self, one: PhoneCase, run_id: str) -> None:
        file = one.file
        try:
            if not file.model:
                file.model = app.push_files(self.phone, file.target.path, f"{app.INBOX}/{file.place}")
            before = self._cooled(one)
            result = app.launch(self.phone, file.model, one.request(), run_id)
            one.add(result, before, snapshot(self.phone))
        except AppFailedError as error:
            one.error = str(error)
            warn(f"{file.target.name}: {error}" + (f"\n{error.hint}" if error.hint else ""))

    def _cooled(self, one: PhoneCase) -> dict[str, Any]:
        cooling = self.protocol.cool_down
        seconds, state = cooling.wait(self.phone, self.cooling_s, step)
        self.cooling_s += seconds
        if not cooling.reached(state):
            one.warnings.append(f"launched warm after {self.cooling_s:.0f} s of cooling: {describe(state)}")
            warn(f"{one.file.target.name}: {one.warnings[-1]}")
        return state


def _title(case: Case) -> str:
    rows = f"batch {case.batch}"
    return f"a pass, {rows}" if case.kind == "pass" else f"{case.sequence_length} tokens, {rows}"
