"""OpenVINO: the IR that Intel's runtime and optimum-intel read; the graph (.xml) and its weights (.bin).

`python -m export.openvino --model MODEL` writes it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepress.core.errors import EdgepressError, unknown_name
from edgepress.core.outputs import as_one, file_outputs
from export.core.config import ExportConfig
from export.core.format import Format
from export.core.runner import Batch, Runner
from export.core.scheme import Options, Scheme
from export.core.shapes import ShapedRunner, Shapes

if TYPE_CHECKING:  # the process that measures a file needs neither torch nor transformers
    from transformers import PreTrainedModel

# Rows and tokens of the traced example where the file takes any; a tracer may take a 1 for a constant.
EXAMPLE = (2, 8)
INTEGERS = {"i8", "u8", "i4", "u4"}
IN_FULL_PRECISION = "precision_sensitive_0"  # OpenVINO's mark of inputs that are not to be halved
# Added to the score of a token that is not to be seen: exp(-30000) is 0, and fp16 holds the number.
HIDDEN = np.float32(-3e4)
MASK = 3  # the place of the mask among the inputs of an attention operation
REPORTS = "openvino_telemetry"
FUSED_PRODUCTS = 2  # one attention operation multiplies queries by keys, and the result by values


class OpenVinoFormat(Format):
    """OpenVINO IR, run by its CPU plugin."""

    name = "openvino"
    title = "OpenVINO"
    file = "openvino/openvino_model.xml"  # optimum-intel's name
    modules = ("openvino", "nncf")
    runtime = ("openvino",)
    snippet = """
import openvino

model = openvino.Core().compile_model(folder / {file}, "CPU")
found = model({{name: inputs[name].astype("int64") for name in {names}}})
outputs = [found[name] for name in {outputs}]
"""
    extra = "openvino"

    def write(self, model: PreTrainedModel, target: Path, config: ExportConfig) -> None:
        export(model, target, config.shapes)

    def open(self, path: Path, threads: int) -> Runner:
        return OpenVinoRunner(path, threads)

    def schemes(self) -> Mapping[str, Scheme]:
        return SCHEMES

    def parts(self, path: Path) -> tuple[Path, ...]:
        return (path, path.with_suffix(".bin"))

    def coverage(self, path: Path) -> str:
        return coverage(path)


def _openvino() -> ModuleType:
    with _without_reports():
        import openvino

        return openvino


@contextlib.contextmanager
def _without_reports() -> Iterator[None]:
    """Let openvino and nncf, which are imported in the block, send no reports of their use."""
    if REPORTS in sys.modules:
        yield
        return
    sys.modules[REPORTS] = None  # type: ignore[assignment]  # Python's way to forbid an import
    try:
        yield
    finally:
        del sys.modules[REPORTS]


def export(model: PreTrainedModel, target: Path, shapes: Shapes | None = None) -> None:
    """Write `model` in fp32 to `target` and its weights beside it; inputs are int64.

    Raises:
        EdgepressError: the tracer or OpenVINO's converter cannot follow the model.
    """
    import torch

    from edgepress.core.inputs import input_names

    openvino, taken = _openvino(), shapes or Shapes()
    size = (taken.batch or EXAMPLE[0], taken.fixed_length or EXAMPLE[1])
    example = {name: torch.ones(size, dtype=torch.int64) for name in input_names(model)}
    shape = openvino.PartialShape([taken.batch or -1, taken.fixed_length or -1])
    inputs = [(name, shape, openvino.Type.i64) for name in example]
    try:
        with _quiet(), torch.inference_mode():
            converted = openvino.convert_model(model, example_input=example, input=inputs)
    except Exception as error:  # the tracer raises whatever the model's code does
        kind = model.config.model_type
        raise EdgepressError(f"OpenVINO cannot convert {kind}: {_last_line(error)}") from error
    for value, name in zip(converted.inputs, example, strict=True):
        value.set_names({name})  # the tracer's numbers are names to it as well
    _finite_masks(converted)
    target.parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(converted, target, compress_to_fp16=False)


def _finite_masks(graph: Any) -> None:
    """Let attention add a large negative number where a mask of booleans hides a token.

    OpenVINO makes -inf of False, and NaN of a row that sees no token: padding whose whole local window is
    padding, as ModernBERT has it. Torch gives 0 there. Nobody reads such a row, but NaN spreads to others.
    """
    from openvino import opset13

    added: dict[Any, Any] = {}
    for node in graph.get_ordered_ops():
        # Queries, keys, values, mask: the mask is left out where nothing is hidden.
        if node.get_type_name() != "ScaledDotProductAttention" or node.get_input_size() <= MASK:
            continue
        mask = node.input_value(MASK)
        if mask.get_element_type().get_type_name() == "boolean":
            source = mask.get_node().get_friendly_name(), mask.get_index()
            added.setdefault(source, opset13.select(mask, np.float32(0), HIDDEN))
            node.input(MASK).replace_source_output(added[source].output(0))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep tracer warnings about constants and nncf's progress bars off the screen."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _last_line(error: BaseException) -> str:
    """OpenVINO's messages begin with the lines of its source and end with what is wrong."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def _read(path: Path) -> Any:
    """The graph of a file.

    Raises:
        EdgepressError: it is missing or damaged.
    """
    try:
        return _openvino().Core().read_model(path)
    except RuntimeError as error:
        raise EdgepressError(f"{path}: OpenVINO cannot open it: {_last_line(error)}") from error


