"""The flags of `device_bench.run`."""

from dataclasses import dataclass
from pathlib import Path

from device_bench.records import DeviceKind
from edgepress.core.console import Command
from edgepress.core.flags import DataRoot


@dataclass(frozen=True, kw_only=True)
class RunConfig(Command):
    """Measure files of any format side by side, each in a process of its own, interleaved.

    python -m device_bench run --artifacts outputs/* --sequence-lengths 16 64 128

    python -m device_bench run --artifacts outputs/distilbert-int8 --eager --threads 1 2

    The same command continues what was interrupted: what --output holds of these files, texts and shapes, in
    these runtimes on this machine, with as many launches, is not measured again. A ratio needs rounds of the
    same moment, so a shape of which one file is missing is measured for all files.
    """

    artifacts: tuple[Path, ...]
    """Artifact folders, or model files of any format; ratios are to the first."""
    device: DeviceKind = "cpu"
    """cpu: this machine; gpu: its NVIDIA GPU; phone: one attached with adb."""
    output: Path = Path("records.jsonl")
    """JSON lines to append the records to."""
    formats: tuple[str, ...] = ()
    """Only these formats (onnx, torchscript, openvino, ...); default: all that run here."""
    precisions: tuple[str, ...] = ()
    """Only these precisions (fp32, fp16, int8, int4); default: all."""
    sequence_lengths: tuple[int, ...] = (16, 64, 128)
    """Sequence lengths to time at [tokens]."""
    batch_sizes: tuple[int, ...] = (1,)
    """Batch sizes to time at."""
    threads: tuple[int, ...] = (1,)
    """Numbers of threads; each has processes of its own."""
    modes: tuple[str, ...] = ()
    """Only these ways of torch (fp32, tf32, fp16, bf16, compile, graph), with --device gpu."""
    eager: bool = False
    """Also time the artifacts' weights in torch eager, with plain and with oneDNN-packed weights."""
    time_budget: float = 60.0
    """Most time for a file at a shape; it ends earlier once the median has settled [s]."""
    launches: int = 5
    """Least number of processes of each file: the spread of their medians makes the interval. More follow
    until it is within --target or the budget is spent. A phone has 3."""
    min_runs: int = 30
    """Least number of runs of a file at a shape."""
    target: float = 0.03
    """The median has settled when its 95 % interval is this close, as a share of it."""
    no_accuracy: bool = False
    """Do not score the files on their task."""
    eval_samples: int = 200
    """Texts of the task's evaluation split to score on."""
    task: str | None = None
    """Task to score on: a zoo name, or a data folder; default: the one that each artifact was made with."""
    data: DataRoot = None
    passes: int = 0
    """Also time whole passes over the evaluation split, this often: text by text at batch 1, else in
    batches as they come and sorted by length."""
    pass_samples: int | None = None
    """Only this many texts of the split in a pass."""
    profile: bool = False
    """Also show which operators the time goes to, at the longest shape."""
    peak: bool = False
    """Also measure what the CPU can do at the models' matrix products, by the best library that is installed,
    and show the share of it that each file reaches."""
    energy: bool = False
    """Read the energy counters of the CPU (RAPL) or GPU (NVML)."""
    serial: str | None = None
    """Serial number of the phone, where several are attached."""
    apk: Path | None = None
    """The demo app, where it is not on the phone yet."""
    measure_again: bool = False
    """Measure again what --output has already, and what failed."""
