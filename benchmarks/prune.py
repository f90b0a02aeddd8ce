"""Measure what cutting a model has to reach: goals and samples in results/prune/, a table in docs.

    python -m benchmarks.prune --data ROOT --classifier FOLDER

ROOT holds sst2, FOLDER a MiniLM that compress.finetune trained on it (the teacher of
recipes/distilbert-sst2.yaml). Takes about half an hour on two cores that have nothing else to do. All but
five minutes are the vocabulary's, which --only-vocabulary measures alone.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import tyro

from benchmarks.blocks import Block
from benchmarks.goals import RESULTS, Goal, conclude, help_goal, kept_goals, run
from device_bench import records
from device_bench.grouping import speed_up
from device_bench.measure import Plan, Target, measure
from device_bench.records import Measurement
from device_bench.stats import Interval
from edgepress.core.artifact import open_artifact
from edgepress.core.tables import markdown_table

KEPT = RESULTS / "prune"
GOALS, MEASUREMENTS = KEPT / "goals.json", KEPT / "distilbert.jsonl.xz"
NAMES = ("dense fp32", "dense int8", "pruned fp32", "pruned int8")
LENGTHS, BUDGET_S, LAUNCHES = (32, 128), 240.0, 8
CUT = ("--ffn", "0.5", "--heads", "0.5")
SEEDS = (0, 1)
TRIMMED = "vocabulary trimmed to SST-2's training text"
RECOVERY = ("--epochs", "1", "--learning-rate", "2e-5", "--response-weight", "1", "--label-weight", "0")


@dataclass(frozen=True)
class PruneBenchmark:
    """Measure what cutting a model has to reach."""

    data: Path
    """Folder of local data sets."""
    classifier: Path
    """A MiniLM trained on SST-2 with compress.finetune."""
    work: Path = Path("outputs/goals")
    """Folder that models are written into."""
    only_vocabulary: bool = False
    """Measure trimming alone; the other goals stay as they were measured."""


def prune_goals(dense: Path, pruned: Path) -> Iterator[Goal]:
    """Time and memory of cutting half of DistilBERT's heads and feed-forward units, without training."""
    command = ("compress.prune", "--model", "distilbert", "--weights", "random", *CUT)
    typed = f"python -m {' '.join(command)}"
    seconds = run(*command, "--output", str(pruned), "--overwrite")
    yield Goal("prune distilbert, from typing to table [s]", 20, seconds, False, typed)
    model = (dense / "model.safetensors").stat().st_size
    libraries = _peak_bytes("import compress.prune.pipeline")
    work = f"from compress.prune.pipeline import run; run({_config(pruned)})"
    whole = _peak_bytes(f"from compress.prune.config import PruneConfig; from pathlib import Path; {work}")
    name = "its peak memory, libraries left out, over the model's size [x]"
    yield Goal(name, 3, (whole - libraries) / model, False, typed)


def _config(pruned: Path) -> str:
    flags = "model='distilbert', weights='random', ffn='0.5', heads='0.5', overwrite=True"
    return f"PruneConfig({flags}, output=Path({str(pruned)!r}))"


def _peak_bytes(program: str) -> int:
    """Peak memory of a Python process that runs this program [bytes]."""
    told = f"{program}\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * 1024


def quantized(model: Path | str, output: Path) -> tuple[Path, Path]:
    """The fp32 and the int8 file of a model."""
    flags = ("--weights", "random") if model == "distilbert" else ()
    quick = ("--eval-samples", "16", "--sequence-lengths", "16", "--time-budget", "1", "--overwrite")
    run("compress.quantize", "--model", str(model), *flags, *quick, "--output", str(output))
    artifact = open_artifact(output)
    return artifact.file("fp32"), artifact.file("int8")


