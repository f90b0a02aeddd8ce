"""Measure what LiteRT files have to reach beside ONNX's int8: results/litert/, docs.

    python -m benchmarks.litert --data ROOT --classifier FOLDER

ROOT holds sst2 (validation); FOLDER is a MiniLM that compress.finetune trained on it. About fifteen minutes
on two cores.
"""

import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from benchmarks.blocks import Block
from benchmarks.goals import RESULTS, Goal, conclude, run
from device_bench import records, stats
from device_bench.measure import Plan, Target, measure
from device_bench.records import Measurement
from device_bench.stats import Interval
from edgepress.core.loading import open_model
from edgepress.core.tables import markdown_table
from export.core.eager import EagerRunner
from export.core.registry import open_runner
from export.validation.sentences import evaluation_sentences

KEPT = RESULTS / "litert"
MEASUREMENTS = KEPT / "measurements.jsonl.xz"
LENGTHS = (16, 128)
SENTENCES = 872
RIVAL = "onnx/model_quantized.onnx"
LITERT = ("fp32", "fp16", "int8-dynamic", "int8-weights", "int4-dynamic")
# Least speed of LiteRT's int8 over ONNX's, by length.
SPEEDS = {16: 1.5, 128: 1.4}
MODELS = ("minilm", "distilbert")


@dataclass(frozen=True)
class LiteRtBenchmark:
    """Measure what LiteRT files have to reach."""

    data: Path
    """Folder of local data sets."""
    classifier: Path
    """A MiniLM trained on SST-2 with compress.finetune."""
    work: Path = Path("outputs/goals")
    """Folder that files are written to."""
    budget: float = 240.0
    """Most time to spend on timing [s]."""


def export_goals(work: Path) -> Iterator[Goal]:
    """Time and memory of a DistilBERT in int8, with its own signatures and parity."""
    command = ("export.litert", "--model", "distilbert", "--weights", "random", "--scheme", "int8")
    typed = f"python -m {' '.join(command)}"
    before = _cpu_seconds()
    seconds = run(*command, "--output", str(work / "distilbert-litert-int8"), "--overwrite")
    yield Goal("distilbert to LiteRT int8 with parity [s]", 120, seconds, False, typed)
    spent = _cpu_seconds() - before
    yield Goal("the same, time of one core that it took [s]", 120, spent, False, typed)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    yield Goal("the same, peak memory [GB]", 4.0, peak / 1e9, False, typed)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_files(config: LiteRtBenchmark) -> dict[str, Path]:
    """Name of a file in the records -> the file; LiteRT's have signatures of the lengths that are timed."""
    found = {}
    signatures = ("--signatures", *map(str, LENGTHS))
    for model in MODELS:
        known = ("--model", str(config.classifier), "--data", str(config.data))
        source = known if model == "minilm" else ("--model", model, "--weights", "random")
        for form, flags in (
            ("onnx", ("--scheme", "int8-dynamic")),
            ("litert", (*signatures, "--scheme", *(LITERT if model == "minilm" else ("int8-dynamic",)))),
        ):
            output = config.work / f"{model}-litert-{form}"
            run(
                f"export.{form}",
                *source,
                *flags,
                "--eval-samples",
                "20",
                "--output",
                str(output),
                "--overwrite",
            )
            for path in sorted((output / form).iterdir()):
                found[f"{model} {form}/{path.name}"] = path
    return found


def drifts(config: LiteRtBenchmark, files: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Return for each file of the classifier how far its logits are from torch's."""
    opened = open_model(str(config.classifier), data=config.data)
    texts = evaluation_sentences(opened, SENTENCES, seed=0, max_length=LENGTHS[-1]).batches
    with EagerRunner(opened.model) as eager:
        parent = np.concatenate([eager(batch) for batch in texts])
    found = {}
    for name, path in files.items():
        if name.startswith(MODELS[0]):
            with open_runner(path) as runner:
                logits = np.concatenate([runner(batch) for batch in texts])
            found[name] = {
                "rms": float(np.sqrt(np.mean((logits - parent) ** 2))),
                "agreement": float((logits.argmax(1) == parent.argmax(1)).mean()),
            }
    return found


def speed_goals(measured: dict[tuple[str, int], Measurement], typed: str) -> Iterator[Goal]:
    """The ratio of int8 files at each length, of both models."""
    for model in MODELS:
        for length, least in SPEEDS.items():
            ratio = _ratio(measured, f"{model} litert/model_int8.tflite", length)
            what = f"{model}, LiteRT int8 over ONNX int8-dynamic at {length} tokens {_bounds(ratio)}"
            yield Goal(what, least, ratio.value, True, typed)


def drift_goals(cells: dict[str, dict[str, float]], typed: str) -> Iterator[Goal]:
    """Agreement, and drift that is no more than ONNX's."""
    own, rival = cells["minilm litert/model_int8.tflite"], cells[f"minilm {RIVAL}"]
    yield Goal("minilm, LiteRT int8's agreement with torch", 0.99, own["agreement"], True, typed)
    said = "minilm, LiteRT int8's root mean square of logit differences (limit: ONNX int8-dynamic's)"
    yield Goal(said, rival["rms"], own["rms"], False, typed)


def _ratio(measured: dict[tuple[str, int], Measurement], name: str, length: int) -> Interval:
    rival = measured[f"{name.partition(' ')[0]} {RIVAL}", length]
    return stats.paired_ratio(rival.launches_ms, measured[name, length].launches_ms)


def _bounds(ratio: Interval) -> str:
    return f"[{ratio.low:.2f}, {ratio.high:.2f}]"


def table() -> str:
    """Markdown, from what is kept: a row a file, with its speed over ONNX's int8 of the same model."""
    measured = {(record.name, record.sequence_length): record for record in records.read(MEASUREMENTS)}
    lines = [
        [
            name,
            f"{measured[name, LENGTHS[0]].size_bytes / 1e6:.1f}",
            *(_latency(measured, name, at) for at in LENGTHS),
        ]
        for name in dict.fromkeys(name for name, _ in measured)
    ]
    return markdown_table(["file", "MB", *(f"ms at {length}" for length in LENGTHS)], lines)


def _latency(measured: dict[tuple[str, int], Measurement], name: str, length: int) -> str:
    text = f"{stats.percentile(measured[name, length].all_samples_ms, 50):.2f}"
    if name.endswith(RIVAL):
        return text
    ratio = _ratio(measured, name, length)
    return f"{text}\n{ratio.value:.2f}x {_bounds(ratio)}"


TABLE = Block("table", "benchmarks.litert", table)


def main(config: LiteRtBenchmark) -> int:
    """Measure all goals, keep the table and the samples, and say which goals hold."""
    KEPT.mkdir(parents=True, exist_ok=True)
    goals, typed = [*export_goals(config.work)], "python -m benchmarks.litert"
    files = write_files(config)
    cells = drifts(config, files)
    targets = [Target(name, path) for name, path in files.items()]
    measurements = measure(targets, Plan(LENGTHS, budget_s=config.budget))
    records.write(MEASUREMENTS, measurements)
    measured = {(record.name, record.sequence_length): record for record in measurements}
    TABLE.update()
    goals += [*speed_goals(measured, typed), *drift_goals(cells, typed)]
    return conclude(goals, KEPT / "goals.json")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(LiteRtBenchmark)))
