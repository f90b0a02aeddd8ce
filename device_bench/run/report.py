"""Screen output at the end of a measurement: one table a shape or pass, and the operators' times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from device_bench import stats
from device_bench.grouping import latency
from device_bench.losses import loss
from device_bench.peak import in_words, share_in_words
from device_bench.plan import Plan, Target
from device_bench.profile import Operator, Profile, profile
from device_bench.records import Measurement
from device_bench.summary import MISSING
from device_bench.waiting import warn_of_busy_machine
from edgepress.core import console
from edgepress.core.errors import EdgepressError
from edgepress.core.intervals import Bounds, score_text
from edgepress.core.tables import ScreenTable, screen_table

HEADINGS = (
    "file",
    "MB",
    "median ms",
    "p95",
    "p99",
    "texts/s",
    "ratio",
    "load ms",
    "peak MB",
    "score",
    "loss [points]",
    "outliers",
)
SHOWN_OPERATORS = 12


def show(measurements: Iterable[Measurement]) -> None:
    """Print a table for each group that was measured interleaved."""
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for record in measurements:
        case = (record.kind, record.threads, record.batch, record.sequence_length, record.padding)
        groups.setdefault((*case, record.run), []).append(record)
    for _, group in sorted(groups.items(), key=lambda entry: str(entry[0][:2]) + f"{entry[0][2:4]}"):
        _table(group).show()
    _say_what_to_know(groups.values())


def _table(group: Sequence[Measurement]) -> ScreenTable:
    cells = [_cells(record, group[0]) for record in group]
    peak = next((record.peak for record in group if record.peak), None)
    if peak is None:
        return screen_table(_title(group[0]), HEADINGS, cells)
    rows = [[*row, share_in_words(record) or MISSING] for row, record in zip(cells, group, strict=True)]
    return ScreenTable(_title(group[0]), [*HEADINGS, "share of peak"], rows, caption=_limits(group, peak))


def _limits(group: Sequence[Measurement], peak: Mapping[str, Any]) -> str:
    """What the machine can do, and what a run asks of it."""
    counts = sorted({record.operations for record in group if record.operations})
    return f"{in_words(peak)}; a run: {', '.join(f'{count / 1e9:.2f}' for count in counts)} GFLOP"


def _title(record: Measurement) -> str:
    threads = f"{record.threads} thread{'s' * (record.threads > 1)}"
    if record.kind == "pass":
        padding = {"none": "unpadded", "longest": "as they come", "sorted": "sorted by length"}[
            record.padding
        ]
        return f"{record.rows} texts, {padding}, batch {record.batch}, {threads}"
    return f"{record.sequence_length} tokens, batch {record.batch}, {threads}"


def _cells(record: Measurement, first: Measurement) -> list[str]:
    if record.error:
        return [record.name, "failed", *[MISSING] * (len(HEADINGS) - 2)]
    samples = record.all_samples_ms
    middle = latency(record).value
    rows = record.rows if record.kind == "pass" else record.batch
    return [
        record.name + ("" if record.settled else " *"),
        f"{record.size_bytes / 1e6:.1f}",
        f"{middle:.2f}",
        *(f"{stats.percentile(samples, q):.2f}" for q in (95, 99)),
        f"{1000 * rows / middle:.0f}",
        _ratio(record, first),
        f"{record.load_ms:.0f}",
        f"{record.peak_memory_bytes / 1e6:.0f}",
        score_text(record.score, _bounds(record)),
        _loss(record, first),
        f"{stats.outliers(samples)}/{len(samples)}",
    ]


def _bounds(record: Measurement) -> Bounds | None:
    return None if record.score_interval is None else Bounds(*record.score_interval)


def _loss(record: Measurement, first: Measurement) -> str:
    """What it loses against the first file, with the interval."""
    found = None if record is first else loss(first, record)
    return MISSING if found is None else f"{found.points:.2f} {found.interval}".rstrip()


def _ratio(record: Measurement, first: Measurement) -> str:
    if record is first or first.error:
        return MISSING
    found = stats.paired_ratio(first.launches_ms, record.launches_ms)
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _say_what_to_know(groups: Iterable[Sequence[Measurement]]) -> None:
    every = [record for group in groups for record in group]
    for error in dict.fromkeys(record.error for record in every if record.error):
        console.warn(error)
    warn_of_busy_machine(every)
    if any(record.warnings for record in every):
        console.step("*: the budget was spent before the median's interval was as narrow as --target")


def show_profiles(targets: Sequence[Target], plan: Plan) -> None:
    """Print for each file the operators that take most of the time, at the plan's longest shape."""
    for target in targets:
        try:
            _profile_table(profile(target, plan)).show()
        except EdgepressError as error:
            console.warn(f"no profile: {error}")


def _profile_table(found: Profile) -> ScreenTable:
    rows = [(own.name, *_operator_cells(own, found.total_ms)) for own in found.operators[:SHOWN_OPERATORS]]
    headings = ("operator", "calls a run", "ms a run", "share")
    return screen_table(f"{found.name}: time by operator", headings, rows)


def _operator_cells(own: Operator, total_ms: float) -> tuple[str, str, str]:
    return f"{own.calls:g}", f"{own.milliseconds:.3f}", f"{100 * own.milliseconds / total_ms:.1f} %"
