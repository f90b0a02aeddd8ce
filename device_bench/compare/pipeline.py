"""The command as a pipeline: read both, pair them, judge each figure, show what changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from device_bench.compare.config import CompareConfig
from device_bench.compare.figures import (
    Change,
    Doubt,
    Margins,
    compare_records,
    doubts,
    not_measured_again,
    shape_text,
    with_figures,
)
from device_bench.compare.ratios import compare_ratios, ratios, tell_what_differs
from device_bench.compare.scores import score_lines
from device_bench.grouping import identity, library, load, newest, shape
from device_bench.records import Measurement
from device_bench.waiting import busy_machine
from edgepress.core import console
from edgepress.core.errors import EdgepressError, ExpectationError
from edgepress.core.labels import shown
from edgepress.core.tables import ScreenTable

Records = dict[tuple[object, ...], Measurement]
"""Records by machine, file and shape."""


SaidT = TypeVar("SaidT", Change, Doubt)


@dataclass(frozen=True)
class ComparedRecords:
    """Differences of two measurements."""

    changes: list[Change]
    compared: int
    """Number of records that both have."""
    doubts: list[Doubt]
    """Figures that are not known to have changed."""
    scores: list[str]
    """A line on the score of each file that both scored."""


def run(config: CompareConfig) -> list[Change]:
    """Run the command and return what changed.

    Raises:
        EdgepressError: bad input, or nothing was measured in both on one machine (exit code 2).
        ExpectationError: a figure became worse, or was not measured again (exit code 1).
    """
    margins = Margins(config.threshold, config.max_drop, config.memory_noise)
    margins.check()
    if config.baseline is not None and not config.ratios:
        raise EdgepressError("--baseline names the file that --ratios are over", "add --ratios")
    older, newer = load([config.before]), load([config.after])
    busy = _tell_busy(older, newer)
    if config.ratios:
        found = changed_ratios(older, newer, margins, config.baseline)
    else:
        found = _changed_on_one_machine(older, newer, margins)
    _show(found)
    _tell_doubts(found.doubts)
    _judge(found.changes, config.allow_missing, busy)
    return found.changes


def _changed_on_one_machine(
    older: list[Measurement], newer: list[Measurement], margins: Margins
) -> ComparedRecords:
    """Compare all figures of the records that both have of one machine."""
    before, after, shared = pair(older, newer)
    _tell_unpaired(before, after)
    found = changed_records(before, after, shared, margins)
    pairs = [(before[key], after[key]) for key in shared if not before[key].error and not after[key].error]
    figures = [(with_figures(old, margins), with_figures(new, margins)) for old, new in pairs]
    unsure = _once(doubt for old, new in figures for doubt in doubts(old, new, margins))
    scores = score_lines(pairs, margins.max_drop)
    return ComparedRecords(found + _lost(before, after), len(shared), unsure, scores)


def changed_records(
    before: Records, after: Records, shared: Sequence[tuple[object, ...]], margins: Margins
) -> list[Change]:
    """List the figures that changed in the records that both have; size and score of a file once."""
    return _once(change for key in shared for change in compare_records(before[key], after[key], margins))


def _once(found: Iterable[SaidT]) -> list[SaidT]:
    return list(dict.fromkeys(found))


def changed_ratios(
    older: Sequence[Measurement], newer: Sequence[Measurement], margins: Margins, baseline: str | None = None
) -> ComparedRecords:
    """Compare speed-ups, sizes and scores.

    Args:
        older, newer: records of any machines; ratios are formed within one run each.
        margins: thresholds of a change.
        baseline: name of the file that speed-ups are over; None takes the one that each run names.

    Raises:
        EdgepressError: there are no ratios, none is of the same files, or they are relative to others.
    """
    before, after = ratios(older, baseline), ratios(newer, baseline)
    shared = [key for key in before if key in after]
    if not shared:
        raise _nothing_shared([own.record for own in before.values()], [own.record for own in after.values()])
    pairs = [(before[key], after[key]) for key in shared]
    tell_what_differs(pairs)
    found = _once(change for old, new in pairs for change in compare_ratios(old, new, margins))
    lost = [not_measured_again(before[key].record) for key in before if key not in after]
    unsure = _once(
        doubt for old, new in pairs for doubt in doubts(old.with_figures, new.with_figures, margins)
    )
    scores = score_lines(((old.record, new.record) for old, new in pairs), margins.max_drop)
    return ComparedRecords(found + lost, len(shared), unsure, scores)


def pair(
    older: list[Measurement], newer: list[Measurement]
) -> tuple[Records, Records, list[tuple[object, ...]]]:
    """The newest records of both by machine, file and shape, and the keys that both have.

    Raises:
        EdgepressError: nothing was measured in both on one machine.
    """
    before, after = _by_key(older), _by_key(newer)
    shared = [key for key in before if key in after]
    if not shared:
        raise _incomparable(list(before.values()), list(after.values()))
    return before, after, shared


def _judge(changes: list[Change], allow_missing: bool, busy: bool) -> None:
    missing = [change for change in changes if change.missing and change.worse]
    worse = [change for change in changes if change.worse and not change.missing]
    found = [f"{_count(worse)} became worse"] if worse else []
    if missing and not allow_missing:
        verb = "is" if len(missing) == 1 else "are"
        found.append(f"{_count(missing)} {verb} missing in the second measurement")
    if found:
        hint = "the table says which" + (", --allow-missing lets what is missing pass" if missing else "")
        if busy and any(change.timed for change in worse):
            hint += "; times of a busy machine are uncertain: measure again before you trust them"
        raise ExpectationError(" and ".join(found), hint)


def _count(changes: Sequence[Change]) -> str:
    return f"{len(changes)} figure{'s' * (len(changes) != 1)}"


def _tell_doubts(unsure: Sequence[Doubt]) -> None:
    """Say how much worse a figure may be that did not change, as far as the records can show."""
    limited = [doubt for doubt in unsure if doubt.allowed]
    open_ = [doubt for doubt in limited or unsure if doubt.worst > doubt.allowed]
    if not open_:
        return
    widest = max(open_, key=lambda doubt: doubt.worst)
    said = f"{widest.figure} of {widest.subject} may be {widest.words} worse"
    if not limited:
        console.step(f"a smaller change would not be seen in these records: {said}")
        return
    console.warn(
        f"these records cannot show whether {len(open_)} of {len(limited)} figures keep to what is allowed: "
        f"{said}; measure more launches (--target, --time-budget) or score more texts "
        "(--eval-samples)"
    )


def _lost(before: Records, after: Records) -> list[Change]:
    """What only the older measurement has, on the machines that both were taken on."""
    here = {machine for machine, *_ in after}
    return [not_measured_again(before[key]) for key in before if key not in after and key[0] in here]


def _by_key(found: list[Measurement]) -> Records:
    groups: dict[tuple[str, ...], list[Measurement]] = {}
    for record in found:
        groups.setdefault(record.machine, []).append(record)
    return {
        (machine, *key): record for machine, group in groups.items() for key, record in newest(group).items()
    }


def _incomparable(before: list[Measurement], after: list[Measurement]) -> EdgepressError:
    files = {(identity(r), shape(r)) for r in before} & {(identity(r), shape(r)) for r in after}
    if files:
        return EdgepressError(
            "the two were measured on different machines: times are not comparable",
            "--ratios compares the speed-ups within each; or measure both on one machine",
        )
    return _nothing_shared(before, after)


def _nothing_shared(before: Sequence[Measurement], after: Sequence[Measurement]) -> EdgepressError:
    first, second = (shown(list(dict.fromkeys(map(_whole_name, side)))) for side in (before, after))
    return EdgepressError(
        f"no file was measured in both at the same shape: the first has {first}; the second {second}",
        "files are paired by artifact, name, file, runtime and threads, and by batch and length: write the "
        "candidate to a folder of the same name, and measure it at the same lengths",
    )


def _whole_name(record: Measurement) -> str:
    place = "/".join(part for part in (record.artifact, record.file) if part)
    return f"{record.name} ({place}, {library(record.runtime)}, {shape_text(record)})"


def _tell_busy(older: Sequence[Measurement], newer: Sequence[Measurement]) -> bool:
    """Warn of a measurement whose times are uncertain; whether there is one."""
    busy = False
    for which, measured in (("first", older), ("second", newer)):
        if said := busy_machine(measured):
            console.warn(f"times of the {which} are uncertain: {said}")
            busy = True
    return busy


def _tell_unpaired(before: Records, after: Records) -> None:
    """What neither is in the table nor fails."""
    if count := sum(key not in before for key in after):
        said = "1 record of the second has" if count == 1 else f"{count} records of the second have"
        console.warn(f"{said} no partner in the first")
    here = {machine for machine, *_ in after}
    if count := sum(machine not in here for machine, *_ in before):
        said = (
            "1 record of the first is of a machine"
            if count == 1
            else f"{count} records of the first are of machines"
        )
        console.warn(f"{said} that the second was not taken on")


def _show(found: ComparedRecords) -> None:
    title = f"{found.compared} records compared"
    if found.changes:
        headings = ("file", "figure", "before", "after", "change", "")
        rows = [
            (own.subject, own.figure, own.before, own.after, own.change, own.verdict) for own in found.changes
        ]
        ScreenTable(title, headings, rows, words=(0, 1, 5)).show()
    else:
        console.line(f"{title}: nothing changed beyond its interval")
    for said in found.scores:
        console.line(said)
