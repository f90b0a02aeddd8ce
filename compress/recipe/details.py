"""What the page tells besides the table: training by epoch, and all scores that the steps gave."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from statistics import fmean
from typing import Any

from compress.recipe.lines import PERCENT, RecipeResult, TableLine
from compress.recipe.listing import task_of
from compress.training.samples import markdown
from device_bench.summary import MISSING
from edgepress.core.metrics import METRICS
from edgepress.core.tables import markdown_table

Entry = Mapping[str, Any]
SAMPLES = "samples"
EPOCH_HEADINGS = ("", "epoch", "training loss", "evaluation loss", "score", "training [s]", "evaluation [s]")
# An epoch's end in floating point.
TOLERANCE = 1e-6


def by_epoch(result: RecipeResult) -> str:
    """Markdown: how each training went, epoch by epoch; of several seeds the first."""
    rows = [(line.title, *row) for line in result.trained for row in _epochs(line)]
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
    """Each entry with `steps`, how many its loss is the mean of."""
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
    rows = [(_title(line, place), scores) for line, place, scores in _scored(result)]
    names = [name for name in METRICS if any(name in scores for _, scores in rows)]
    cells = [(title, *(_percent(scores.get(name)) for name in names)) for title, scores in rows]
    return _section("All scores", ("", *names), cells) if len(names) > 1 else ""


def _scored(result: RecipeResult) -> Iterator[tuple[TableLine, str, dict[str, float]]]:
    for line in result.distinct:
        yield from ((line, place, scores) for place, scores in step_scores(line).items() if scores)


def _title(line: TableLine, place: str) -> str:
    return f"{line.title}, thresholds: {place}" if place else line.title


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
    shared = [name for name in METRICS if known and all(own.get(name) is not None for own in known)]
    return {name: fmean(own[name] for own in known) for name in shared}


def texts(result: RecipeResult) -> str:
    """Markdown: some texts with what the last student that was distilled says, and its teacher."""
    told = [line for line in result.lines if line.noted.get(SAMPLES)]
    if not told or SAMPLES not in result.recipe.pictures:
        return ""
    line = told[-1]
    task = task_of(line)
    assert task is not None, "a student that was distilled has one"
    return f"## Some texts: {line.title}\n\n{markdown(task, line.noted[SAMPLES])}"


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"## {title}\n\n{markdown_table(head, rows)}"


def _percent(value: float | None) -> str:
    return MISSING if value is None else f"{PERCENT * value:.2f} %"


def _number(value: float | None, form: str) -> str:
    return MISSING if value is None else format(value, form)
