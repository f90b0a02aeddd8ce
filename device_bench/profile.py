"""Time by operator, as each runtime's own profiler has it.

`python -m device_bench.profile FILE THREADS VOCABULARY MODE BATCH LENGTH` prints it as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from device_bench.cpu import make_batch, open_target
from device_bench.plan import Plan, Target
from edgepress.core.errors import EdgepressError
from export.core.runner import Batch

RUNS, WARM_UP_RUNS = 20, 5
KERNEL = "native_call_"


@dataclass(frozen=True)
class Operator:
    """Average cost of all operators of one kind in a run."""

    name: str
    calls: float
    milliseconds: float


@dataclass(frozen=True)
class Profile:
    """The operators of a file, the dearest first."""

    name: str
    operators: tuple[Operator, ...]

    @property
    def total_ms(self) -> float:
        """The sum over all operators [ms]."""
        return sum(operator.milliseconds for operator in self.operators)


def profile(target: Target, plan: Plan) -> Profile:
    """Profile a file in a process of its own, at the plan's longest shape.

    Raises:
        EdgepressError: the file cannot be run, or its runtime has no profiler here.
    """
    command = [sys.executable, "-m", "device_bench.profile", str(target.path), str(plan.threads)]
    command += [str(plan.vocabulary), target.mode, str(plan.batches[0]), str(max(plan.sequence_lengths))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["its process was killed"])[-1]
        raise EdgepressError(f"{target.name}: {last}")
    content = json.loads(done.stdout.splitlines()[-1])
    return Profile(target.name, tuple(Operator(**entry) for entry in content))


def _of_onnx(path: Path, threads: int, batch: Batch) -> list[Operator]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_profiling = True
    options.log_severity_level = 3
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = {entry.name for entry in session.get_inputs()}
        for _ in range(RUNS):
            session.run(None, {name: batch[name] for name in inputs})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    timed = [event for event in events if event["name"].endswith("_kernel_time")]
    return _sum((event["args"]["op_name"], event["dur"] / 1000, 1) for event in timed)


def _of_torch(path: Path, threads: int, batch: Batch, mode: str) -> list[Operator]:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as torch_profile

    with open_target(path, threads, mode) as runner:
        for _ in range(WARM_UP_RUNS):
            runner(batch)
        with torch_profile(activities=[ProfilerActivity.CPU]) as found:
            for _ in range(RUNS):
                runner(batch)
    return _sum((row.key, row.self_cpu_time_total / 1000, row.count) for row in found.key_averages())


def _of_openvino(path: Path, threads: int, batch: Batch) -> list[Operator]:
    import openvino

    core = openvino.Core()
    flags = {"PERF_COUNT": True, "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(path), "CPU", flags).create_infer_request()
    inputs = [entry.get_any_name() for entry in request.model_inputs]
    rows = []
    for _ in range(RUNS):
        request.infer({name: batch[name] for name in inputs})
        rows += [(row.node_type, row.real_time.total_seconds() * 1000, 1) for row in request.profiling_info]
    return _sum(rows)


def _of_executorch(path: Path, threads: int, batch: Batch) -> list[Operator]:
    """Times of XNNPACK's operators and of the kernels outside of it, from ExecuTorch's event trace."""
    from executorch.devtools import Inspector
    from executorch.extension.pybindings import portable_lib

    from export.executorch import ExecuTorchRunner

    with ExecuTorchRunner(path, threads) as runner:  # which brings kernels, and sets the threads
        shapes = runner.shapes
    module = portable_lib._load_for_executorch(str(path), enable_etdump=True)
    if not module.has_etdump():
        raise EdgepressError("this build of ExecuTorch traces no events, so it has no profiler")
    feeds = {name: batch[name] for name in module.run_method("input_names", [])}
    for _ in range(RUNS):
        shapes.run(lambda part: _forward(module, part), feeds)
    with TemporaryDirectory() as folder:
        trace = f"{folder}/trace.etdp"
        module.write_etdump_result_to_file(trace)
        events = [event for block in Inspector(etdump_path=trace).event_blocks for event in block.events]
    timed = [event for event in events if event.is_delegated_op or event.name.startswith(KERNEL)]
    return _sum((_kind(event.name), sum(event.perf_data.raw), len(event.perf_data.raw)) for event in timed)


def _forward(module: Any, part: Batch) -> np.ndarray:
    import torch

    logits: np.ndarray = module.run_method("forward", [torch.from_numpy(rows) for rows in part.values()])[
        0
    ].numpy()
    return logits


def _kind(name: str) -> str:
    """The operator of an event such as "Softmax (NC, F32) #2" or "native_call_where.self_out"."""
    return name.removeprefix(KERNEL).split(" #")[0]


def _sum(rows: Iterable[tuple[str, float, int]]) -> list[Operator]:
    calls: dict[str, int] = defaultdict(int)
    times: dict[str, float] = defaultdict(float)
    for name, milliseconds, count in rows:
        calls[name] += count
        times[name] += milliseconds
    operators = [Operator(name, calls[name] / RUNS, times[name] / RUNS) for name in times]
    return sorted(operators, key=lambda operator: -operator.milliseconds)


def main(path: Path, threads: int, vocabulary: int, mode: str, rows: int, length: int) -> None:
    """Profile in this process and print.

    Raises:
        EdgepressError: the runtime has no profiler here.
    """
    batch = make_batch(rows, length, vocabulary)
    own: dict[str, Callable[[], list[Operator]]] = {
        ".onnx": lambda: _of_onnx(path, threads, batch),
        ".xml": lambda: _of_openvino(path, threads, batch),
        ".pte": lambda: _of_executorch(path, threads, batch),
        ".pt": lambda: _of_torch(path, threads, batch, mode),
        ".pt2": lambda: _of_torch(path, threads, batch, mode),
        ".safetensors": lambda: _of_torch(path, threads, batch, mode),
    }
    if path.suffix not in own:
        raise EdgepressError(f"the runtime of {path.suffix} files has no profiler here")
    print(json.dumps([asdict(operator) for operator in own[path.suffix]()]))


if __name__ == "__main__":
    try:
        file, threads_, vocabulary_, mode_, rows_, length_ = sys.argv[1:]
        main(Path(file), int(threads_), int(vocabulary_), mode_, int(rows_), int(length_))
    except EdgepressError as error:
        sys.exit(str(error))
