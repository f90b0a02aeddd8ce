"""The lines of the table: what the runs of a row came to, and what that is beside other lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compress.recipe.deploy import Deployment
from compress.recipe.node import references, substitute
from compress.recipe.plan import EACH, Run
from compress.recipe.spec import SEED, Recipe, RowSpec
from compress.recipe.statistics import Estimate, gain, mean, retention
from device_bench.plan import Subject
from device_bench.records import Measurement
from device_bench.series import latency
from device_bench.stats import Interval, paired_ratio
from edgepress.artifact import read_manifest
from edgepress.tasks import TASKS

PERCENT = 100


@dataclass(frozen=True)
class Line:
    """One line of the table: a row, at one value of each of its axes, over all seeds."""

    row: RowSpec
    each: dict[str, Any]
    """Axis -> value, without the seed."""
    runs: dict[Any, Run]
    """Seed -> run; None where there are no seeds."""
    scores: dict[Any, float]
    """Seed -> score, 0..1; empty where nothing could be scored."""
    metric: str
    task: str
    trained_scores: dict[Any, float]
    """Seed -> score that the last step itself gave, before the file was written; what figures of steps are
    compared with, so that like stands beside like."""
    configs: tuple[dict[str, Any], ...]
    """Of the last step, one a seed."""
    seconds: tuple[float, ...]
    """What the last step took, one a seed."""
    metrics: dict[str, Any]
    """What the last step says of itself, of the first seed."""
    subject: Subject | None = None
    """The first seed's file; None for a figure of a step."""
    measurement: Measurement | None = None

    @property
    def title(self) -> str:
        """What the table calls it."""
        told = references(self.row.title, EACH)
        rest = ", ".join(str(value) for axis, value in self.each.items() if axis not in told)
        text = substitute(self.row.title, EACH, lambda axis: self.each.get(axis, ""))
        return f"{text} ({rest})" if rest else str(text)

    def published(self, figure: str) -> float | None:
        """What a paper has for it."""
        value = self.row.published.get(figure)
        if isinstance(value, dict):
            return next((value[str(own)] for own in self.each.values() if str(own) in value), None)
        return value


@dataclass(frozen=True)
class Result:
    """All lines."""

    recipe: Recipe
    lines: tuple[Line, ...]
    note: str = ""
    """Why there are fewer than the recipe has."""

    def of_row(self, name: str) -> list[Line]:
        """The lines of one row."""
        return [line for line in self.lines if line.row.name == name]

    def beside(self, line: Line, row: str) -> Line | None:
        """The line of another row with the same values on the axes that both have."""
        shared = (
            other
            for other in self.of_row(row)
            if all(line.each[axis] == value for axis, value in other.each.items() if axis in line.each)
        )
        return next(shared, None)

    def figure(self, name: str, line: Line, over: str | None = None) -> Estimate | None:
        """One figure of a line, beside the row `over` where it compares; None where it was not measured."""
        if name in OWN:
            return OWN[name](line)
        default = line.row.over if name == "gain" else None
        other = self.beside(line, over or default or self.recipe.reference)
        return None if other is None or other is line else COMPARED[name](line, other)


def collect(recipe: Recipe, runs: Sequence[Run], deployment: Deployment) -> Iterator[Line]:
    """The lines of all rows whose runs are done, in the order of the rows."""
    for row in recipe.rows.values():
        own = [run for run in runs if run.step == row.step]
        done = {run.name for run in own if run.name in deployment.bench.runs}
        axes = list(dict.fromkeys(_without_seed(run) for run in own))
        for values in axes:
            group = [run for run in own if _without_seed(run) == values]
            if all(run.name in done for run in group):
                yield _line(row, group, deployment)


def _without_seed(run: Run) -> tuple[tuple[str, Any], ...]:
    return tuple((axis, value) for axis, value in run.each.items() if axis != SEED)


def _line(row: RowSpec, group: Sequence[Run], deployment: Deployment) -> Line:
    """One line of runs that differ in their seed only."""
    by_seed = {run.each.get(SEED): run for run in group}
    configs = tuple(read_manifest(run.output).steps[-1].config for run in group)
    line = Line(row, dict(_without_seed(group[0])), by_seed, {}, "", "", {}, configs, (), {})
    return _of_figures(line) if row.path else _of_files(line, deployment)


def _of_files(line: Line, deployment: Deployment) -> Line:
    subjects = {seed: deployment.subject(line.row, run) for seed, run in line.runs.items()}
    scores = {seed: subject.known.get("score") for seed, subject in subjects.items()}
    first = next(iter(subjects.values()))
    steps = {seed: read_manifest(run.output).steps[-1] for seed, run in line.runs.items()}
    metric = str(first.known.get("metric", ""))
    trained = {seed: step.metrics.get(metric) for seed, step in steps.items()}
    return replace(
        line,
        scores={seed: score for seed, score in scores.items() if score is not None},
        metric=metric,
        trained_scores={seed: score for seed, score in trained.items() if score is not None},
        task=str(first.known.get("task", "")),
        seconds=tuple(step.seconds for step in steps.values()),
        metrics=next(iter(steps.values())).metrics,
        subject=replace(first, name=line.title),
    )


