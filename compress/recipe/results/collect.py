"""Collect lines from runs: what the runs of each row came to, alone or averaged over an axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from compress.recipe.results.lines import TableLine
from compress.recipe.run.deploy import PREDICTIONS, Deployment
from compress.recipe.run.plan import Run
from compress.recipe.schema.spec import SEED, Recipe, RowSpec
from edgepress.core.artifact import read_manifest
from edgepress.core.tasks import TASKS

AVERAGED = "score"
"""What a mean over several metrics is called."""


def collect(recipe: Recipe, runs: Sequence[Run], deployment: Deployment) -> Iterator[TableLine]:
    """The lines of all rows whose runs are done, in the order of the rows."""
    for row in recipe.rows.values():
        own = [run for run in runs if run.step == row.step and row.takes(run.each)]
        lines = list(_lines(row, own, deployment))
        if row.average is None:
            yield from lines
        else:
            yield from _averages(lines, row.average, len({run.each[row.average] for run in own}))


def _lines(row: RowSpec, own: Sequence[Run], deployment: Deployment) -> Iterator[TableLine]:
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in own:
        groups.setdefault(tuple(row.shown(run.each).items()), []).append(run)
    for group in groups.values():
        if all(run.name in deployment.bench.runs for run in group):
            yield _line(row, group, deployment)


def _line(row: RowSpec, group: Sequence[Run], deployment: Deployment) -> TableLine:
    """Build one line from runs that differ in their seed only."""
    by_seed = {run.each.get(SEED): run for run in group}
    configs = tuple(_without_folders(read_manifest(run.output).steps[-1].config) for run in group)
    line = TableLine(row, row.shown(group[0].each), by_seed, {}, "", "", {}, configs, ())
    return _of_files(line, deployment) if row.deployed else _of_figures(line)


def _without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """What a step was told, with the names of models and data, wherever they lie on this machine."""
    return {
        name: [_without_folder(own) for own in value] if isinstance(value, list) else _without_folder(value)
        for name, value in config.items()
    }


def _without_folder(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _of_files(line: TableLine, deployment: Deployment) -> TableLine:
    targets = {seed: deployment.target(line.row, run) for seed, run in line.runs.items()}
    scores = {seed: target.known.get("score") for seed, target in targets.items()}
    predictions = {seed: target.known.get(PREDICTIONS) for seed, target in targets.items()}
    first = next(iter(targets.values()))
    known = {name: value for name, value in first.known.items() if name != PREDICTIONS}
    steps = {seed: read_manifest(run.output).steps[-1] for seed, run in line.runs.items()}
    metric = str(first.known.get("metric", ""))
    trained = {seed: step.metrics.get(metric) for seed, step in steps.items()}
    return replace(
        line,
        scores={seed: score for seed, score in scores.items() if score is not None},
        predictions={seed: path for seed, path in predictions.items() if path is not None},
        metric=metric,
        trained_scores={seed: score for seed, score in trained.items() if score is not None},
        task=str(first.known.get("task", "")),
        seconds=tuple(step.seconds for step in steps.values()),
        facts=tuple(step.metrics for step in steps.values()),
        target=replace(first, name=line.title, known=known),
    )


def _of_figures(line: TableLine) -> TableLine:
    """The figures that stand in the manifests, at the row's path."""
    found = {}
    for seed, run in line.runs.items():
        manifest = read_manifest(run.output)
        step = manifest.steps[-1]
        value: Any = {**step.metrics, "seconds": step.seconds}
        for depth, key in enumerate(line.row.path):
            if not isinstance(value, dict) or key not in value:
                place = line.row.node.at("of", key)
                known = value if isinstance(value, dict) else ()
                raise place.unknown(f"figure of {'.'.join((run.name, *line.row.path[:depth]))}", key, known)
            value = value[key]
        found[seed] = value if isinstance(value, dict) else {"": value}
    task = manifest.task or ""
    recorded = manifest.data["metric"] if manifest.data else ""
    metric = _metric(task, recorded, line.row.path, found.values())
    scores = {seed: float(_score(line, own, metric)) for seed, own in found.items()}
    return replace(
        line,
        scores=scores,
        trained_scores=scores,
        metric=metric,
        task=task,
        seconds=tuple(own["seconds"] for own in found.values() if own.get("seconds") is not None),
        facts=tuple(found.values()),
    )


def _metric(task: str, recorded: str, path: Sequence[str], found: Iterable[dict[str, Any]]) -> str:
    """The figure's own name, the metric that the manifest records, or the task's; else the first number that
    is no time.
    """
    if any("" in own for own in found):
        return path[-1]
    if recorded or task in TASKS:
        return recorded or TASKS[task].metric
    numbers = (k for own in found for k, v in own.items() if isinstance(v, int | float) and k != "seconds")
    return next(numbers, "")


def _score(line: TableLine, own: dict[str, Any], metric: str) -> Any:
    for key in (metric, ""):
        if isinstance(own.get(key), int | float):
            return own[key]
    raise line.row.node.at("of", "").error(f"{line.row.step}.{'.'.join(line.row.path)} has no {metric}")


def _averages(lines: Sequence[TableLine], axis: str, count: int) -> Iterator[TableLine]:
    """Build one line for each combination of the other axes for which all `count` values are there."""
    groups: dict[tuple[Any, ...], list[TableLine]] = {}
    for line in lines:
        rest = tuple((name, value) for name, value in line.each.items() if name != axis)
        groups.setdefault(rest, []).append(line)
    yield from (_average(group, dict(rest)) for rest, group in groups.items() if len(group) == count)


def _average(lines: Sequence[TableLine], each: dict[str, Any]) -> TableLine:
    """Scores and times averaged seed by seed; the file, its size and its latency are those of the first."""
    line = replace(
        lines[0],
        each=each,
        scores=_by_seed([line.scores for line in lines]),
        trained_scores=_by_seed([line.trained_scores for line in lines]),
        predictions={},
        metric=AVERAGED,
        task="",
        seconds=tuple(map(fmean, zip(*(line.seconds for line in lines), strict=False))),
        facts=(),
    )
    return replace(line, target=line.target and replace(line.target, name=line.title))


def _by_seed(scores: Sequence[dict[Any, float]]) -> dict[Any, float]:
    """Seed -> the mean of several scores, of the seeds that all have."""
    return {
        seed: fmean(own[seed] for own in scores) for seed in scores[0] if all(seed in own for own in scores)
    }
