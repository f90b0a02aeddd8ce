"""Writer of a recipe's results: table, rows, raw measurements and pictures, all at once into one folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.recipe.results import table
from compress.recipe.results.expectations import ExpectationVerdict
from compress.recipe.results.lines import Estimate, RecipeResult, task_of
from compress.recipe.results.table import machine
from compress.training.pictures import Trained
from compress.training.pictures import pictures as pictures_of_training
from device_bench import records
from device_bench.charts.draw import Chart, charts
from device_bench.charts.draw import write as draw
from device_bench.charts.png import SMALLEST
from device_bench.charts.theme import THEMES
from device_bench.grouping import sections
from device_bench.records import Measurement
from edgepress.core.errors import EdgepressError
from edgepress.core.files import staged_folder, to_json
from edgepress.core.tasks import Task
from edgepress.core.tasks.kinds import kind_of

ROWS, MEASUREMENTS, PAGE, SUMMARY = "rows.jsonl", "measurements.jsonl.xz", "README.md", "recipe.json"
THEME = THEMES["light"]


def pictures(result: RecipeResult) -> list[Chart]:
    """Pictures that the recipe names and that there are data for."""
    found = {chart.name: chart for chart in (*_trade_offs(result), *_training(result))}
    return [found[name] for name in result.recipe.pictures if name in found]


def _trade_offs(result: RecipeResult) -> list[Chart]:
    """device_bench's charts of the files, each with its mean score over the seeds."""
    scored = [(line.measurement, result.figure("score", line)) for line in result.lines if line.measurement]
    found = [_with_score(record, score) for record, score in scored]
    return charts(sections(found)) if found else []


def _with_score(record: Measurement, score: Estimate | None) -> Measurement:
    if score is None:
        return replace(record, score=None, score_interval=None, outcomes="")
    interval = None if score.low is None or score.high is None else (score.low, score.high)
    # A mean over seeds has no outcome of a text.
    own = record.outcomes if score.value == record.score else ""
    return replace(record, score=score.value, score_interval=interval, outcomes=own)


def _training(result: RecipeResult) -> list[Chart]:
    lines = result.distinct
    seeds = max((len(line.runs) for line in lines), default=1)
    note = f"seed {next(iter(lines[-1].runs))} of {seeds}" if seeds > 1 else ""
    asked = [(line, task_of(line)) for line in lines]
    trained = [
        Trained(line.title, line.metric, line.noted, classes_of(task), line.task) for line, task in asked
    ]
    return pictures_of_training(trained, note)


def classes_of(task: Task | None) -> tuple[str, ...]:
    """Return the class names of a task's confusion matrices; none without a task."""
    return kind_of(task.problem_type).classes(task.labels) if task else ()


@dataclass(frozen=True)
class Story:
    """Command and durations behind a result."""

    command: str
    quick: bool
    seconds: float
    """Seconds of this command, without steps that were done before."""
    step_seconds: dict[str, float]
    """Run -> its duration when it was run [s]."""


def check_folder(folder: Path) -> None:
    """Raise if something else lies where the results are to be written.

    Raises:
        EdgepressError: it is a file, or a folder with anything but a recipe's results.
    """
    if folder.is_file():
        raise EdgepressError(f"{folder} is a file", "name another --results")
    if folder.is_dir() and os.listdir(folder) and not (folder / SUMMARY).exists():
        raise EdgepressError(
            f"{folder} holds something else than a recipe's results", "name another --results"
        )


def write(result: RecipeResult, verdicts: Sequence[ExpectationVerdict], story: Story, folder: Path) -> None:
    """Write everything; what was there before is replaced."""
    check_folder(folder)
    drawn = pictures(result)
    with staged_folder(folder, overwrite=True) as stage:
        lines = [to_json({**row, "quick": story.quick}) for row in table.records(result)]
        (stage / ROWS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        if measured := [line.measurement for line in result.lines if line.measurement]:
            records.write(stage / MEASUREMENTS, measured)
        summary = to_json(_summary(result, verdicts, story), indent=2)
        (stage / SUMMARY).write_text(summary + "\n", encoding="utf-8")
        names = [f"{chart.name}-{THEME.name}.png" for chart in drawn]
        (stage / PAGE).write_text(_page(result, verdicts, story, names), encoding="utf-8")
        draw(drawn, [THEME], ["png"], stage, SMALLEST)


def _summary(result: RecipeResult, verdicts: Sequence[ExpectationVerdict], story: Story) -> dict[str, Any]:
    return {
        "recipe": result.recipe.name,
        "title": result.recipe.title,
        "command": story.command,
        "quick": story.quick,
        "settings": result.recipe.settings,
        "seconds": round(story.seconds, 1),
        "step_seconds": {name: round(seconds, 1) for name, seconds in story.step_seconds.items()},
        "expectations": [verdict.to_dict() for verdict in verdicts],
        "note": result.note,
        "environment": machine(),
    }


def _page(
    result: RecipeResult, verdicts: Sequence[ExpectationVerdict], story: Story, images: Sequence[str]
) -> str:
    recipe = result.recipe
    parts = [f"# {recipe.title}", f"After {recipe.source}." if recipe.source else "", recipe.about]
    parts += [f"```\n{story.command}\n```"]
    if story.quick:
        parts.append("> A quick run: it shows that the recipe runs. Its figures mean nothing.")
    parts += [f"> {result.note}" if result.note else "", table.markdown(result), table.caption(result)]
    parts += [table.verdict_markdown(verdicts) if verdicts else ""]
    parts += [table.all_scores(result), table.by_epoch(result), table.texts(result)]
    parts += [f"![{image.rpartition('-')[0]}]({image})" for image in images]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"