def speed_goals(dense: tuple[Path, Path], pruned: tuple[Path, Path]) -> Iterator[Goal]:
    """Time all four files in turn, write their records and the table, and yield the goals."""
    targets = [Target(name, path) for name, path in zip(NAMES, (*dense, *pruned), strict=True)]
    found = measure(targets, Plan(LENGTHS, launches=LAUNCHES, budget_s=BUDGET_S))
    records.write(MEASUREMENTS, found)
    TABLE.update()
    typed = "python -m benchmarks.prune"
    for length in LENGTHS:
        base, *others = (record for record in found if record.sequence_length == length)
        ratios = {own.name: _ratio(base, own).value for own in others}
        where = f"over dense fp32, {length} tokens [x]"
        yield Goal(f"distilbert, half of heads and units, {where}", 1.8, ratios["pruned fp32"], True, typed)
        yield Goal(f"the same in int8 {where}", 4.5, ratios["pruned int8"], True, typed)


def _ratio(base: Measurement, own: Measurement) -> Interval:
    found = speed_up(base, own)
    assert found is not None
    return found


def table() -> str:
    """Markdown, from the records that are kept: a row a file, size and speed-up at each length."""
    found = records.read(MEASUREMENTS)
    head = ("DistilBERT", "MB", *(f"speed-up at {length} tokens" for length in LENGTHS))
    rows = []
    dense = [record for record in found if record.name == NAMES[0]]
    for name in NAMES:
        own = [record for record in found if record.name == name]
        cells = (_text(base, record) for base, record in zip(dense, own, strict=True))
        rows.append((name, f"{own[0].size_bytes / 1e6:.1f}", *cells))
    return markdown_table(head, rows)


def _text(base: Measurement, own: Measurement) -> str:
    if own is base:
        return "1"
    ratio = _ratio(base, own)
    return f"{ratio.value:.2f}x [{ratio.low:.2f}, {ratio.high:.2f}]"


TABLE = Block("table", "benchmarks.prune", table)


def trim_goals(config: PruneBenchmark) -> Iterator[Goal]:
    """MiniLM's vocabulary, trimmed to what SST-2's training text needs, and recovered with each seed."""
    found = [_trimmed(config, seed) for seed in SEEDS]
    at_once, lost = (
        mean(100 * (metrics["before"]["score"] - metrics[state]["score"]) for metrics in found)
        for state in ("trimmed", "after")
    )
    flags = " ".join((*RECOVERY, "--seed", "SEED"))
    typed = f"python -m compress.trim_vocab --model outputs/minilm-sst2 --data ROOT {flags}"
    said = f"after recovery, mean of {len(SEEDS)} seeds, {at_once:.2f} without"
    yield Goal(f"{TRIMMED}: accuracy lost {said} [points]", 0.2, lost, False, typed)


def _trimmed(config: PruneBenchmark, seed: int) -> dict[str, Any]:
    """What the manifest says of it."""
    output = config.work / f"minilm-sst2-trimmed-{seed}"
    command = ("compress.trim_vocab", "--model", str(config.classifier), "--data", str(config.data))
    run(*command, *RECOVERY, "--seed", str(seed), "--output", str(output), "--overwrite")
    return open_artifact(output).manifest.steps[-1].metrics


def cutting_goals(config: PruneBenchmark) -> list[Goal]:
    """Measure DistilBERT with half of its heads and feed-forward units."""
    pruned = config.work / "distilbert-pruned"
    dense = quantized("distilbert", config.work / "distilbert-dense-int8")
    goals = [help_goal("compress.prune"), *prune_goals(dense[0].parents[1], pruned)]
    goals += speed_goals(dense, quantized(pruned, config.work / "distilbert-pruned-int8"))
    return goals


def main(config: PruneBenchmark) -> int:
    """Measure all goals, write goals.json, and say which hold."""
    if config.only_vocabulary:
        goals = [goal for goal in kept_goals(GOALS) if not goal.goal.startswith(TRIMMED)]
    else:
        goals = cutting_goals(config)
    return conclude([*goals, *trim_goals(config)], GOALS)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(PruneBenchmark)))
