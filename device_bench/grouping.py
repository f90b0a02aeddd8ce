"""Records, sorted: by the machine that they were taken on, the task, then the file that they are of.

Figures of two machines, or of models for two tasks, never meet in one table or chart. Where a file was
measured more than once in the same way on the same machine, the newest record speaks for it; nothing is
averaged over runs.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from device_bench import records, stats
from device_bench.losses import Loss, loss
from device_bench.records import Measurement
from edgepress.core.errors import EdgepressError, unknown_name

ShapeKey = tuple[str, str, int, int]


@dataclass(frozen=True)
class RecordGroup:
    """The records of a file in one runtime with one number of threads, on one machine."""

    label: str
    """Short, and no other series of the section has it."""
    records: tuple[Measurement, ...]
    """The newest of each shape, failed ones too, in the order of the files that they were read from."""
    history: tuple[Measurement, ...]
    """All records, in that order."""

    @property
    def measured(self) -> list[Measurement]:
        """The records that have samples."""
        return [record for record in self.records if record.all_samples_ms]

    @property
    def scored(self) -> Measurement | None:
        """A record with a score, which is the file's and the same at every shape."""
        return next((record for record in reversed(self.records) if record.score is not None), None)

    def at(self, batch: int, sequence_length: int) -> Measurement | None:
        """The latency at one shape."""
        wanted = ("latency", batch, sequence_length)
        found = (r for r in self.measured if (r.kind, r.batch, r.sequence_length) == wanted)
        return next(found, None)

    def is_of(self, file: tuple[str, ...]) -> bool:
        """Whether it is of a file, with any number of threads."""
        return _file(self.records[0]) == file


@dataclass(frozen=True)
class Section:
    """Everything that was measured on one machine of files for one task."""

    machine: str
    """Description of the machine."""
    task: str
    """Empty where the files are for none, or for one that nobody noted."""
    series: tuple[RecordGroup, ...]
    baseline: tuple[str, ...]
    """The file that speed-ups and losses are against, as `RecordGroup.is_of` takes it."""

    @property
    def title(self) -> str:
        """Machine and task in words."""
        return f"{self.machine}; {self.task}" if self.task else self.machine

    @property
    def records(self) -> list[Measurement]:
        """The newest records of all files."""
        return [record for series in self.series for record in series.records]

    @cached_property
    def _bases(self) -> dict[tuple[str, ShapeKey, int], Measurement]:
        """The baseline's records by what they were measured beside."""
        series = (own for own in self.series if own.is_of(self.baseline))
        return {_turn(record): record for own in series for record in own.history}

    def speed_up(self, own: RecordGroup, of: ShapeKey) -> stats.Interval | None:
        """Return the baseline's latency at a shape divided by the file's; None where there is none.

        It is from the newest measurement in which both files took their turns, if the file is still the same.
        A later measurement without the baseline does not change it.
        """
        if own.is_of(self.baseline):
            return None
        taken = sorted((each for each in own.history if shape(each) == of), key=lambda each: each.taken_at)
        same = [record for record in taken if record.file_sha256 == taken[-1].file_sha256]
        pairs = ((self._bases.get(_turn(record)), record) for record in reversed(same))
        ratios = (speed_up(base, record) for base, record in pairs if base is not None)
        return next((ratio for ratio in ratios if ratio is not None), None)

    def loss(self, own: RecordGroup) -> Loss | None:
        """Return what a file loses against the baseline; None where there is nothing to compare.

        Among the scores of the baseline one on the same texts is taken, the newest where there are several.
        """
        record = own.scored
        bases = [base for base in self._bases.values() if base.score is not None]
        if record is None or not bases or own.is_of(self.baseline):
            return None
        newest_ = max(bases, key=lambda base: base.taken_at)
        same = [base for base in bases if base.file_sha256 == newest_.file_sha256]
        base = max(same, key=lambda base: (base.texts_sha256 == record.texts_sha256, base.taken_at))
        return loss(base, record)


def load(paths: Sequence[Path]) -> list[Measurement]:
    """The records of several files. One that names no run gets its file's name: it was measured within it.

    Raises:
        EdgepressError: a file is missing or no record file, or there are no records in any of them.
    """
    read = ((path, record) for path in paths for record in _read(path))
    found = [record if record.run else replace(record, run=str(path)) for path, record in read]
    if not found:
        named = ", ".join(map(str, paths)) or "--records"
        raise EdgepressError(f"no records in {named}", "python -m device_bench run measures some")
    return found


def _read(path: Path) -> list[Measurement]:
    try:
        return records.read(path)
    except OSError as error:
        raise EdgepressError(
            f"cannot read {path}: {error.strerror}", "name JSON-lines files of records"
        ) from error
    except UnicodeDecodeError as error:
        raise EdgepressError(f"{path} is no text", "name JSON-lines files of records") from error


