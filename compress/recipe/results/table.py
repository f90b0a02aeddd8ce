"""The table of a recipe: on the screen, as Markdown, as JSON lines; and what the page tells besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from math import ceil
from statistics import fmean
from typing import Any

from compress.recipe.results.expectations import ExpectationVerdict
from compress.recipe.results.lines import PERCENT, Estimate, RecipeResult, TableLine, task_of
from compress.training.machine import gpu_name
from compress.training.mistakes import sample_table
from device_bench.summary import MISSING
from device_bench.waiting import busy_machine
from edgepress.core.environment import environment
from edgepress.core.metrics import NAMES
from edgepress.core.tables import ScreenTable, markdown_table

Entry = Mapping[str, Any]
SAMPLES = "samples"
EPOCH_HEADINGS = ("", "epoch", "training loss", "evaluation loss", "score", "training [s]", "evaluation [s]")
# An epoch's end in floating point.
TOLERANCE = 1e-6
NumberForm = Callable[[float], str]
FORMS: dict[str, NumberForm] = {
    "parameters": lambda value: f"{value / 1e6:.2f} M",
    "size_mb": lambda value: f"{value:.3g}",
    "latency_ms": lambda value: f"{value:.2f}",
    "speed_up": lambda value: f"{value:.2f}x",
    "size_ratio": lambda value: f"{value:.2f}x",
    "time_ratio": lambda value: f"{value:.2f} of the time",
    "score": lambda value: f"{PERCENT * value:.2f} %",
    "retention": lambda value: f"{PERCENT * value:.1f} %",
    "gain": lambda value: f"{value:+.2f}",
    "above_published": lambda value: f"{value:+.2f}",
    "seconds": lambda value: f"{value:.0f}",
}


def machine() -> dict[str, Any]:
    """Describe this machine, including the GPU that it trains on."""
    gpu = gpu_name()
    return {**environment().to_dict(), **({"gpu": gpu} if gpu else {})}


def headings(result: RecipeResult) -> list[str]:
    """Column headings of the table."""
    metrics = {line.metric for line in result.lines if line.metric}
    length = result.recipe.measure.sequence_length
    metric = metrics.pop() if len(metrics) == 1 else "score"
    latency = f"ms at {length}"
    return [
        "",
        "params",
        "MB",
        latency,
        "faster",
        metric,
        "kept",
        "gain [points]",
        "last step [s]",
        "published",
    ]


def cells(result: RecipeResult, line: TableLine) -> list[str]:
    """A line's cells; an interval stands below its value."""

    def cell(figure: str, wanted: bool = True) -> str:
        found = result.figure(figure, line) if wanted else None
        return MISSING if found is None else _estimate(found, FORMS[figure])

    # Beside a published share of the time stands ours.
    shares = [cell("time_ratio")] if "time_ratio" in line.row.published else []
    return [
        line.title,
        cell("parameters"),
        cell("size_mb"),
        _bare(cell("latency_ms")),
        cell("speed_up"),
        cell("score"),
        _bare(cell("retention")),
        cell("gain", line.row.over is not None),
        "\n".join([_bare(cell("seconds")), *shares]),
        published(line),
    ]


def _estimate(found: Estimate, form: NumberForm) -> str:
    if found.low is None or found.high is None:
        return form(found.value)
    return f"{form(found.value)}\n[{_plain(form, found.low)}, {_plain(form, found.high)}]"


def _plain(form: NumberForm, value: float) -> str:
    """Format an end of an interval, without its unit."""
    return form(value).rstrip(" %xM")


def _bare(cell: str) -> str:
    return cell.partition("\n")[0]


def published(line: TableLine) -> str:
    """The published figures beside a line."""
    found = ((name, line.published(name)) for name in line.row.published)
    return ", ".join(FORMS[name](value) for name, value in found if value is not None) or MISSING


