"""Measurement of models and files (size, latency, memory), and comparison of two measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_bench.compare.figures import Change, Margins
from device_bench.compare.pipeline import changed_ratios, changed_records, pair
from device_bench.measure import measure
from device_bench.plan import EAGER, EAGER_MODES, Plan
from device_bench.records import Measurement
from device_bench.targets import Selection, find_targets, smallest_vocabulary
from edgepress.core.console import reporting
from edgepress.core.errors import EdgepressError

if TYPE_CHECKING:
    from edgepress.api.model import Model

LENGTHS = (16, 64, 128)
TORCH = {EAGER: EAGER_MODES[EAGER]}


def benchmark(models: Model | Sequence[Model], **options: Any) -> list[Measurement]:
    """Time models beside each other, interleaved, each file in a process of its own.

    Args:
        models: in memory, or exported.
        options: as `benchmark_folder` takes them.

    Returns:
        a record for each file and shape, as `device_bench` writes them; a model that was not exported is
        timed in torch.
    """
    from tempfile import TemporaryDirectory

    several = list(models) if isinstance(models, Sequence) else [models]
    if not several or not all(hasattr(model, "opened") for model in several):
        raise EdgepressError("there is no model to time", "give one of edgepress.load, or several")
    options["lengths"] = _several(options.get("lengths", LENGTHS))
    require_lengths(several, options["lengths"])
    with TemporaryDirectory(prefix="edgepress-") as folder:
        saved = []
        for number, model in enumerate(several):
            target = Path(folder) / str(number) / model.opened.source.short_name
            target.parent.mkdir()
            saved.append(model.save(target))
        return benchmark_folder(saved, **options)


def _several(numbers: int | Sequence[int]) -> tuple[int, ...]:
    return (numbers,) if isinstance(numbers, int) else tuple(numbers)


def require_lengths(models: Sequence[Model], lengths: Sequence[int]) -> None:
    """Raise for a sequence length that a model has no positions for.

    Raises:
        EdgepressError: there is one.
    """
    for model in models:
        longest = model.opened.longest
        if max(lengths, default=0) > longest:
            name = model.opened.source.short_name
            raise EdgepressError(f"{name} reads {longest} tokens at most", f"lengths of 1 to {longest}")


def benchmark_folder(
    folders: Sequence[Path],
    lengths: int | Sequence[int] = LENGTHS,
    batches: int | Sequence[int] = (1,),
    threads: int = 1,
    time_budget: float = 40.0,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Measurement]:
    """Time the files of artifacts, or their weights in torch where they have no other file.

    Args:
        folders: artifacts.
        lengths: sequence lengths [tokens], or one.
        batches: batch sizes, or one.
        threads: of each runtime.
        time_budget: most time for all [s]; each file is started five times in any case.
        progress: called with the share of the budget that is spent, 0..1.

    Raises:
        EdgepressError: a number is out of range, or a file cannot be opened.
    """
    lengths, batches = _several(lengths), _several(batches)
    if not lengths or not batches or min(*lengths, *batches, threads) < 1 or time_budget <= 0:
        raise EdgepressError(
            "lengths, batches, threads and time_budget are above 0", "lengths=(16, 128), say, and threads=1"
        )
    with reporting(None):
        targets = [target for folder in folders for target in _targets(folder)]
        plan = Plan(
            lengths,
            batches=batches,
            threads=threads,
            vocabulary=smallest_vocabulary(targets),
            budget_s=time_budget,
        )
        return measure(targets, plan, progress)


def _targets(folder: Path) -> list[Any]:
    try:
        return find_targets([folder], Selection())
    except EdgepressError:  # weights alone
        return find_targets([folder], Selection(("none",), (), TORCH))


def compare(
    before: Sequence[Measurement],
    after: Sequence[Measurement],
    threshold: float = 0.0,
    max_drop: float = 0.0,
    memory_noise: float = 0.16,
    ratios: bool = False,
    baseline: str | None = None,
) -> list[Change]:
    """List the figures of two measurements that differ by more than chance.

    Args:
        before: records of `benchmark`, or of `device_bench`.
        after: the same files, on the same machine unless `ratios`.
        threshold: share by which a time, a speed-up, memory or a size has to change besides, 0.05 for 5 %.
        max_drop: points that a score may lose besides.
        memory_noise: share by which peak memory differs between two starts of one file.
        ratios: compare speed-ups within each measurement in place of times and memory, across machines.
        baseline: with `ratios`, the name of the file that speed-ups are over; None takes each measurement's.

    Raises:
        EdgepressError: these are no records, or nothing was measured in both, on one machine unless `ratios`.
    """
    for given in (before, after):
        if not isinstance(given, Sequence) or not all(isinstance(own, Measurement) for own in given):
            raise EdgepressError("compare takes records", "give lists of edgepress.benchmark")
    margins = Margins(threshold, max_drop, memory_noise)
    with reporting(None):
        margins.check()
        if ratios:
            return changed_ratios(before, after, margins, baseline).changes
        older, newer, shared = pair(list(before), list(after))
        return changed_records(older, newer, shared, margins)