def sections(found: Sequence[Measurement], baseline: str | None = None) -> list[Section]:
    """The records by machine and task, in the order in which these turn up.

    Args:
        found: records of any machines and tasks.
        baseline: name of the file that speed-ups are over; None takes the one that each section's oldest
            measurement names, so that no later record changes what a figure is relative to.

    Raises:
        EdgepressError: no file of any section is called so.
    """
    tasks = _tasks(found)
    groups: dict[tuple[tuple[str, ...], str], list[Measurement]] = {}
    for record, task in zip(found, tasks, strict=True):
        groups.setdefault((record.machine, task), []).append(record)
    if baseline is not None and all(_named(group, baseline) is None for group in groups.values()):
        raise unknown_name("file", baseline, {record.name for record in found})
    return [
        Section(machine_title(group[0]), task, _series(group), _baseline(group, baseline))
        for (_, task), group in groups.items()
    ]


def _tasks(found: Sequence[Measurement]) -> list[str]:
    """The task of each record: its own; else that of the same file, else of what it was measured beside."""
    by_file: dict[str, set[str]] = {}
    by_run: dict[str, set[str]] = {}
    for record in found:
        if record.task:
            by_file.setdefault(record.file_sha256, set()).add(record.task)
            by_run.setdefault(record.run, set()).add(record.task)

    def task(record: Measurement) -> str:
        places = ({record.task}, by_file.get(record.file_sha256), by_run.get(record.run))
        return next((min(own) for own in places if own and len(own) == 1 and min(own)), "")

    return [task(record) for record in found]


def _baseline(group: Sequence[Measurement], said: str | None) -> tuple[str, ...]:
    named = _named(group, said) if said is not None else None
    if named is None:
        oldest = min(group, key=lambda record: record.taken_at)
        run = [record for record in group if record.run == oldest.run]
        named = next((record for record in run if record.name == record.baseline), run[0])
    return _file(named)


def _named(group: Sequence[Measurement], name: str) -> Measurement | None:
    return next((record for record in group if record.name == name), None)


def machine_title(record: Measurement) -> str:
    """The machine in words."""
    own = record.environment
    parts = [record.device, own.get("gpu") or "", own.get("cpu") or ""]
    parts += [f"{own['cores']} cores"] if own.get("cores") else []
    return ", ".join(str(part) for part in (*parts, own.get("system") or "") if part)


def library(runtime: str) -> str:
    """A runtime's name without its version: a new version of it continues the series."""
    return re.sub(r"\s+v?\d[^\s,]*", "", runtime)


def identity(record: Measurement) -> tuple[str, ...]:
    """Return the key that a series' records share, besides the machine."""
    return (*_file(record), str(record.threads))


def _file(record: Measurement) -> tuple[str, ...]:
    """What a file's records share, with any number of threads."""
    return (record.name, record.artifact, record.file, library(record.runtime))


def shape(record: Measurement) -> ShapeKey:
    """Return the key that tells the records of one series apart."""
    return (record.kind, record.padding, record.batch, record.sequence_length)


def _turn(record: Measurement) -> tuple[str, ShapeKey, int]:
    """What records that were taken in turn share."""
    return (record.run, shape(record), record.threads)


def newest(found: Iterable[Measurement]) -> dict[tuple[tuple[str, ...], ShapeKey], Measurement]:
    """The last record of each series and shape, by time, then by place; keys in order of first sight.

    A failure that was mended later is gone with it, and a file that fails now shows no old figures.
    """
    kept: dict[tuple[tuple[str, ...], ShapeKey], Measurement] = {}
    for record in found:
        key = (identity(record), shape(record))
        if key not in kept or record.taken_at >= kept[key].taken_at:
            kept[key] = record
    return kept


def _series(group: Sequence[Measurement]) -> tuple[RecordGroup, ...]:
    by_file: dict[tuple[str, ...], list[Measurement]] = {}
    for (own, _), record in newest(group).items():
        by_file.setdefault(own, []).append(record)
    every: dict[tuple[str, ...], list[Measurement]] = {}
    for record in group:
        every.setdefault(identity(record), []).append(record)
    labels = _labels(list(by_file))
    return tuple(RecordGroup(labels[own], tuple(found), tuple(every[own])) for own, found in by_file.items())


def _labels(identities: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """A name alone where it is unique; with artifact, file, runtime and threads as far as it takes."""
    labels = {}
    for own in identities:
        rivals = [other for other in identities if other[0] == own[0] and other != own]
        differing = [i for i in range(1, len(own)) if any(other[i] != own[i] for other in rivals)]
        words = [f"{own[i]} thr." if i == len(own) - 1 else own[i] for i in differing]
        labels[own] = ", ".join([own[0], *(word for word in words if word)])
    return labels


def latency(record: Measurement) -> stats.Interval:
    """The median of one run [ms]."""
    return stats.latency(record.launches_ms)


def speed_up(base: Measurement, record: Measurement) -> stats.Interval | None:
    """Return the latency of `base` divided by that of `record`.

    None unless both were measured in turn, in one measurement and at one shape.
    """
    same = base.run == record.run and shape(base) == shape(record)
    if not same or not base.all_samples_ms or not _in_turn(base, record):
        return None
    return stats.paired_ratio(base.launches_ms, record.launches_ms)


def _in_turn(base: Measurement, record: Measurement) -> bool:
    return [len(rounds) for rounds in base.launches_ms] == [len(rounds) for rounds in record.launches_ms]
