"""The records of a phone: what the launches of a file gave, in the schema of all devices."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np

from device_bench import stats
from device_bench.facts import of_case
from device_bench.file_score import FileScore
from device_bench.phone.app import artifact_folder
from device_bench.phone.contract import PhoneResult
from device_bench.phone.device import EMULATED_WARNING
from device_bench.phone.grouping import File, PhoneCase
from device_bench.records import Launch, Measurement
from device_bench.session import Taken
from edgepress.core.artifact import is_artifact, open_artifact


def record(series: PhoneCase, run: str) -> Measurement:
    """The record of one file at one case of a measurement; without samples where it failed."""
    plan, case, target = series.plan, series.case, series.file.target
    launches = [] if series.error else series.launches
    return Measurement(
        name=target.name,
        file=target.path.name,
        runtime=launches[0].runtime if launches else "",
        device="phone",
        threads=plan.threads,
        batch=case.batch,
        sequence_length=case.sequence_length,
        load_ms=stats.median_or_zero([one.load_ms for one in launches]),
        first_forward_ms=stats.median_or_zero([one.first_forward_ms for one in launches]),
        peak_memory_bytes=int(stats.median_or_zero([one.peak_memory_bytes for one in launches])),
        warm_up_runs=series.protocol.warm_up_runs,
        environment=series.environment,
        kind=case.kind,
        padding=case.padding,
        run=run,
        taken_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        error=series.error,
        **_samples(series),
        **{**of_case(target.known, case), **_scored(series)},
    )


def _samples(series: PhoneCase) -> dict[str, Any]:
    warnings = [EMULATED_WARNING] if series.emulated else []
    warnings += series.warnings
    state: dict[str, Any] = {"emulated": series.emulated, "launches": series.states}
    if series.error:
        return {"samples_ms": (), "settled": False, "state": state, "warnings": tuple(warnings)}
    samples, hot = series.samples_ms, series.hot_runs
    launches = [_launch(one) for one in series.launches]
    target = series.plan.target_half_width
    taken = Taken(launches, [[one] for one in samples])
    settled = taken.settled(target)
    if not settled:
        warnings.append(f"median not within {100 * target:.0f} %")
    if hot:
        warnings.append(f"thermal status rose during {len(hot)} of {sum(map(len, samples))} runs")
    state |= {"hot_runs": hot, "logit_difference": series.logit_difference}
    own = {"samples_ms": samples, "launches": tuple(launches), "settled": settled}
    return {**own, "state": state, "warnings": tuple(warnings)}


def _launch(one: PhoneResult) -> Launch:
    """An app's launch gives one round a case."""
    names = ("load_ms", "first_forward_ms", "peak_memory_bytes")
    return Launch(rounds=1, **{name: getattr(one, name) for name in names})


def _scored(series: PhoneCase) -> dict[str, Any]:
    """The score of the logits that the phone gave, and its times of tokenizing, never this computer's."""
    own, texts = series.file.scored, series.file.texts
    if own is None or texts is None or series.error:
        return {"tokenize_ms": ()}
    task = texts.task
    known = {"tokenize_ms": own.tokenize_ms, "task": task.name, "metric": task.metric}
    if _untrained(series.file):
        return known
    logits, labels = np.asarray(own.text_logits), texts.examples.labels
    found = FileScore.of(task.metric, logits, labels, task.problem_type, texts.thresholds)
    return {**known, **found.facts}


def _untrained(file: File) -> bool:
    folder = artifact_folder(file.target.path)
    return is_artifact(folder) and not open_artifact(folder).manifest.model.head_trained
