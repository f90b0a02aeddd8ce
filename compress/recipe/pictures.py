"""The pictures of a recipe: what was traded for what, and how training went."""

from dataclasses import replace

from compress.recipe.lines import RecipeResult, TableLine
from compress.recipe.listing import task_of
from compress.training.pictures.draw import pictures as pictures_of_training
from compress.training.pictures.trained import Trained
from device_bench.charts.draw import Chart, charts
from device_bench.grouping import machines
from device_bench.records import Measurement


def pictures(result: RecipeResult) -> list[Chart]:
    """Those that the recipe names and that there is something for."""
    found = {chart.name: chart for chart in (*_trade_offs(result), *_training(result))}
    return [found[name] for name in result.recipe.pictures if name in found]


def _trade_offs(result: RecipeResult) -> list[Chart]:
    """device_bench's charts of the files, each with its mean score over the seeds."""
    records = [_with_mean(result, line, line.measurement) for line in result.lines if line.measurement]
    return charts(machines(records)) if records else []


def _with_mean(result: RecipeResult, line: TableLine, record: Measurement) -> Measurement:
    score = result.figure("score", line)
    return replace(record, score=score.value if score else None)


def _training(result: RecipeResult) -> list[Chart]:
    trained = result.distinct
    seeds = max((len(line.runs) for line in trained), default=1)
    note = f"seed {next(iter(trained[-1].runs))} of {seeds}" if seeds > 1 else ""
    return pictures_of_training([_trained(line) for line in trained], note)


def _trained(line: TableLine) -> Trained:
    task = task_of(line)
    return Trained(line.title, line.metric, line.noted, task.labels if task else (), line.task)
