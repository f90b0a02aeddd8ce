"""The process that runs one model on an NVIDIA GPU; `device_bench.cpu`'s protocol, timed by device events.

`python -m device_bench.gpu FILE THREADS VOCABULARY MODE`. It imports torch, transformers and the suite's own
architectures, and nothing of what makes models, so that an environment with other versions of them will do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from device_bench.cpu import answer_errors, serve
from edgepress.core.errors import EdgepressError, first_line, unknown_name
from edgepress.core.outputs import as_one, file_outputs, model_logits
from edgepress.core.process import silence_telemetry
from export.core.runner import Batch, Runner

MODES = {
    "fp32": "torch fp32, GPU",
    "tf32": "torch TF32, GPU",
    "fp16": "torch fp16, GPU",
    "bf16": "torch bf16, GPU",
    "compile": "torch.compile fp16, GPU",
    "graph": "torch fp16, CUDA graph",
}
DTYPES = {"fp16": "float16", "bf16": "bfloat16", "compile": "float16", "graph": "float16"}
PROVIDER = "CUDAExecutionProvider"
WARM_UP_RUNS = 3  # on a stream of their own before a graph is captured, as torch's documentation has it


def require_gpu() -> None:
    """Raise where torch sees no GPU.

    Raises:
        EdgepressError: it sees none.
    """
    import torch

    if not torch.cuda.is_available():
        raise EdgepressError("no GPU: torch sees none on this machine", "--device cpu measures this machine")


def modes(wanted: Sequence[str]) -> dict[str, str]:
    """Choose the wanted entries of `MODES`; all where none is named.

    Raises:
        EdgepressError: one is unknown.
    """
    for name in wanted:
        if name not in MODES:
            raise unknown_name("mode", name, MODES)
    return {name: MODES[name] for name in wanted or MODES}


def has_provider() -> bool:
    """Whether ONNX Runtime is here and has its CUDA provider."""
    if find_spec("onnxruntime") is None:
        return False
    import onnxruntime

    return PROVIDER in onnxruntime.get_available_providers()


class TorchGpuRunner(Runner):
    """A folder's classifier in torch on the GPU; logits come back in fp32.

    Args:
        folder: what `save_pretrained` wrote.
        mode: one of `MODES`.
        device: where torch puts it; whatever is not a CUDA graph runs on any.
    """

    def __init__(self, folder: Path, mode: str, device: str = "cuda") -> None:
        import torch
        from transformers import AutoConfig

        from edgepress.core.architectures.pruned import model_type
        from edgepress.core.inputs import input_names
        from edgepress.core.weights import head_of

        torch.backends.cuda.matmul.allow_tf32 = mode == "tf32"
        config = AutoConfig.from_pretrained(folder)
        dtype = getattr(torch, DTYPES.get(mode, "float32"))
        model = model_type(config, head_of(config, None)).from_pretrained(folder, config=config, dtype=dtype)
        self._torch, self._device, self._model = torch, device, model.eval().to(device)
        self._forward: Callable[..., Any] = torch.compile(self._model) if mode == "compile" else self._model
        self._taken = set(input_names(model))
        self._graphs: dict[tuple[int, ...], tuple[Any, dict[str, Any], Any]] | None = (
            {} if mode == "graph" else None
        )
        name = torch.cuda.get_device_name() if device == "cuda" else device
        self.runtime = f"torch {torch.__version__}, {mode}, {name}"

    def __call__(self, batch: Batch) -> np.ndarray:
        logits: np.ndarray = self.on_device(self.to_device(batch)).float().cpu().numpy()
        return logits

    def to_device(self, batch: Batch) -> dict[str, Any]:
        """The inputs that the model takes, as tensors on the device."""
        own = {name: values for name, values in batch.items() if name in self._taken}
        return {name: self._torch.from_numpy(values).to(self._device) for name, values in own.items()}

    def on_device(self, inputs: dict[str, Any]) -> Any:
        """Logits (batch, labels) on the device."""
        with self._torch.inference_mode():
            if self._graphs is None:
                return model_logits(self._forward(**inputs))
            return self._replay(inputs)

    def _replay(self, inputs: dict[str, Any]) -> Any:
        assert self._graphs is not None
        shape = tuple(inputs["input_ids"].shape)
        if shape not in self._graphs:
            self._graphs[shape] = self._capture(inputs)
        graph, places, logits = self._graphs[shape]
        for name, values in inputs.items():
            places[name].copy_(values)
        graph.replay()
        return logits

    def _capture(self, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any], Any]:
        cuda = self._torch.cuda
        stream = cuda.Stream()
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream):
            for _ in range(WARM_UP_RUNS):
                self._model(**inputs)
        cuda.current_stream().wait_stream(stream)
        graph, places = cuda.CUDAGraph(), {name: values.clone() for name, values in inputs.items()}
        with cuda.graph(graph):
            logits = model_logits(self._model(**places))
        return graph, places, logits

    def close(self) -> None:
        """Release the model and its memory."""
        del self._model, self._forward
        self._graphs = None


class OnnxGpuRunner(Runner):
    """An ONNX file in ONNX Runtime's CUDA provider."""

    def __init__(self, path: Path) -> None:
        silence_telemetry()
        import onnxruntime

        if not has_provider():
            raise EdgepressError(f"ONNX Runtime {onnxruntime.__version__} has no {PROVIDER} here")
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=[PROVIDER])
        except Exception as error:  # its exception types are private to its extension module
            raise EdgepressError(f"{path}: ONNX Runtime cannot open it: {first_line(error)}") from error
        if PROVIDER not in self._session.get_providers():
            raise EdgepressError(f"{path}: ONNX Runtime cannot load its {PROVIDER}")
        self.runtime = f"onnxruntime {onnxruntime.__version__}, CUDA"
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self._outputs = file_outputs({entry.name for entry in self._session.get_outputs()}, str(path))

    def __call__(self, batch: Batch) -> np.ndarray:
        feeds = {name: values for name, values in batch.items() if name in self._inputs}
        return as_one(self._session.run(list(self._outputs), feeds))

    def close(self) -> None:
        """Release the session and its memory."""
        del self._session