def _shapes(graph: Any) -> Shapes:
    rows, length = (None if axis.is_dynamic else axis.get_length() for axis in graph.input(0).partial_shape)
    return Shapes(rows, () if length is None else (length,))


class OpenVinoRunner(ShapedRunner):
    """An IR in OpenVINO's CPU plugin, in fp32: by itself the plugin rounds to bf16 where the CPU has it."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        openvino = _openvino()
        self.runtime = f"openvino {openvino.__version__.split('-')[0]}"
        graph = _read(path)
        self.shapes = _shapes(graph)
        self.names = [entry.get_any_name() for entry in graph.inputs]
        names = {name for entry in graph.outputs for name in entry.get_names()}
        self._outputs = file_outputs(names, str(path))
        flags = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            self.compiled = openvino.Core().compile_model(graph, "CPU", flags)
        except RuntimeError as error:
            raise EdgepressError(f"{path}: OpenVINO cannot run it: {_last_line(error)}") from error

    def run(self, batch: Batch) -> np.ndarray:
        found = self.compiled(batch)
        return as_one([found[name] for name in self._outputs])

    def close(self) -> None:
        """Release the compiled model and its weights."""
        del self.compiled


def weight_layers(graph: Any) -> dict[str, list[str]]:
    """Layer name (the torch module's path) -> the nodes that multiply by, or look up in, its matrix."""
    layers: dict[str, list[str]] = {}
    for node in graph.get_ops():
        at = {"MatMul": 1, "Gather": 0}.get(node.get_type_name())
        name = node.get_friendly_name()
        if at is not None and name.startswith("__module.") and _stored_type(node.input_value(at)):
            layers.setdefault(name.split("/")[0].removeprefix("__module."), []).append(name)
    return layers


def _stored_type(value: Any) -> str:
    """The element type of the constant that a value is computed from; empty where there is none."""
    node = value.get_node()
    while node.get_type_name() in ("Convert", "Subtract", "Multiply"):
        node = node.input_value(0).get_node()
    return node.get_element_type().get_type_name() if node.get_type_name() == "Constant" else ""


def coverage(path: Path) -> str:
    """Count the matrix products with int8 (or int4) weights, "36/50".

    Products of the attention itself have no weights, and count among all.
    """
    quantized = total = 0
    for node in _read(path).get_ops():
        kind = node.get_type_name()
        total += {"MatMul": 1, "ScaledDotProductAttention": FUSED_PRODUCTS}.get(kind, 0)
        quantized += kind == "MatMul" and _stored_type(node.input_value(1)) in INTEGERS
    return f"{quantized}/{total}"


def _kept(graph: Any, keep_float: frozenset[str]) -> list[str]:
    """Names of the nodes of some layers.

    Raises:
        EdgepressError: a layer is none of the graph's.
    """
    known = weight_layers(graph)
    for layer in keep_float - known.keys():
        raise unknown_name("layer", layer, known)
    return [node for layer in sorted(keep_float) for node in known[layer]]


def _nncf() -> ModuleType:
    with _without_reports():
        import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf


def quantize_static(source: Path, target: Path, options: Options) -> None:
    """Weights per channel and activations in int8, with ranges fixed on `options.calibration_batches`.

    nncf's scheme for transformers: LayerNorm, Softmax and residual Adds stay in float, SmoothQuant (Xiao
    et al. 2022, arXiv:2211.10438) moves outliers of the activations into the weights first, and each
    layer's bias takes up the mean error that is left.

    Raises:
        EdgepressError: a layer of `options.keep_float` is unknown, or nncf has not the way to calibrate.
    """
    if options.calibration != "minmax":
        raise EdgepressError(f"nncf does not calibrate by {options.calibration}", "--calibration minmax")
    nncf, graph = _nncf(), _read(source)
    names, shapes = [entry.get_any_name() for entry in graph.inputs], _shapes(graph)
    batches = [shapes.fit({name: batch[name] for name in names}) for batch in options.calibration_batches]
    with _quiet():
        quantized = nncf.quantize(
            graph,
            nncf.Dataset(batches),
            subset_size=len(batches),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=_kept(graph, options.keep_float)),
            advanced_parameters=_parameters(nncf, options),
        )
    _openvino().save_model(quantized, target, compress_to_fp16=False)


