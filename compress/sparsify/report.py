"""Gain from zeros in each runtime, and the report at the end of the command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from compress.compression import ModelFigures, Report
from device_bench import stats
from device_bench.measure import Plan, Target, measure_shown
from device_bench.records import Measurement
from device_bench.stats import Interval
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import screen_table
from export.core.format import Format

LAUNCHES = 3
DENSE, SPARSE = "before", "sparse"
HEADINGS = ("format", "MB", "MB compressed", "speed-up")
PLAINLY = (
    "A runtime multiplies by zeros as by any other number: no time is saved here. What shrinks is a "
    "compressed file. To be faster as well, cut instead: compress.prune."
)
ON_GPUS = "GPUs with sparse tensor cores multiply 2:4 matrices faster, in torch by to_sparse_semi_structured."


def write(model: PreTrainedModel, formats: Sequence[Format], folder: Path) -> None:
    """The model in each format, in a folder of its own."""
    for own in formats:
        target = folder / own.file
        target.parent.mkdir(parents=True)
        own.write(model, target, own.config(model=""))


@dataclass(frozen=True)
class Gain:
    """A format's file before and after."""

    format: str
    before: Measurement
    after: Measurement

    @property
    def speed_up(self) -> Interval:
        """Latency before divided by latency after, with its interval."""
        return stats.paired_ratio(self.before.launches_ms, self.after.launches_ms)

    @property
    def recorded(self) -> dict[str, Any]:
        """Figures for the manifest."""
        return {
            "format": self.format,
            "size_bytes": self.after.size_bytes,
            "compressed_bytes": self.after.compressed_bytes,
            "speed_up": self.speed_up.value,
        }

    @property
    def cells(self) -> tuple[str, ...]:
        """Table cells, under `HEADINGS`."""
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
    targets = [Target(f"{path.parent.parent.name}/{path.name}", path) for path in paths]
    plan = Plan((length,), launches=LAUNCHES, vocabulary=vocabulary, budget_s=budget_s)
    found = measure_shown(targets, plan)
    return [Gain(own.title, *found[2 * n : 2 * n + 2]) for n, own in enumerate(formats)]


def report(
    opened: OpenedModel,
    pattern: str,
    zeros: float,
    figures: tuple[ModelFigures, ModelFigures],
    gains: Sequence[Gain],
) -> Report:
    """A model before and after.

    Args:
        opened: the sparse model.
        pattern: where its zeros stand.
        zeros: share of the layers' weights, 0..1.
        figures: before and after.
        gains: one a format.
    """
    before, after = figures
    said = f"{100 * zeros:.1f} % of the layers' weights are zero. {opened.text_task.metric}:"
    scores = f"{before.cells[-1]} before, {after.cells[-1]} now."
    sentence = " ".join([said, scores, *after.scored_on, *after.loss_against(before)])
    notes = [PLAINLY] if any(own.speed_up.low <= 1 for own in gains) else []
    notes += [ON_GPUS] if pattern != "any" else []
    title = f"{opened.source.short_name}: what zeros buy"
    tables = [screen_table(title, HEADINGS, [own.cells for own in gains])] if gains else []
    files = [own.recorded for own in gains]
    return Report(
        after=after,
        metrics={"before": before.recorded, "after": after.recorded, "zeros": zeros, "files": files},
        card="\n\n".join([sentence, *(table.markdown() for table in tables), *notes]) + "\n",
        shown=[sentence, *tables, *notes],
    )