def screen(result: RecipeResult) -> ScreenTable:
    """Build the table for the screen."""
    rows = [cells(result, line) for line in result.lines]
    heads = headings(result)
    if all(row[-1] == MISSING for row in rows):  # nobody published any
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    return ScreenTable(result.recipe.title, heads, rows, caption=caption(result))


def markdown(result: RecipeResult) -> str:
    """The same table for a page."""
    return screen(result).markdown()


def caption(result: RecipeResult) -> str:
    """Return the lines below the table: meaning of the columns, conditions of the timing, CPU or GPU."""
    lines = result.lines
    firsts = dict.fromkeys(result.reference(line) for line in lines)
    first = " and ".join(_row_title(result, row) for row in firsts)
    seeds = max((len(line.runs) for line in lines), default=1)
    over = f"; score, gain: mean over {seeds} seeds [95 % interval, Student's t]" if seeds > 1 else ""
    if any(len(line.runs) == 1 and line.predictions for line in lines):
        over += f"; score, gain{' of one seed' if seeds > 1 else ''}: [95 % interval over the texts]"
    gains = dict.fromkeys(line.row.over for line in lines if line.row.over)
    gained = f"; gain over {' and '.join(_row_title(result, row) for row in gains)}" if gains else ""
    timed = next((line.measurement for line in lines if line.measurement), None)
    how = f"batch 1, {timed.threads} thread{'s' * (timed.threads > 1)}, interleaved" if timed else "not timed"
    busy = busy_machine(line.measurement for line in lines if line.measurement)
    return (
        f"faster [95 % interval] and kept: against {first}; ms: median, {how}{over}{gained}\n"
        f"{environment().cpu if timed else machine().get('gpu', environment().cpu)}"
        + (f"\n{busy}" if busy else "")
    )


def _row_title(result: RecipeResult, name: str) -> str:
    """The title of a row that has one line, the name of one that has several."""
    found = result.of_row(name)
    return found[0].title if len(found) == 1 else name


def verdict_lines(verdicts: Sequence[ExpectationVerdict]) -> list[list[str]]:
    """Expectation, what was measured, verdict."""
    return [
        [
            verdict.expectation.text,
            ", ".join(MISSING if value is None else f"{value:.4g}" for value in verdict.measured) or MISSING,
            "holds" if verdict.holds else "FAILS",
        ]
        for verdict in verdicts
    ]


def verdict_screen(verdicts: Sequence[ExpectationVerdict]) -> ScreenTable:
    """Build the table of expectations."""
    return ScreenTable("expectations", ("expected", "measured", ""), verdict_lines(verdicts), words=(0, 1, 2))


def verdict_markdown(verdicts: Sequence[ExpectationVerdict]) -> str:
    """The same for a page."""
    return markdown_table(("expected", "measured", "verdict"), verdict_lines(verdicts))


def records(result: RecipeResult) -> Iterator[dict[str, Any]]:
    """Yield a JSON object for each line of the table, with all that is known about it."""
    for line in result.lines:
        known = line.target.known if line.target else {}
        figures = {name: result.figure(name, line) for name in FORMS}
        yield {
            "recipe": result.recipe.name,
            "row": line.row.name,
            "title": line.title,
            "each": line.each,
            "task": line.task,
            "metric": line.metric,
            "seeds": list(line.runs),
            "scores": list(line.scores.values()),
            "trained_scores": list(line.trained_scores.values()),
            "step_scores": step_scores(line),
            **{name: found and asdict(found) for name, found in figures.items()},
            "gain_over": line.row.over,
            "average": line.row.average,
            "file": line.target.path.name if line.target else None,
            "size_bytes": line.measurement.size_bytes if line.measurement else None,
            "scored_rows": known.get("scored_rows"),
            "seconds_by_seed": list(line.seconds),
            "history": line.history,
            "published": {name: line.published(name) for name in line.row.published},
            "runs": [run.name for run in line.runs.values()],
            "verb": next(iter(line.runs.values())).verb.name,
            "config": [_config(config, result) for config in line.configs],
            "environment": machine(),
        }


