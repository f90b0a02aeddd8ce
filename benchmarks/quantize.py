"""Measure what the quantizer has to reach: goals, samples, chart in results/quantize/, a table in README.

    python -m benchmarks.quantize --data ROOT

ROOT holds sst2 (train and validation). Takes about half an hour on two cores, most of it training
MiniLM on SST-2; `--classifier FOLDER` takes a classifier that is trained already.
"""

import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.blocks import Block
from benchmarks.goals import RESULTS, Goal, conclude, help_goal, run
from device_bench import records, stats, summary
from device_bench.measure import Plan, Target, measure
from device_bench.records import Measurement
from device_bench.summary import Row
from edgepress.core.artifact import open_artifact
from edgepress.core.environment import environment
from edgepress.core.loading import open_model
from edgepress.core.tables import markdown_table
from export.core.registry import open_runner
from export.validation.sentences import evaluation_sentences
from export.validation.validator import Validator

KEPT = RESULTS / "quantize"
MEASUREMENTS = KEPT / "minilm-sst2-measurements.jsonl.xz"
METRIC = "accuracy"
LENGTHS = (16, 64, 128)
SCHEMES = ("int8-dynamic", "int8-static", "int8-weights", "int4-weights", "fp16")
CELLS = KEPT / "files.json"
"""Cells of those columns that samples do not give, as printed, by file."""


@dataclass(frozen=True)
class QuantizeBenchmark:
    """Measure what the quantizer has to reach."""

    data: Path
    """Folder of local data sets."""
    classifier: Path | None = None
    """A MiniLM trained on SST-2 with compress.finetune; default: train one."""
    work: Path = Path("outputs/goals")
    """Folder that models are written into."""


def distilbert_goals(work: Path) -> Iterator[Goal]:
    """Time, memory, size and speed-up of the main command."""
    output = work / "distilbert-int8"
    command = ("compress.quantize", "--model", "distilbert", "--output", str(output), "--overwrite")
    typed = f"python -m {' '.join(command[:3])}"
    seconds = run(*command, "--sequence-lengths", *map(str, LENGTHS))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    yield Goal("quantize distilbert, installed to table [s]", 120, seconds, False, typed)
    yield Goal("quantize distilbert, peak memory [GB]", 3.0, peak / 1e9, False, typed)
    size = open_artifact(output).file("int8").stat().st_size
    yield Goal("distilbert int8-dynamic [MB]", 68, size / 1e6, False, typed)
    found = {(m.name, m.sequence_length): m for m in records.read(output / "measurements.jsonl")}
    ratio = stats.paired_ratio(found["fp32", 128].launches_ms, found["int8-dynamic", 128].launches_ms)
    yield Goal("distilbert int8-dynamic over its fp32, 128 tokens [x]", 2.4, ratio.value, True, typed)
    yield optimum_goal(output, work)


def optimum_goal(ours: Path, work: Path) -> Goal:
    """Our file against what optimum's own command line makes of the same weights, interleaved."""
    exported, quantized = work / "optimum-fp32", work / "optimum-int8"
    for folder in (exported, quantized):
        shutil.rmtree(folder, ignore_errors=True)
    optimum = ("optimum.commands.optimum_cli",)
    run(*optimum, "export", "onnx", "--model", str(ours), "--task", "text-classification", str(exported))
    flags = ("--avx512_vnni", "--per_channel", "-o", str(quantized))
    run(*optimum, "onnxruntime", "quantize", "--onnx_model", str(exported), *flags)
    targets = [
        Target("optimum", quantized / "model_quantized.onnx"),
        Target("edgepress", ours / "onnx" / "model_quantized.onnx"),
    ]
    theirs, own = measure(targets, Plan(sequence_lengths=(128,), launches=8))
    records.write(KEPT / "optimum.jsonl.xz", (theirs, own))
    ratio = stats.paired_ratio(theirs.launches_ms, own.launches_ms)
    typed = "optimum-cli export onnx, optimum-cli onnxruntime quantize --avx512_vnni --per_channel"
    return Goal("distilbert int8-dynamic over optimum-cli's, sequence 128 [x]", 1.0, ratio.value, True, typed)


