"""The records of a phone: what the launches of a file gave, in the schema of all devices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np

from device_bench import stats
from device_bench.lane import Taken
from device_bench.measure import facts
from device_bench.phone.app import artifact_folder
from device_bench.phone.contract import Result
from device_bench.phone.device import EMULATED_WARNING
from device_bench.phone.series import Series
from device_bench.records import Launch, Measurement
from edgepress.artifact import is_artifact, open_artifact
from edgepress.metrics import score


def record(series: Series, index: int) -> Measurement:
    """The record of one file at one sequence length; without samples where it failed."""
    plan, path, launches = series.plan, series.subject.path, series.launches
    if series.error:
        launches = []
    return Measurement(
        name=series.subject.name,
        file=path.name,
        runtime=launches[0].runtime if launches else "",
        device="phone",
        threads=plan.threads,
        batch=plan.batch,
        sequence_length=plan.sequence_lengths[index],
        load_ms=_median([one.load_ms for one in launches]),
        first_forward_ms=_median([one.first_forward_ms for one in launches]),
        peak_memory_bytes=int(_median([one.peak_memory_bytes for one in launches])),
        warm_up_runs=series.protocol.warm_up_runs,
        environment=series.environment,
        run=series.run,
        taken_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        error=series.error,
        **_samples(series, index, bool(launches)),
        **{**facts(series.subject), **_scored(series)},
    )


def _samples(series: Series, index: int, measured: bool) -> dict[str, Any]:
    warnings = [EMULATED_WARNING] if series.emulated else []
    warnings += series.warnings
    state: dict[str, Any] = {"emulated": series.emulated, "launches": series.states}
    if not measured:
        return {"samples_ms": (), "settled": False, "state": state, "warnings": tuple(warnings)}
    samples, hot = series.samples_ms(index), series.hot_runs(index)
    launches = [_launch(one) for one in series.launches]
    target = series.plan.target_half_width
    taken = Taken(launches, [[one] for one in samples])
    settled = taken.settled(target)
    if not settled:
        warnings.append(f"median not within {target:.0%}")
    if hot:
        warnings.append(f"thermal status rose during {len(hot)} of {sum(map(len, samples))} runs")
    state |= {"hot_runs": hot, "logit_difference": series.logit_difference(index)}
    own = {"samples_ms": samples, "launches": tuple(launches), "settled": settled}
    return {**own, "state": state, "warnings": tuple(warnings)}


def _launch(one: Result) -> Launch:
    """An app's launch gives one round a shape."""
    names = ("load_ms", "first_forward_ms", "peak_memory_bytes")
    return Launch(rounds=1, **{name: getattr(one, name) for name in names})


def _scored(series: Series) -> dict[str, Any]:
    """The score of the logits that the phone gave, and the times of tokenizing."""
    texts = series.texts
    if texts is None or series.error or not series.launches[0].text_logits:
        return {}
    first, task = series.launches[0], texts.task
    own: dict[str, Any] = {"tokenize_ms": first.tokenize_ms, "task": task.name, "metric": task.metric}
    if _untrained(series):
        return own
    logits = np.asarray(first.text_logits)
    value = score(task.metric, logits, texts.examples.labels, task.problem_type)
    return {**own, "score": value, "scored_rows": len(logits)}


def _untrained(series: Series) -> bool:
    folder = artifact_folder(series.subject.path)
    return is_artifact(folder) and not open_artifact(folder).manifest.model.head_trained


def _median(values: Sequence[float]) -> float:
    return stats.percentile(values, 50) if values else 0.0
