"""The lines of the table: what the runs of a row came to, and what that is beside other lines."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from compress.recipe.run.plan import EACH, Run
from compress.recipe.schema.located import references, substitute
from compress.recipe.schema.spec import Recipe, RowSpec
from device_bench.grouping import latency
from device_bench.plan import Target
from device_bench.records import Measurement
from device_bench.stats import Interval, paired_ratio
from edgepress.core.artifact import is_artifact, read_manifest
from edgepress.core.heads import TOKEN_CLASSIFIER
from edgepress.core.intervals import Bounds, bounds_of, paired_bounds
from edgepress.core.squad import restored
from edgepress.core.tasks import TASKS, Task
from edgepress.core.tasks.task import SINGLE, TAGS

CONFIDENCE = 0.95
PERCENT = 100


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % confidence interval, if there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    def scaled(self, factor: float) -> Estimate:
        """Convert to another unit."""
        low, high = (None if end is None else factor * end for end in (self.low, self.high))
        return Estimate(factor * self.value, low, high)


def mean(values: Sequence[float]) -> Estimate:
    """The mean and its interval by Student's t; of one value no interval.

    The interval is mean ± t(0.975, n - 1) · s / √n with the sample standard deviation s.
    """
    middle = float(np.mean(values))
    if len(values) == 1:
        return Estimate(middle)
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / sqrt(len(values)))
    return Estimate(middle, middle - half, middle + half)


Scores = Mapping[Hashable, float]
"""Seed -> score; None -> score where there are no seeds."""


def gain(ours: Scores, theirs: Scores) -> Estimate:
    """Return the mean of the differences `ours` - `theirs`, seed by seed.

    Where `theirs` is one value, it is subtracted from each of `ours`, and the interval is that of our seeds.
    Where the seeds differ, there is nothing to pair, and no interval.
    """
    return _compared(operator.sub, ours, theirs)


def retention(ours: Scores, theirs: Scores) -> Estimate | None:
    """Ours as a share of theirs, paired as `gain`; None where theirs is not above 0 (a correlation)."""
    return None if min(theirs.values()) <= 0 else _compared(operator.truediv, ours, theirs)


def _compared(how: Callable[[float, float], float], ours: Scores, theirs: Scores) -> Estimate:
    if len(theirs) == 1:
        pairs = [(score, next(iter(theirs.values()))) for score in ours.values()]
    elif set(ours) == set(theirs):
        pairs = [(score, theirs[seed]) for seed, score in ours.items()]
    else:
        means = (float(np.mean(list(scores.values()))) for scores in (ours, theirs))
        return Estimate(how(*means))
    return mean([how(our, their) for our, their in pairs])


@dataclass(frozen=True)
class TableLine:
    """A line of the table: a row at one value of each of its axes, over all seeds."""

    row: RowSpec
    each: dict[str, Any]
    """Axis -> value, of those axes that tell the row's lines apart."""
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
    """Flags of the last step, for each seed."""
    seconds: tuple[float, ...]
    """What the last step took, one a seed."""
    facts: tuple[dict[str, Any], ...] = ()
    """What the last step noted, one a seed; empty for a mean over an axis."""
    predictions: dict[Any, Path] = field(default_factory=dict)
    """Seed -> NPZ of `predicted` and `labels` of its file; empty for what has none, and for means."""
    target: Target | None = None
    """The first seed's file; None for a figure of a step."""
    measurement: Measurement | None = None

    @property
    def noted(self) -> dict[str, Any]:
        """Figures that the last step noted for the first seed; empty where there are none."""
        return next(iter(self.facts), {})

    @property
    def history(self) -> list[dict[str, Any]]:
        """Loss and metric over the epochs, of the first seed."""
        return list(self.noted.get("history", ()))

    @property
    def title(self) -> str:
        """Name of the line in the table."""
        told = references(self.row.title, EACH)
        rest = ", ".join(str(value) for axis, value in self.each.items() if axis not in told)
        text = substitute(self.row.title, EACH, lambda axis: self.each.get(axis, ""))
        return f"{text} ({rest})" if rest else str(text)

    def published(self, figure: str) -> float | None:
        """Return the value that a paper reports for a figure of this line; None where there is none."""
        value = self.row.published.get(figure)
        if isinstance(value, dict):
            return next((value[str(own)] for own in self.each.values() if str(own) in value), None)
        return value


@dataclass(frozen=True)
class RecipeResult:
    """A recipe's whole result."""

    recipe: Recipe
    lines: tuple[TableLine, ...]
    note: str = ""
    """Why there are fewer than the recipe has."""

    @property
    def distinct(self) -> list[TableLine]:
        """Lines that belong to different steps: of two files of one step the first."""
        first: dict[tuple[Any, ...], TableLine] = {}
        for line in self.lines:
            runs = tuple(run.name for run in line.runs.values())
            first.setdefault((line.row.path, line.row.average, *runs), line)
        return [line for line in first.values() if line.facts]

    def of_row(self, name: str) -> list[TableLine]:
        """The lines of one row."""
        return [line for line in self.lines if line.row.name == name]

    def beside(self, line: TableLine, row: str) -> TableLine | None:
        """The line of another row, averaged alike, with the same values on the axes that both have."""
        shared = (
            other
            for other in self.of_row(row)
            if other.row.average == line.row.average
            and all(line.each[axis] == value for axis, value in other.each.items() if axis in line.each)
        )
        return next(shared, None)

    def reference(self, line: TableLine) -> str:
        """The row that retention, size and speed are relative to: the first of the same metric, averaged
        alike.
        """
        alike = (
            other.row.name
            for other in self.lines
            if other.row.average == line.row.average and line.metric in ("", other.metric)
        )
        return next(alike)

    def figure(self, name: str, line: TableLine, over: str | None = None) -> Estimate | None:
        """Compute a figure of a line, compared with the row `over`; None where it was not measured."""
        if name in OWN:
            return OWN[name](line)
        default = line.row.over if name == "gain" else None
        other = self.beside(line, over or default or self.reference(line))
        return None if other is None or other is line else COMPARED[name](line, other)