def device_clock(runner: Runner, batch: Batch, runs: int) -> list[float]:
    """Time each run between two events on the GPU's stream, with the inputs already there [ms].

    Runs of ONNX Runtime are timed by the wall clock, around the whole call.
    """
    from device_bench.cpu import wall_clock

    if not isinstance(runner, TorchGpuRunner):
        return wall_clock(runner, batch, runs)
    inputs = runner.to_device(batch)
    return [_between_events(runner, inputs) for _ in range(runs)]


def _between_events(runner: TorchGpuRunner, inputs: dict[str, Any]) -> float:
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    runner.on_device(inputs)
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


def device_memory(runner: Runner) -> int:
    """The most that this process' tensors took on the GPU since it was last asked [bytes], its weights and,
    in graph mode, the graphs of earlier shapes included.

    What CUDA's context and libraries take is not in it, nor is what torch keeps in reserve. 0 for ONNX
    Runtime, which has an allocator of its own and does not tell.
    """
    if not isinstance(runner, TorchGpuRunner):
        return 0
    import torch

    most = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return most


def open_on_gpu(path: Path, mode: str) -> Runner:
    """The runner for `model.safetensors` in one of `MODES`, or for an ONNX file.

    Raises:
        EdgepressError: there is no GPU, or the file cannot be opened.
    """
    if path.suffix == ".onnx":
        return OnnxGpuRunner(path)
    require_gpu()
    return TorchGpuRunner(path.parent, mode)


def environment() -> dict[str, Any]:
    """The GPU's name, which records of different machines differ by."""
    import torch

    return {"gpu": torch.cuda.get_device_name()}


def main(path: Path, vocabulary: int, mode: str) -> None:
    """Serve a file on the GPU, as the command line says."""
    serve(lambda: open_on_gpu(path, mode), vocabulary, device_clock, environment, device_memory)


if __name__ == "__main__":
    file, _, vocabulary, mode = sys.argv[1:]
    answer_errors(lambda: main(Path(file), int(vocabulary), mode))