def train(config: QuantizeBenchmark) -> Path:
    """A MiniLM classifier for SST-2."""
    output = config.work / "minilm-sst2"
    flags = ("--data", str(config.data), "--output", str(output), "--overwrite")
    run("compress.finetune", "--model", "minilm", "--task", "sst2", "--learning-rate", "3e-5", *flags)
    return output


def sst2_goals(config: QuantizeBenchmark, classifier: Path) -> Iterator[Goal]:
    """Accuracy before and after, on the exported files at batch 1."""
    output = config.work / "minilm-sst2-quantized"
    flags = ("--scheme", *SCHEMES, "--data", str(config.data), "--output", str(output), "--overwrite")
    timing = ("--time-budget", "240", "--sequence-lengths", *map(str, LENGTHS))
    run("compress.quantize", "--model", str(classifier), *timing, *flags)
    typed = "python -m compress.quantize --model outputs/minilm-sst2 --data ROOT"
    metrics = open_artifact(output).manifest.steps[-1].metrics
    parent = 100 * metrics["parent_score"]
    dynamic = 100 * next(v["score"] for v in metrics["variants"] if v["scheme"] == "int8-dynamic")
    yield Goal("minilm on SST-2 validation, fp32 [%]", 90.0, parent, True, typed)
    yield Goal("int8-dynamic below it [points]", 0.5, parent - dynamic, False, typed)
    yield evaluation_goal(config, classifier, output)
    keep(output)


def evaluation_goal(config: QuantizeBenchmark, classifier: Path, quantized: Path) -> Goal:
    """Time the scoring of a file on all validation sentences, tokenization included."""
    opened = open_model(str(classifier), data=config.data)
    path = open_artifact(quantized).folder / "onnx" / "model_quantized.onnx"
    start = time.monotonic()
    sentences = evaluation_sentences(opened, 10**9, 0)
    with open_runner(path, environment().cores) as runner:
        Validator(runner, sentences)
    seconds, count = time.monotonic() - start, sentences.evaluation_set.texts
    return Goal(f"evaluating {count} sentences, int8 minilm [s]", 10, seconds, False, "Validator(file)")


def keep(artifact: Path) -> None:
    """Copy records, chart and the other cells of the table to results/, and update the table."""
    records.write(MEASUREMENTS, records.read(artifact / "measurements.jsonl"))
    shutil.copy(artifact / "chart.png", KEPT / "minilm-sst2-chart.png")
    printed = printed_cells((artifact / "README.md").read_text(encoding="utf-8"))
    CELLS.write_text(json.dumps(printed, indent=2) + "\n", encoding="utf-8")
    TABLE.update()


def printed_cells(card: str) -> dict[str, dict[str, str]]:
    """Return for each file the cells of a card's table that samples do not give."""
    table = card[card.index("| variant") :].partition("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    heads, _, *rows = ([cell.strip() for cell in line.strip("| ").split("|")] for line in lines)
    wanted = [at for at, head in enumerate(heads) if at and head != "MB" and not head.startswith("ms at")]
    return {row[0]: {heads[at]: row[at] for at in wanted} for row in rows}


def table() -> str:
    """Markdown, from what is kept."""
    found, printed = records.read(MEASUREMENTS), json.loads(CELLS.read_text(encoding="utf-8"))
    rows = [_row(name, tuple(record for record in found if record.name == name)) for name in printed]
    heads = summary.headings(rows, METRIC)
    measured = (dict(zip(heads, summary.markdown_cells(row, rows), strict=True)) for row in rows)
    lines = [[*(cells | printed[row.name]).values()] for cells, row in zip(measured, rows, strict=True)]
    return f"{markdown_table(heads, lines)}\n{summary.caption(rows)}"


def _row(name: str, measured: tuple[Measurement, ...]) -> Row:
    return Row(name, measured[0].size_bytes, 0, None, None, "", measured)


TABLE = Block("table", "benchmarks.quantize", table)


def main(config: QuantizeBenchmark) -> int:
    """Measure all goals, write goals.json, and say which hold."""
    goals = [help_goal("compress.quantize"), *distilbert_goals(config.work)]
    goals += sst2_goals(config, config.classifier or train(config))
    return conclude(goals, KEPT / "goals.json")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(QuantizeBenchmark)))