def _parameters(nncf: ModuleType, options: Options) -> Any:
    overflow = nncf.OverflowFix.ENABLE if options.target.reduce_range else nncf.OverflowFix.DISABLE
    alpha = options.smooth_quant or -1  # below 0 it is off
    smooth = nncf.AdvancedSmoothQuantParameters(matmul=alpha)
    return nncf.AdvancedQuantizationParameters(overflow_fix=overflow, smooth_quant_alphas=smooth)


def quantize_weights(source: Path, target: Path, options: Options) -> None:
    """Weights and embedding tables in int8 per channel; the file leaves activations as they are.

    The CPU plugin then quantizes each product's activations at run time, in groups of 32.
    """
    nncf, graph = _nncf(), _read(source)
    with _quiet():
        ignored = nncf.IgnoredScope(names=_kept(graph, options.keep_float))
        compressed = nncf.compress_weights(graph, ignored_scope=ignored)
    _openvino().save_model(compressed, target, compress_to_fp16=False)


def halve(source: Path, target: Path, options: Options) -> None:
    """Weights in fp16; the CPU computes in fp32, so this saves size, not time."""
    graph = _read(source)
    kept = _kept(graph, options.keep_float)
    for node in graph.get_ops():
        if node.get_friendly_name() in kept:
            matrix = next(value for value in node.inputs() if _stored_type(value.get_source_output()))
            matrix.get_rt_info()[IN_FULL_PRECISION] = ""
    _openvino().save_model(graph, target, compress_to_fp16=True)


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            "int8-static",
            "int8",
            "openvino_model_int8.xml",
            quantize_static,
            calibrated=True,
            cpu_traits=("reduce_range",),
        ),
        Scheme("int8-weights", "int8", "openvino_model_w8.xml", quantize_weights),
        Scheme("fp16", "fp16", "openvino_model_fp16.xml", halve),
    )
}

FORMAT = OpenVinoFormat()

if __name__ == "__main__":
    from export.command.run import run_format

    run_format(FORMAT.name)
