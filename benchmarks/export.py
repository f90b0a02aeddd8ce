"""Measure what the exports have to reach, and one classifier in every format: results/export/, docs.

    python -m benchmarks.export --data ROOT --classifier FOLDER

ROOT holds sst2 (validation); FOLDER is a MiniLM that compress.finetune trained on it. About ten minutes
on two cores.
"""

import json
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.blocks import Block
from benchmarks.goals import RESULTS, Goal, conclude, help_goal, run
from device_bench import records, stats
from device_bench.measure import Plan, Target, measure
from device_bench.records import Measurement
from edgepress.core.artifact import Artifact, FileRecord, open_artifact
from edgepress.core.tables import markdown_table
from export.core.registry import formats, size_bytes

KEPT = RESULTS / "export"
MEASUREMENTS = KEPT / "minilm-sst2-measurements.jsonl.xz"
CELLS = KEPT / "files.json"
"""Cells of those columns that samples do not give, as printed, by file."""
PARENT = "onnx/model.onnx"
CHAIN = ("onnx", "torchscript", "coreml")
DISTILBERT = ("--model", "distilbert", "--weights", "random")
# Sizes [MB] that Core ML packages of DistilBERT have to keep within.
PACKAGES = {"fp16": 134, "int8": 68, "int4": 35}
# Largest difference of a logit by format and precision, of DistilBERT.
PARITIES = {("onnx", "fp32"): 1e-4, ("torchscript", "fp32"): 1e-4, ("coreml", "fp16"): 2e-3}
LENGTHS = (16, 64, 128)
SCHEMES = {
    "onnx": ("fp32", "fp16", "int8-dynamic", "int8-static", "int4-weights"),
    "torchscript": ("fp32", "int8-dynamic"),
    "torch_export": ("fp32",),
    "coreml": ("fp32", "fp16", "int8-weights", "palette6", "palette4"),
    "openvino": ("fp32", "int8-static", "int8-weights"),
    "executorch": ("fp32", "int8-dynamic"),
}


@dataclass(frozen=True)
class ExportBenchmark:
    """Measure what the exports have to reach."""

    data: Path
    """Folder of local data sets."""
    classifier: Path
    """A MiniLM trained on SST-2 with compress.finetune."""
    work: Path = Path("outputs/goals")
    """Folder that files are written into."""


def distilbert_goals(work: Path) -> Iterator[Goal]:
    """Time and memory of the three formats with parity, and the parity itself."""
    output = work / "distilbert-export"
    command = ("export", *DISTILBERT, "--formats", *CHAIN)
    typed = f"python -m {' '.join(command)}"
    seconds = run(*command, "--output", str(output), "--overwrite")
    yield Goal(f"distilbert to {','.join(CHAIN)} with parity [s]", 90, seconds, False, typed)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    yield Goal(f"distilbert to {','.join(CHAIN)}, peak memory [GB]", 3.0, peak / 1e9, False, typed)
    files = {(record.format, record.precision): record for record in open_artifact(output).manifest.files}
    for key, limit in PARITIES.items():
        yield _parity_goal(" ".join(key), limit, files[key], typed)


def _parity_goal(what: str, limit: float, record: FileRecord, typed: str) -> Goal:
    assert record.parity is not None
    return Goal(f"distilbert {what}, largest difference", limit, record.parity["max_abs"], False, typed)


def core_ml_goals(work: Path) -> Iterator[Goal]:
    """Sizes of DistilBERT's packages, and fp32's parity."""
    output = work / "distilbert-coreml"
    command = ("export.coreml", *DISTILBERT, "--scheme", "fp32", "fp16", "int8", "palette4")
    typed = f"python -m {' '.join(command)}"
    run(*command, "--eval-samples", "20", "--output", str(output), "--overwrite")
    packages = {r.precision: r for r in open_artifact(output).manifest.files if r.format == "coreml"}
    for precision, limit in PACKAGES.items():
        size = packages[precision].size_bytes / 1e6
        yield Goal(f"distilbert Core ML {precision} [MB]", limit, size, False, typed)
    yield _parity_goal("coreml fp32", 1e-3, packages["fp32"], typed)


def export_classifier(config: ExportBenchmark) -> list[Artifact]:
    """The classifier in every format, each with its precisions."""
    artifacts = []
    for name, schemes in SCHEMES.items():
        output = config.work / f"minilm-sst2-{name}"
        flags = ("--data", str(config.data), "--output", str(output), "--eval-samples", "872", "--overwrite")
        run(f"export.{name}", "--model", str(config.classifier), "--scheme", *schemes, *flags)
        artifacts.append(open_artifact(output))
    return artifacts


def model_files(artifacts: Sequence[Artifact]) -> list[tuple[str, Path, FileRecord]]:
    """Every exported file with its format."""
    return [
        (record.format, artifact.folder / record.path, record)
        for artifact in artifacts
        for record in artifact.manifest.files
        if record.parity is not None
    ]


def printed_cells(artifacts: Sequence[Artifact]) -> dict[str, dict[str, str]]:
    """Return for each file the table's cells that its samples do not give."""
    scores = {
        (artifact.folder, entry["file"]): entry["score"]
        for artifact in artifacts
        for entry in artifact.manifest.steps[-1].metrics["files"]
    }
    found = {}
    for _, path, record in model_files(artifacts):
        assert record.parity is not None
        found[_name(path)] = {
            "MB": f"{size_bytes(path) / 1e6:.1f}",
            "largest difference": f"{record.parity['max_abs']:.1e}",
            "agreement": f"{100 * record.parity['agreement']:.1f} %",
            "accuracy": f"{100 * scores[path.parent.parent, path.name]:.2f} %",
        }
    return found


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def table() -> str:
    """Markdown, from what is kept: a row a file, with its latency and the ratio to ONNX fp32."""
    rows = json.loads(CELLS.read_text(encoding="utf-8"))
    measured = {(record.name, record.sequence_length): record for record in records.read(MEASUREMENTS)}
    heads = ["file", *next(iter(rows.values())), *(f"ms at {length}" for length in LENGTHS)]
    lines = [
        [name, *cells.values(), *(_latency(measured, name, length) for length in LENGTHS)]
        for name, cells in rows.items()
    ]
    return markdown_table(heads, lines)


def _latency(measured: dict[tuple[str, int], Measurement], name: str, length: int) -> str:
    if (name, length) not in measured:
        return "needs macOS"
    own, parent = measured[name, length], measured[PARENT, length]
    text = f"{stats.percentile(own.all_samples_ms, 50):.2f}"
    if own is parent:
        return text
    ratio = stats.paired_ratio(parent.launches_ms, own.launches_ms)
    return f"{text}\n{ratio.value:.2f}x [{ratio.low:.2f}, {ratio.high:.2f}]"


TABLE = Block("table", "benchmarks.export", table)


def main(config: ExportBenchmark) -> int:
    """Measure all goals, keep the table and the samples, and say which goals hold."""
    goals = [help_goal("export"), *distilbert_goals(config.work), *core_ml_goals(config.work)]
    artifacts = export_classifier(config)
    timed = [path for name, path, _ in model_files(artifacts) if formats()[name].timed]
    targets = [Target(_name(path), path) for path in timed]
    measurements = measure(targets, Plan(LENGTHS, budget_s=240))
    records.write(MEASUREMENTS, measurements)
    CELLS.write_text(json.dumps(printed_cells(artifacts), indent=2) + "\n", encoding="utf-8")
    TABLE.update()
    return conclude(goals, KEPT / "goals.json")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(ExportBenchmark)))