def _of_figures(line: Line) -> Line:
    """The figures that stand in the manifests, at the row's path."""
    found = {}
    for seed, run in line.runs.items():
        manifest = read_manifest(run.output)
        value: Any = manifest.steps[-1].metrics
        for depth, key in enumerate(line.row.path):
            if not isinstance(value, dict) or key not in value:
                place = line.row.node.at("of", key)
                known = value if isinstance(value, dict) else ()
                raise place.unknown(f"figure of {'.'.join((run.name, *line.row.path[:depth]))}", key, known)
            value = value[key]
        found[seed] = value if isinstance(value, dict) else {"": value}
    task = manifest.task or ""
    metric = TASKS[task].metric if task in TASKS else _metric(found.values())
    first = next(iter(found.values()))
    scores = {seed: float(_score(line, own, metric)) for seed, own in found.items()}
    return replace(
        line,
        scores=scores,
        trained_scores=scores,
        metric=metric,
        task=task,
        seconds=tuple(own["seconds"] for own in found.values() if own.get("seconds") is not None),
        metrics=first,
    )


def _metric(found: Iterable[dict[str, Any]]) -> str:
    """The first number that is no time: a task that is a folder says its metric nowhere else."""
    numbers = (k for own in found for k, v in own.items() if isinstance(v, int | float) and k != "seconds")
    return next(numbers, "")


def _score(line: Line, own: dict[str, Any], metric: str) -> Any:
    for key in (metric, ""):
        if isinstance(own.get(key), int | float):
            return own[key]
    raise line.row.node.at("of", "").error(f"{line.row.step}.{'.'.join(line.row.path)} has no {metric}")


def _exact(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(value)


def _from(interval: Interval) -> Estimate:
    return Estimate(interval.value, interval.low, interval.high)


def _latency(line: Line) -> Estimate | None:
    return _from(latency(line.measurement)) if line.measurement else None


def _above_published(line: Line) -> Estimate | None:
    published = line.published("score")
    if published is None or not line.scores:
        return None
    return mean([PERCENT * (score - published) for score in line.scores.values()])


def _retention(line: Line, other: Line) -> Estimate | None:
    ours, theirs = _alike(line, other)
    return retention(ours, theirs) if ours and theirs else None


def _alike(line: Line, other: Line) -> tuple[dict[Any, float], dict[Any, float]]:
    """The two lines' scores of the same kind: of files, or where one has none, as the steps gave them."""
    if line.row.path or other.row.path:
        return line.trained_scores, other.trained_scores
    return line.scores, other.scores


def _gain(line: Line, other: Line) -> Estimate | None:
    ours, theirs = _alike(line, other)
    return gain(ours, theirs).scaled(PERCENT) if ours and theirs else None


def _speed_up(line: Line, other: Line) -> Estimate | None:
    if line.measurement is None or other.measurement is None:
        return None
    return _from(paired_ratio(other.measurement.launches_ms, line.measurement.launches_ms))


def _size_ratio(line: Line, other: Line) -> Estimate | None:
    if line.subject is None or other.subject is None:
        return None
    return Estimate(other.subject.known["size_bytes"] / line.subject.known["size_bytes"])


def _time_ratio(line: Line, other: Line) -> Estimate | None:
    if not line.seconds or not other.seconds:
        return None
    return Estimate(mean(line.seconds).value / mean(other.seconds).value)


# Figures of a line alone: score 0..1, size [MB], latency [ms], training [s]; points of the metric.
OWN: dict[str, Callable[[Line], Estimate | None]] = {
    "score": lambda line: mean(list(line.scores.values())) if line.scores else None,
    "parameters": lambda line: _exact(line.subject.known.get("parameters") if line.subject else None),
    "size_mb": lambda line: _exact(line.subject.known["size_bytes"] / 1e6 if line.subject else None),
    "latency_ms": _latency,
    "seconds": lambda line: mean(line.seconds) if line.seconds else None,
    "above_published": _above_published,
}
# Figures beside another line: retention as a share, gain [points], the rest as ratios, larger is better but
# for time_ratio, the share of the other's training time.
COMPARED: dict[str, Callable[[Line, Line], Estimate | None]] = {
    "retention": _retention,
    "gain": _gain,
    "speed_up": _speed_up,
    "size_ratio": _size_ratio,
    "time_ratio": _time_ratio,
}
FIGURES = (*OWN, *COMPARED)
