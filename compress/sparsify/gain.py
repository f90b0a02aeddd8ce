"""What zeros buy in each runtime: the file before and after, packed and timed in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from device_bench import stats
from device_bench.measure import Plan, Subject, measure
from device_bench.records import Measurement
from device_bench.stats import Interval
from edgepress.core import console
from export.core.format import Format
from export.core.registry import find_format

LAUNCHES = 3
DENSE, SPARSE = "before", "sparse"


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


HEADINGS = ("format", "MB", "MB compressed", "speed-up")


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