def _exact(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(value)


def _from(interval: Interval) -> Estimate:
    return Estimate(interval.value, interval.low, interval.high)


def _above_published(line: TableLine) -> Estimate | None:
    published = line.published("score")
    if published is None or not line.scores:
        return None
    return mean([PERCENT * (score - published) for score in line.scores.values()])


def _retention(line: TableLine, other: TableLine) -> Estimate | None:
    ours, theirs = _alike(line, other)
    return retention(ours, theirs) if ours and theirs else None


def _alike(line: TableLine, other: TableLine) -> tuple[dict[Any, float], dict[Any, float]]:
    """The two lines' scores of the same kind: of files, or where one has none, as the steps gave them."""
    if not (line.row.deployed and other.row.deployed):
        return line.trained_scores, other.trained_scores
    return line.scores, other.scores


def _score(line: TableLine) -> Estimate | None:
    if not line.scores:
        return None
    judged = _judged(line)
    found = bounds_of(line.metric, *judged) if judged else None
    return _bounded(mean(list(line.scores.values())), found)


def _gain(line: TableLine, other: TableLine) -> Estimate | None:
    ours, theirs = _alike(line, other)
    if not ours or not theirs:
        return None
    return _bounded(gain(ours, theirs), _over_texts(line, other)).scaled(PERCENT)


def _over_texts(line: TableLine, other: TableLine) -> Bounds | None:
    """How far a gain would move with other texts, where both files have read the same ones."""
    ours, theirs = _judged(line), _judged(other)
    if ours is None or theirs is None or not np.array_equal(ours[1], theirs[1]):
        return None
    return paired_bounds(line.metric, ours[0], theirs[0], ours[1])


def _judged(line: TableLine) -> tuple[np.ndarray, np.ndarray] | None:
    """What the file of a line predicts, and the labels; None where it has several seeds."""
    if len(line.runs) != 1 or not line.predictions:
        return None
    (path,) = line.predictions.values()
    with np.load(path) as content:
        return content["predicted"], restored(content["labels"])


def _bounded(value: Estimate, bounds: Bounds | None) -> Estimate:
    """A value of one seed with its interval over the texts."""
    return value if bounds is None else Estimate(value.value, bounds.low, bounds.high)


def _speed_up(line: TableLine, other: TableLine) -> Estimate | None:
    if line.measurement is None or other.measurement is None:
        return None
    return _from(paired_ratio(other.measurement.launches_ms, line.measurement.launches_ms))


def _size_ratio(line: TableLine, other: TableLine) -> Estimate | None:
    if line.measurement is None or other.measurement is None:
        return None
    return Estimate(other.measurement.size_bytes / line.measurement.size_bytes)


def _time_ratio(line: TableLine, other: TableLine) -> Estimate | None:
    if not line.seconds or not other.seconds:
        return None
    return Estimate(mean(line.seconds).value / mean(other.seconds).value)


# Figures of a line alone: score 0..1, size [MB], latency [ms], training [s]; points of the metric.
OWN: dict[str, Callable[[TableLine], Estimate | None]] = {
    "score": _score,
    "parameters": lambda line: _exact(line.target.known.get("parameters") if line.target else None),
    "size_mb": lambda line: _exact(line.measurement.size_bytes / 1e6 if line.measurement else None),
    "latency_ms": lambda line: _from(latency(line.measurement)) if line.measurement else None,
    "seconds": lambda line: mean(line.seconds) if line.seconds else None,
    "above_published": _above_published,
}
# Figures beside another line: retention as a share, gain [points], the rest as ratios, larger is better but
# for time_ratio, the share of the other's training time.
COMPARED: dict[str, Callable[[TableLine, TableLine], Estimate | None]] = {
    "retention": _retention,
    "gain": _gain,
    "speed_up": _speed_up,
    "size_ratio": _size_ratio,
    "time_ratio": _time_ratio,
}
FIGURES = (*OWN, *COMPARED)
OF_FILES = ("parameters", "size_mb", "latency_ms", "speed_up", "size_ratio")


def task_of(line: TableLine) -> Task | None:
    """The line's task: of the zoo, else what its model recorded, else its config's; None for a mean."""
    if line.task in TASKS:
        return TASKS[line.task]
    outputs = [run.output for run in line.runs.values() if line.task]
    recorded = (read_manifest(own).data for own in outputs if is_artifact(own))
    if data := next((own for own in recorded if own and own.get("problem_type")), None):
        columns, labels = tuple(data["text_columns"]), tuple(data["labels"])
        return Task(line.task, columns, labels, problem_type=data["problem_type"])
    path = next((own / "config.json" for own in outputs if (own / "config.json").is_file()), None)
    if path is None:
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    names = {int(number): name for number, name in content.get("id2label", {}).items()}
    labels = tuple(names[number] for number in sorted(names))
    of_words = str((content.get("architectures") or [""])[0]).endswith(TOKEN_CLASSIFIER.endings)
    kind: Any = content.get("problem_type") or (TAGS if of_words else SINGLE)
    return Task(line.task, ("text",), labels, problem_type=kind)