def _config(flags: dict[str, Any], result: RecipeResult) -> dict[str, Any]:
    """A step's config with the names of runs in place of this machine's folders."""
    runs = {str(run.output): run.name for line in result.lines for run in line.runs.values()}
    return {flag: runs.get(str(value), value) for flag, value in flags.items()}


def by_epoch(result: RecipeResult) -> str:
    """Markdown: how each training went, epoch by epoch; of several seeds the first."""
    rows = [(line.title, *row) for line in result.distinct for row in _epochs(line)]
    return _section("By epoch", EPOCH_HEADINGS, rows) if rows else ""


def _epochs(line: TableLine) -> Iterator[tuple[str, ...]]:
    groups: dict[int, list[Entry]] = {}
    for entry in _with_steps(line.history):
        groups.setdefault(max(1, ceil(entry["epoch"] - TOLERANCE)), []).append(entry)
    seconds: float | None = 0.0
    for group in groups.values():
        end, began = group[-1], seconds
        seconds = end.get("seconds")
        yield (
            f"{end['epoch']:.3g}",
            _number(_loss(group), ".4f"),
            _number(end.get("eval_loss"), ".4f"),
            _percent(end.get(line.metric)),
            _number(None if seconds is None or began is None else seconds - began, ".1f"),
            _number(end.get("eval_seconds"), ".1f"),
        )


def _with_steps(history: Sequence[Entry]) -> Iterator[Entry]:
    """Add to each entry `steps`: the number that its loss is the mean of."""
    before = 0
    for entry in history:
        yield {**entry, "steps": entry["step"] - before}
        before = entry["step"]


def _loss(group: Sequence[Entry]) -> float | None:
    """The mean over the steps of an epoch."""
    known = [(entry["loss"], entry["steps"]) for entry in group if "loss" in entry]
    steps = sum(count for _, count in known)
    return sum(loss * count for loss, count in known) / steps if steps else None


def all_scores(result: RecipeResult) -> str:
    """Markdown: every score that the last steps gave, means over the seeds; nothing of a single metric."""
    rows = [
        (f"{line.title}, thresholds: {place}" if place else line.title, scores)
        for line in result.distinct
        for place, scores in step_scores(line).items()
        if scores
    ]
    names = [name for name in NAMES if any(name in scores for _, scores in rows)]
    cells = [(title, *(_percent(scores.get(name)) for name in names)) for title, scores in rows]
    return _section("All scores", ("", *names), cells) if len(names) > 1 else ""


def step_scores(line: TableLine) -> dict[str, dict[str, float]]:
    """Every score that the last step gave, its mean over the seeds.

    Returns:
        where thresholds were chosen -> metric -> 0..1; under no name those that the model decides with.
    """
    chosen = [facts.get("thresholds", {}) for facts in line.facts]
    places = chosen[0] if chosen else ()
    return {"": _means(line.facts), **{place: _means(own[place] for own in chosen) for place in places}}


def _means(facts: Iterable[Entry]) -> dict[str, float]:
    """Metric -> mean over the seeds."""
    known = list(facts)
    shared = [name for name in NAMES if known and all(own.get(name) is not None for own in known)]
    return {name: fmean(own[name] for own in known) for name in shared}


def texts(result: RecipeResult) -> str:
    """Markdown: some texts with what the last student that was distilled says, and its teacher."""
    told = [line for line in result.lines if line.noted.get(SAMPLES)]
    if not told or SAMPLES not in result.recipe.pictures:
        return ""
    line = told[-1]
    task = task_of(line)
    assert task is not None, "a student that was distilled has one"
    return f"## Some texts: {line.title}\n\n{sample_table(task, line.noted[SAMPLES])}"


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"## {title}\n\n{markdown_table(head, rows)}"


def _percent(value: float | None) -> str:
    return MISSING if value is None else f"{PERCENT * value:.2f} %"


def _number(value: float | None, form: str) -> str:
    return MISSING if value is None else format(value, form)
