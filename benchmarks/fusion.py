"""Measure what fusing a graph for transformers buys on this CPU: exports leave graphs as they are.

    python -m benchmarks.fusion --model FOLDER

FOLDER is an artifact with onnx/model.onnx. Two minutes.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro
from onnxruntime.transformers import optimizer
from transformers import AutoConfig

from benchmarks.goals import RESULTS, Goal, conclude
from device_bench import records, stats
from device_bench.measure import Plan, Target, measure

KEPT = RESULTS / "export"
LENGTHS = (32, 128)


@dataclass(frozen=True)
class FusionBenchmark:
    """Measure what fusing a graph buys."""

    model: Path
    """An artifact with onnx/model.onnx."""


def fused(source: Path, folder: Path, target: Path) -> Path:
    """The graph with ONNX Runtime's transformer fusions."""
    config = AutoConfig.from_pretrained(folder)
    model = optimizer.optimize_model(
        str(source), "bert", config.num_attention_heads, config.hidden_size, opt_level=0
    )
    model.save_model_to_file(str(target))
    return target


def main(config: FusionBenchmark) -> int:
    """Measure, keep the samples, and say whether leaving the graph as it is holds."""
    source = config.model / "onnx" / "model.onnx"
    with TemporaryDirectory() as folder:
        targets = [
            Target("raw", source),
            Target("fused", fused(source, config.model, Path(folder) / "fused.onnx")),
        ]
        measured = measure(targets, Plan(LENGTHS, budget_s=60))
    name = config.model.name
    records.write(KEPT / f"fusion-{name}.jsonl.xz", measured)
    by_shape = {(one.name, one.sequence_length): one.launches_ms for one in measured}
    goals = []
    for length in LENGTHS:
        ratio = stats.paired_ratio(by_shape["fused", length], by_shape["raw", length])
        typed = "python -m benchmarks.fusion --model FOLDER"
        goals.append(Goal(f"{name} unfused over fused, {length} tokens [x]", 1.0, ratio.value, True, typed))
    return conclude(goals, KEPT / f"fusion-{name}.json")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(FusionBenchmark)))
