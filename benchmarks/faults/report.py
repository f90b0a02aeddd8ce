"""The campaign's record: every case as a JSON line, and a table."""

import json
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.faults.config import FaultsConfig
from benchmarks.faults.interruption import Disturbance
from benchmarks.faults.mutations import FILES
from benchmarks.faults.openers import Damaged
from benchmarks.faults.outcomes import ASIDE, NEW, OLD
from edgepress.core.artifact import versions
from edgepress.core.environment import environment
from edgepress.core.files import staged_folder
from edgepress.core.tables import markdown_table, screen_table

FaultCase = Disturbance | Damaged
CASES, PAGE, FAILED = "cases.jsonl.xz", "README.md", "failed"

ABOUT = """# What is left after a kill, on a full file system, and of damaged files

```
{command}
```

A tiny BERT classifier and 144 sentences, {machine}, {versions}.
`old`, `new`, `aside`: what lay at the target after the disturbance, whole; aside is the old output between
the two renames of its replacement, which the next command puts back. `lost`: neither. `again`: the same
command afterwards ended with exit code 0 and the same bytes in all weights as a run that nobody disturbed.
"""
INTERRUPTED = ["command", "fault", "cases", OLD, NEW, ASIDE, "lost", "tracebacks", "other problems", "again"]
DAMAGED = [
    "file",
    "cases",
    "exit 0",
    "exit 1",
    "exit 2",
    "tracebacks",
    "hung",
    "other problems",
    "slowest [s]",
    "most memory [MB]",
]


def line(found: FaultCase) -> str:
    """One case in one line."""
    verdict = "; ".join(found.problems) or "ok"
    if isinstance(found, Damaged):
        return f"{found.job.number}: {found.job.file}, {found.job.mutation}: exit {found.code}, {verdict}"
    where = ", ".join(f"{key} {value}" for key, value in found.where.items())
    return f"{found.command}: {found.fault} ({where}): {found.state}, exit {found.code}, {verdict}"


def write(config: FaultsConfig, found: Sequence[FaultCase]) -> None:
    """Replace the record in `--output`: cases, page, and the damaged files that were handled wrongly."""
    with staged_folder(config.output, overwrite=True) as stage:
        lines = [json.dumps(_plain(case)) + "\n" for case in sorted(found, key=_order)]
        (stage / CASES).write_bytes(lzma.compress("".join(lines).encode()))
        (stage / PAGE).write_text(_page(config, found), encoding="utf-8")
        _keep_failed(stage, found)


def _order(found: FaultCase) -> tuple[str, ...]:
    if isinstance(found, Damaged):
        return ("~", f"{found.job.number:06}")
    return (found.command, found.fault, json.dumps(found.where))


def _plain(found: FaultCase) -> dict[str, object]:
    content = asdict(found)
    content.pop("content", None)
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in content.items()}


def _keep_failed(stage: Path, found: Sequence[FaultCase]) -> None:
    """The damaged files that something came of that must not."""
    for case in found:
        if isinstance(case, Damaged) and case.problems:
            (stage / FAILED).mkdir(exist_ok=True)
            (stage / FAILED / f"{case.job.number}-{case.job.file}").write_bytes(case.content)


def _page(config: FaultsConfig, found: Sequence[FaultCase]) -> str:
    flags = [f"--{name} {getattr(config, name)}" for name in ("moments", "sizes", "mutations", "seed")]
    command = " ".join(["python -m benchmarks.faults --commands", *config.commands, *flags])
    known = versions(("edgepress", "torch", "transformers"))
    about = ABOUT.format(
        command=command,
        machine=environment().cpu,
        versions=", ".join(f"{name} {number}" for name, number in known.items()),
    )
    parts = [about, table(found), *(f"- {line(case)}" for case in found if case.problems)]
    return "\n".join(parts).rstrip() + "\n"


def table(found: Sequence[FaultCase]) -> str:
    """Return the tables of disturbed commands and of damaged files as Markdown."""
    return "\n\n".join(markdown_table(headings, rows) for headings, rows in _tables(found)) + "\n"


def show(found: Sequence[FaultCase]) -> None:
    """Print the tables of disturbed commands and of damaged files."""
    for headings, rows in _tables(found):
        screen_table("", headings, rows).show()


def _tables(found: Sequence[FaultCase]) -> Iterator[tuple[Sequence[str], list[list[str]]]]:
    """Headings and rows, where there are any."""
    cases = [case for case in found if isinstance(case, Disturbance)]
    files = [case for case in found if isinstance(case, Damaged)]
    if cases:
        yield INTERRUPTED, list(_rows(cases))
    if files:
        yield DAMAGED, list(_file_rows(files))


def _rows(cases: Sequence[Disturbance]) -> Iterator[list[str]]:
    for command, fault in dict.fromkeys((case.command, case.fault) for case in sorted(cases, key=_order)):
        own = [case for case in cases if (case.command, case.fault) == (command, fault)]
        states = [sum(case.state == name for case in own) for name in (OLD, NEW, ASIDE)]
        again = sum(not any(problem.startswith("again") for problem in case.problems) for case in own)
        counts = [len(own), *states, sum(case.lost for case in own), _tracebacks(own), _others(own), again]
        yield [command, fault, *map(str, counts)]


def _file_rows(files: Sequence[Damaged]) -> Iterator[list[str]]:
    for name in FILES:
        own = [case for case in files if case.job.file == name]
        if not own:
            continue
        codes = [sum(case.code == code for case in own) for code in (0, 1, 2)]
        hung = sum(any(problem.startswith("hung") for problem in case.problems) for case in own)
        slowest, most = max(case.seconds for case in own), max(case.memory for case in own)
        counts = [len(own), *codes, _tracebacks(own), hung, _others(own)]
        yield [name, *map(str, counts), f"{slowest:.1f}", f"{most / 1e6:.0f}"]


def _tracebacks(cases: Sequence[FaultCase]) -> int:
    return sum(any("traceback:" in problem for problem in case.problems) for case in cases)


def _others(cases: Sequence[FaultCase]) -> int:
    """Cases with a problem that is neither a traceback nor in another column."""
    known = ("traceback:", "again: ", "hung:", "neither old nor new", "the target is gone")
    return sum(any(not problem.startswith(known) for problem in case.problems) for case in cases)
