"""Speed-ups of two measurements: ratios within one run each, so that the two may be of different machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from device_bench.compare.figures import Change, Figure, Margins, changes, lasting_figures
from device_bench.grouping import ShapeKey, identity, shape, speed_up
from device_bench.records import Measurement
from device_bench.stats import Interval
from edgepress.core.console import step, warn
from edgepress.core.environment import native_int8
from edgepress.core.errors import EdgepressError, unknown_name

Key = tuple[tuple[str, ...], ShapeKey]


@dataclass(frozen=True)
class Ratio:
    """A record beside the baseline of its run."""

    record: Measurement
    base: Measurement
    speed_up: Interval | None
    """Times as fast as the baseline; None where the record is the baseline's own."""

    @property
    def with_figures(self) -> tuple[Measurement, list[Figure]]:
        """The record with the figures that are compared across machines."""
        found = list(lasting_figures(self.record))
        if self.speed_up is None:
            return self.record, found
        name = f"speed-up over {self.base.name}"
        return self.record, [Figure(name, self.speed_up, "{:.2f}x", more_is_better=True, timed=True), *found]


def ratios(found: Sequence[Measurement], baseline: str | None) -> dict[Key, Ratio]:
    """Each file and shape beside its baseline, by the newest run that measured both in turn.

    Args:
        found: records of any machines.
        baseline: name of the baseline; None takes the one that each run names, else its first file.

    Raises:
        EdgepressError: no file is called so, or no run has a file besides its baseline.
    """
    if baseline is not None and all(record.name != baseline for record in found):
        raise unknown_name("file", baseline, {record.name for record in found})
    bases: dict[tuple[str, ShapeKey, int], Measurement] = {}
    for record in found:
        named = baseline or record.baseline
        if record.all_samples_ms and named in ("", record.name):
            bases.setdefault((record.run, shape(record), record.threads), record)
    kept: dict[Key, Ratio] = {}
    for record in found:
        base = bases.get((record.run, shape(record), record.threads))
        if base is None:
            continue
        ratio = speed_up(base, record) if base is not record else None
        key = (identity(record), shape(record))
        newer = key not in kept or record.taken_at >= kept[key].record.taken_at
        if newer and (ratio is not None or base is record):
            kept[key] = Ratio(record, base, ratio)
    if all(own.speed_up is None for own in kept.values()):
        raise EdgepressError(
            "no file was measured in turn with a baseline", "measure both in one run of device_bench"
        )
    return kept


def compare_ratios(before: Ratio, after: Ratio, margins: Margins) -> Iterator[Change]:
    """Yield the speed-up, sizes and scores that changed by more than chance.

    Raises:
        EdgepressError: the two are relative to files of different names.
    """
    if before.base.name != after.base.name:
        raise EdgepressError(
            f"{before.record.name}: the first is relative to {before.base.name}, the second to "
            f"{after.base.name}",
            "--baseline names one file of both",
        )
    yield from changes(before.with_figures, after.with_figures, margins)


def tell_what_differs(pairs: Sequence[tuple[Ratio, Ratio]]) -> None:
    """Warn where a baseline is another file now, or one of the CPUs multiplies int8 natively and one not."""
    changed = {old.base.name for old, new in pairs if old.base.file_sha256 != new.base.file_sha256}
    for name in sorted(changed):
        warn(f"{name}, which speed-ups are over, is not the same file in both")
    cpus = {(_cpu(old), _cpu(new)) for old, new in pairs if _native(old) != _native(new)}
    for first, second in sorted(cpus):
        warn(f"only one of {first} and {second} multiplies int8 natively: int8's speed-ups differ by that")
    others = {(_cpu(old), _cpu(new)) for old, new in pairs if _cpu(old) != _cpu(new)} - cpus
    for first, second in sorted(others):
        step(f"the first was measured on {first}, the second on {second}")


def _cpu(own: Ratio) -> str:
    return str(own.record.environment.get("cpu", "an unknown CPU"))


def _native(own: Ratio) -> bool:
    return bool(native_int8(own.record.environment.get("flags") or ()))
