"""The command as a pipeline: read both, pair them, judge each figure, show what changed."""

from rich import box
from rich.markup import escape
from rich.table import Table

from device_bench.compare.config import CompareConfig
from device_bench.compare.figures import Change, compare_records
from device_bench.records import Measurement
from device_bench.series import identity, load, newest, shape
from edgepress import console
from edgepress.errors import EdgepressError, ExpectationError, require_flags


def compare(config: CompareConfig) -> list[Change]:
    """Run the command and return what changed.

    Raises:
        EdgepressError: bad input, or nothing was measured in both on one machine (exit code 2).
        ExpectationError: a figure became worse (exit code 1).
    """
    require_flags({"--threshold": config.threshold >= 0})
    before, after = _by_key(load([config.before])), _by_key(load([config.after]))
    shared = [key for key in before if key in after]
    if not shared:
        raise _incomparable(list(before.values()), list(after.values()))
    changes = [
        change for key in shared for change in compare_records(before[key], after[key], config.threshold)
    ]
    _show(changes, len(shared))
    _tell_unpaired(len(before) - len(shared), len(after) - len(shared))
    worse = [change for change in changes if change.worse]
    if worse:
        raise ExpectationError(f"{len(worse)} figures became worse", "the table says which")
    return changes


def _by_key(found: list[Measurement]) -> dict[tuple[object, ...], Measurement]:
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
            "the two were measured on different machines: not comparable", "measure both on one"
        )
    return EdgepressError("no file was measured in both at the same shape", "measure the same files")


def _tell_unpaired(only_before: int, only_after: int) -> None:
    for count, which in ((only_before, "first"), (only_after, "second")):
        if count:
            console.warn(f"{count} records have no partner of the same file, shape and machine: only {which}")


def _show(changes: list[Change], compared: int) -> None:
    if not changes:
        console.out.print(f"{compared} records compared: nothing changed beyond its interval")
        return
    table = Table(title=f"{compared} records compared", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("file", "figure", "before", "after", "change", ""):
        table.add_column(heading, justify="left" if heading in ("file", "figure", "") else "right")
    for own in changes:
        cells = (own.subject, own.figure, own.before, own.after, own.change, own.verdict)
        table.add_row(*map(escape, cells))
    console.out.print(table)
