"""Measure what the measuring has to reach: goals and samples in results/device_bench/, a table in docs.

    python -m benchmarks.device_bench
    python -m benchmarks.device_bench --kept     # judges the kept comparison, measures the rest

Needs no data: models have random weights, on which latency does not depend. Takes half an hour of two
cores that have nothing else to do.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice, product
from pathlib import Path

import tyro

from benchmarks.blocks import Block
from benchmarks.goals import RESULTS, Goal, conclude, help_goal, kept_goals, run
from benchmarks.repeat import SECONDS_GOAL, TYPED, Comparison, Repeated, repeat
from device_bench import records, stats
from device_bench.cpu_affinity import CpuAffinity
from device_bench.plan import Case, Plan, Target
from device_bench.process import Process
from edgepress.core.artifact import open_artifact
from edgepress.core.console import step

KEPT = RESULTS / "device_bench"
REPEATED, SWEPT = KEPT / "repeat.jsonl.xz", KEPT / "sweep.jsonl.xz"
GOALS = KEPT / "goals.json"
SMALL_MODEL_MS, OVERHEAD_ROUNDS = 2.0, 100
SWEEP_LAUNCHES, SWEEP_RUNS, SWEEP_BUDGET_S = 3, 3, 2


@dataclass(frozen=True)
class MeasuringBenchmark:
    """Measure what the measuring has to reach."""

    models: tuple[str, ...] = ("minilm", "distilbert")
    """Zoo models whose int8 file is compared with their fp32 file; the first is swept, too."""
    lengths: tuple[int, ...] = (16, 128)
    """Tokens of the comparison."""
    batches: tuple[int, ...] = (1, 8)
    """Batch sizes of the comparison."""
    budget: float = 58.0
    """Time for a file at a shape of the comparison [s]; starting and writing come on top."""
    sweep_lengths: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512)
    """Tokens of the sweep."""
    sweep_batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Batch sizes of the sweep."""
    records: int = 10_000
    """Records to load and chart, 10,000 at most: 50 files at 4 numbers of threads and 50 shapes."""
    work: Path = Path("outputs/goals")
    """Folder that models are written into."""
    kept: bool = False
    """Judge the comparison that is kept instead of taking it again: statistics are derived when read."""


def make(model: str, work: Path) -> tuple[Path, Path]:
    """The fp32 and the int8 file of a zoo model."""
    output = work / f"bench-{model}"
    flags = ("--weights", "random", "--eval-samples", "16", "--sequence-lengths", "16", "--time-budget", "1")
    run("compress.quantize", "--model", model, *flags, "--output", str(output), "--overwrite")
    artifact = open_artifact(output)
    return artifact.file("fp32"), artifact.file("int8")


def repeated(config: MeasuringBenchmark, files: dict[str, tuple[Path, Path]]) -> Repeated:
    """The same comparison twice, whose records it keeps; or as it was kept."""
    if config.kept:
        seconds = next(goal.measured for goal in kept_goals(GOALS) if goal.goal == SECONDS_GOAL)
        return Repeated.of(records.read(REPEATED), seconds)
    found = repeat(Comparison(files, config.lengths, config.batches), config.budget)
    records.write(REPEATED, found.records)
    return found


def table() -> str:
    """Markdown, from the records that are kept."""
    return Repeated.of(records.read(REPEATED), seconds=0.0).table  # which the table does not tell


TABLE = Block("table", "benchmarks.device_bench", table)


def overhead_goal(path: Path) -> Goal:
    """The share of a round's time that is not the model's: looking at its core, asking, clocks, answering."""
    plan = Plan()
    cores = CpuAffinity(plan.threads)
    cores.draw()
    process = Process(Target(path.name, path), plan)
    try:
        case = min((Case(1, length) for length in range(8, 129, 8)), key=lambda own: _off(process, own))
        own_ms = stats.percentile(process.run(case, 50), 50)
        runs, inside_ms, start = plan.runs_a_round(own_ms), 0.0, time.perf_counter()
        for _ in range(OVERHEAD_ROUNDS):
            process.bind(cores.undisturbed())
            inside_ms += sum(process.run(case, runs))
        whole_ms = 1000 * (time.perf_counter() - start)
    finally:
        process.close()
    name = f"overhead on a model of {own_ms:.1f} ms [%]"
    return Goal(name, 1.0, 100 * (1 - inside_ms / whole_ms), False, TYPED)


def _off(process: Process, case: Case) -> float:
    return abs(stats.percentile(process.run(case, 20), 50) - SMALL_MODEL_MS)


def sweep_goals(config: MeasuringBenchmark, artifact: Path) -> Iterator[Goal]:
    """Time the int8 file at all lengths and batch sizes, by the command that people type."""
    target = config.work / "sweep.jsonl"
    target.unlink(missing_ok=True)
    lengths, batches = map(str, config.sweep_lengths), map(str, config.sweep_batches)
    shapes = ("--sequence-lengths", *lengths, "--batch-sizes", *batches)
    limits = (
        "--launches",
        str(SWEEP_LAUNCHES),
        "--min-runs",
        str(SWEEP_RUNS),
        "--time-budget",
        str(SWEEP_BUDGET_S),
    )
    command = (
        "device_bench",
        "run",
        *shapes,
        *limits,
        "--formats",
        "onnx",
        "--precisions",
        "int8",
        "--no-accuracy",
    )
    typed = f"python -m {' '.join(command)}"
    seconds = run(*command, "--artifacts", str(artifact), "--output", str(target))
    step(f"the sweep took {seconds:.0f} s")
    swept = records.read(target)
    records.write(SWEPT, swept)
    found = {Case.of(record) for record in swept if not record.error}
    shapes_asked = len(config.sweep_lengths) * len(config.sweep_batches)
    yield Goal("shapes of the sweep that ran", shapes_asked, len(found), True, typed)
    yield Goal("its records [MB]", 1.0, target.stat().st_size / 1e6, False, typed)


def charts_goal(config: MeasuringBenchmark) -> Goal:
    """Many records, each of a series or shape of its own, from reading them to the last chart."""
    source, target = records.read(SWEPT), config.work / "many.jsonl"
    target.unlink(missing_ok=True)
    step(f"writing {config.records} records")
    places = product(range(50), (1, 2, 3, 4), (1, 2, 4, 8, 16), range(8, 88, 8))
    found = (
        replace(own, name=f"file {number}", threads=threads, batch=batch, sequence_length=length)
        for own, (number, threads, batch, length) in zip(
            cycle(source), islice(places, config.records), strict=False
        )
    )
    records.append(target, found)
    output = config.work / "many-charts"
    shutil.rmtree(output, ignore_errors=True)
    seconds = run("device_bench", "charts", "--records", str(target), "--output", str(output))
    return Goal(f"{config.records} records, from file to charts [s]", 10.0, seconds, False, TYPED)


def main(config: MeasuringBenchmark) -> int:
    """Measure all goals, write goals.json, and say which hold."""
    files = {model: make(model, config.work) for model in config.models}
    comparison, first = repeated(config, files), config.models[0]
    TABLE.update()
    goals = [help_goal("device_bench.run"), *comparison.goals(), overhead_goal(files[first][1])]
    goals += sweep_goals(config, config.work / f"bench-{first}")
    goals.append(charts_goal(config))
    return conclude(goals, GOALS)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(MeasuringBenchmark)))
