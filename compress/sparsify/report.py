"""What zeros buy in each runtime, and what the command says at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from compress.compression import ModelFigures
from device_bench import stats
from device_bench.measure import Plan, Subject, measure
from device_bench.records import Measurement
from device_bench.stats import Interval
from edgepress.core import console
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import ScreenTable, markdown_table, screen_table
from export.core.format import Format
from export.core.registry import find_format

LAUNCHES = 3
DENSE, SPARSE = "before", "sparse"
HEADINGS = ("format", "MB", "MB compressed", "speed-up")
PLAINLY = (
    "A runtime multiplies by zeros as by any other number: no time is saved here. What shrinks is a "
    "compressed file. To be faster as well, cut instead: compress.prune."
)
ON_GPUS = "GPUs with sparse tensor cores multiply 2:4 matrices faster, in torch by to_sparse_semi_structured."


def timed_formats(names: Sequence[str]) -> list[Format]:
    """The formats of these names.

    Raises:
        EdgepressError: one is unknown, or needs what is not installed.
    """
    return [find_format(name) for name in names]


def write(model: PreTrainedModel, formats: Sequence[Format], folder: Path) -> None:
    """The model in each format, in a folder of its own."""
    for own in formats:
        target = folder / own.file
        target.parent.mkdir(parents=True)
        own.write(model, target, own.config(model=""))


@dataclass(frozen=True)
class Gain:
    """One format's file before and after."""

    format: str
    before: Measurement
    after: Measurement

    @property
    def speed_up(self) -> Interval:
        """How many times faster it became."""
        return stats.paired_ratio(self.before.launches_ms, self.after.launches_ms)

    @property
    def cells(self) -> tuple[str, ...]:
        """Of a table, under `HEADINGS`."""
        own = self.speed_up
        sizes = (self.before.size_bytes, self.after.size_bytes)
        packed = (self.before.compressed_bytes, self.after.compressed_bytes)
        texts = (" -> ".join(f"{size / 1e6:.1f}" for size in pair) for pair in (sizes, packed))
        return (self.format, *texts, f"{own.value:.2f}x [{own.low:.2f}, {own.high:.2f}]")


def measure_gains(
    formats: Sequence[Format], folder: Path, length: int, vocabulary: int, budget_s: float
) -> list[Gain]:
    """Time all files in turn; each format's two files lie in `folder` below DENSE and SPARSE."""
    if not formats:
        return []
    paths = [folder / name / own.file for own in formats for name in (DENSE, SPARSE)]
    subjects = [Subject(f"{path.parent.parent.name}/{path.name}", path) for path in paths]
    plan = Plan((length,), launches=LAUNCHES, vocabulary=vocabulary, budget_s=budget_s)
    with console.progress() as progress:
        task = progress.add_task("timing, interleaved", total=1.0)
        found = measure(subjects, plan, lambda share: progress.update(task, completed=share))
    return [Gain(own.title, *found[2 * n : 2 * n + 2]) for n, own in enumerate(formats)]


@dataclass(frozen=True)
class Sparse:
    """A model before and after."""

    opened: OpenedModel
    """The sparse model."""
    pattern: str
    zeros: float
    """Share of the layers' weights, 0..1."""
    figures: tuple[ModelFigures, ModelFigures]
    gains: Sequence[Gain]
    training: dict[str, Any] = field(default_factory=dict)
    """What the training reached, if there was one."""

    @property
    def after(self) -> ModelFigures:
        """The model as it is now."""
        return self.figures[1]

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the manifest's step: before, after; of the training what a training has."""
        before, after = (own.recorded for own in self.figures)
        gains = [
            {
                "format": own.format,
                "size_bytes": own.after.size_bytes,
                "compressed_bytes": own.after.compressed_bytes,
                "speed_up": own.speed_up.value,
            }
            for own in self.gains
        ]
        return {**self.training, "before": before, "after": after, "zeros": self.zeros, "files": gains}

    @property
    def sentence(self) -> str:
        """Zeros and scores."""
        metric = self.opened.text_task.metric
        before, after = (own.cells[-1] for own in self.figures)
        zeros = f"{100 * self.zeros:.1f} % of the layers' weights are zero."
        said = f"{zeros} {metric}: {before} before, {after} now."
        return " ".join([said, *self.after.scored_on])

    @property
    def notes(self) -> list[str]:
        """What it is good for."""
        slow = [own for own in self.gains if own.speed_up.low <= 1]
        return [*([PLAINLY] if slow else []), *([ON_GPUS] if self.pattern != "any" else [])]

    def markdown(self) -> str:
        """The card's body."""
        table = markdown_table(HEADINGS, [own.cells for own in self.gains]) if self.gains else ""
        return "\n\n".join(part for part in (self.sentence, table, *self.notes) if part) + "\n"

    def shown(self) -> list[ScreenTable | str]:
        """What the screen shows."""
        title = f"{self.opened.source.short_name}: what zeros buy"
        tables = [screen_table(title, HEADINGS, [own.cells for own in self.gains])] if self.gains else []
        return [self.sentence, *tables, *self.notes]
