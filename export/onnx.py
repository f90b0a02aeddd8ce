"""ONNX: writing a transformers classifier down, running the file, and counting what is int8 in it."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime

from edgepress.errors import EdgepressError, first_line
from export.graph import inline_shared_constants
from export.runner import Batch, Runner

if TYPE_CHECKING:  # the process that measures a file needs neither torch nor transformers
    from transformers import PreTrainedModel

# LayerNormalization came with 17, and every ONNX Runtime for Android since 1.12 opens it.
DEFAULT_OPSET = 17
SUPPORTED_OPSETS = range(14, 21)


def export(model: PreTrainedModel, target: Path, opset: int = DEFAULT_OPSET) -> None:
    """Write `model` to `target` with dynamic batch and sequence.

    Inputs are `input_ids, attention_mask[, token_type_ids]` int64, the output is `logits`. optimum's
    export configs know the inputs of each architecture.

    Raises:
        EdgepressError: optimum has no export config for the architecture, or the opset is unknown.
    """
    from optimum.exporters.onnx import export as optimum_export
    from optimum.exporters.tasks import TasksManager

    check_opset(opset)
    try:
        config_type = TasksManager.get_exporter_config_constructor(
            "onnx", model, task="text-classification", library_name="transformers"
        )
    except (KeyError, ValueError) as error:
        raise EdgepressError(f"no ONNX export for {model.config.model_type}: {first_line(error)}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    with _quiet():
        optimum_export(model, config_type(model.config), target, opset=opset)
    exported = onnx.load(str(target))
    inline_shared_constants(exported)
    onnx.save(exported, str(target))


def check_opset(opset: int) -> None:
    """Raise for an opset that the exporter cannot write."""
    if opset not in SUPPORTED_OPSETS:
        low, high = SUPPORTED_OPSETS[0], SUPPORTED_OPSETS[-1]
        raise EdgepressError(f"opset {opset} cannot be written", f"--opset takes {low} to {high}")


@contextlib.contextmanager
def _quiet():  # type: ignore[no-untyped-def]
    """Keep tracer warnings about constants off the screen: parity is what tells whether they matter."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


class OnnxRunner(Runner):
    """An ONNX file in ONNX Runtime's CPU provider."""

    runtime = f"onnxruntime {onnxruntime.__version__}"

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exception types are private to its extension module
            raise EdgepressError(f"{path}: ONNX Runtime cannot open it: {first_line(error)}") from error
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def __call__(self, batch: Batch) -> np.ndarray:
        feeds = {name: value for name, value in batch.items() if name in self._inputs}
        logits: np.ndarray = self._session.run(["logits"], feeds)[0]
        return logits

    def close(self) -> None:
        """Release the session and its weights."""
        del self._session


@dataclass(frozen=True)
class Coverage:
    """How many of a graph's matrix multiplications read int8 (or int4) operands."""

    quantized: int
    total: int

    def __str__(self) -> str:
        return f"{self.quantized}/{self.total}"


QUANTIZED_MATMULS = {
    "MatMulInteger",
    "QLinearMatMul",
    "MatMulNBits",
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
}
FLOAT_MATMULS = {"MatMul", "Gemm"}


def coverage(path: Path) -> Coverage:
    """Count the matrix multiplications of a file, and those that are quantized.

    Those between activations (attention scores and their product with the values) count in the total.
    """
    graph = onnx.load(str(path), load_external_data=False).graph
    dequantized = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    quantized = total = 0
    for node in graph.node:
        if node.op_type in QUANTIZED_MATMULS:
            quantized, total = quantized + 1, total + 1
        elif node.op_type in FLOAT_MATMULS:
            total += 1
            quantized += all(name in dequantized for name in node.input[:2])
    return Coverage(quantized, total)
