"""int8-static: weights in int8 per channel, activations in 8 bits with ranges fixed by calibration (QDQ).

Quantized are the products with stored matrices on (batch, sequence, hidden), and the embedding
tables. LayerNorm, GELU, Softmax, residual Adds, the products between activations and the one-row
head stay in float: quantizing them costs accuracy and saves no time. SmoothQuant (Xiao et al. 2022,
arXiv:2211.10438) moves outliers of the activations into the weights first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto

from export.core.scheme import Options, Scheme
from export.onnx_graph.calibration import ChannelRange, Probe, channel_ranges, tensor_ranges
from export.onnx_graph.graph import GraphEdit, node
from export.onnx_graph.layers import check_layers, layer_name
from export.onnx_graph.tables import quantize_tables

TINY = 1e-8
SMALL = 1e-5
UNSIGNED_LEVELS = 255


def quantize(source: Path, target: Path, options: Options) -> None:
    """Calibrate on `options.calibration_batches` and write the QDQ file."""
    edit = GraphEdit(onnx.load(str(source)))
    check_layers(edit.model.graph, options.keep_float)
    sites = _sites(edit, options.keep_float)
    if sites:
        _quantize_products(edit, sites, options)
    quantize_tables(edit, options.keep_float)
    edit.save(target)


def _quantize_products(edit: GraphEdit, sites: Mapping[str, list[NodeProto]], options: Options) -> None:
    probe = Probe(edit.model, list(sites))
    channels = channel_ranges(probe, options.calibration_batches)
    smoothing = _smoothings(edit, sites, channels, options.smooth_quant)
    ranges = tensor_ranges(probe, options.calibration_batches, channels, smoothing, options.calibration)
    for activation, readers in sites.items():
        site = _Site(edit, activation, smoothing[activation], ranges[activation], options)
        site.quantize(readers)


def _sites(edit: GraphEdit, keep_float: frozenset[str]) -> dict[str, list[NodeProto]]:
    """Activation -> the products that read it (query, key and value share one)."""
    sites: dict[str, list[NodeProto]] = {}
    for product in edit.nodes:
        stored = product.op_type == "MatMul" and edit.is_constant(product.input[1])
        if stored and layer_name(product) not in keep_float:
            sites.setdefault(product.input[0], []).append(product)
    return sites


def _smoothings(
    edit: GraphEdit,
    sites: Mapping[str, list[NodeProto]],
    channels: Mapping[str, ChannelRange],
    alpha: float,
) -> dict[str, np.ndarray]:
    """SmoothQuant's divisors of each site; one for all sites that read the same weights (ALBERT's layers)."""
    magnitudes: dict[tuple[str, ...], np.ndarray] = {}
    for name, readers in sites.items():
        weights = _weights(readers)
        magnitudes[weights] = np.maximum(magnitudes.get(weights, 0), channels[name].magnitude)
    return {
        name: _smoothing(magnitudes[_weights(readers)], [edit.constant(w) for w in _weights(readers)], alpha)
        for name, readers in sites.items()
    }


def _weights(readers: list[NodeProto]) -> tuple[str, ...]:
    return tuple(product.input[1] for product in readers)


def _smoothing(magnitude: np.ndarray, weights: list[np.ndarray], alpha: float) -> np.ndarray:
    """The divisor of each channel, max|X|^alpha / max|W|^(1 - alpha) (eq. 4); ones for alpha 0."""
    if not alpha:
        return np.ones_like(magnitude)
    largest_weight = np.max([np.abs(weight).max(axis=1) for weight in weights], axis=0)
    return np.maximum(magnitude, SMALL) ** alpha / np.maximum(largest_weight, SMALL) ** (1 - alpha)


@dataclass(frozen=True)
class _Site:
    """An activation and how it is quantized."""

    edit: GraphEdit
    activation: str
    smoothing: np.ndarray
    range: tuple[float, float]
    options: Options

    def quantize(self, readers: list[NodeProto]) -> None:
        """Give all readers the activation through QuantizeLinear and DequantizeLinear, and int8 weights."""
        self.edit.insert_before(readers[0], self._activation_nodes())
        for product in readers:
            weight = _quantized_weight(self.edit, product, self.smoothing, self.options)
            output = node("MatMul", [self._name("dequantized"), weight[-1].output[0]], product.output[0])
            output.name = product.name
            self.edit.replace(product, [*weight, output])

    def _name(self, what: str) -> str:
        return f"{self.activation}_{what}"

    def _activation_nodes(self) -> list[NodeProto]:
        smooth = self.edit.add_constant(self._name("smoothing"), (1 / self.smoothing).astype(np.float32))
        scaled = bool((self.smoothing != 1).any())
        source = self._name("smoothed") if scaled else self.activation
        parameters = self._scale_and_zero_point()
        quantized, dequantized = self._name("quantized"), self._name("dequantized")
        return [
            *([node("Mul", [self.activation, smooth], source)] if scaled else []),
            node("QuantizeLinear", [source, *parameters], quantized),
            node("DequantizeLinear", [quantized, *parameters], dequantized),
        ]

    def _scale_and_zero_point(self) -> list[str]:
        low, high = min(self.range[0], 0.0), max(self.range[1], 0.0)
        scale = max(high - low, TINY) / UNSIGNED_LEVELS
        zero = round(-low / scale)
        # The same grid in either type: x86 multiplies u8 by s8 only, ARM s8 by s8.
        signed = self.options.target.signed_activations
        zero_point = np.int8(zero - 128) if signed else np.uint8(zero)
        return [
            self.edit.add_constant(self._name("scale"), np.float32(scale)),
            self.edit.add_constant(self._name("zero_point"), zero_point),
        ]


def _quantized_weight(
    edit: GraphEdit, product: NodeProto, smoothing: np.ndarray, options: Options
) -> list[NodeProto]:
    """Store the weight in int8, symmetric, one scale an output channel; the node that dequantizes it."""
    weight = edit.constant(product.input[1]) * smoothing[:, None]
    levels = 64 if options.target.reduce_range else 127
    scale = np.maximum(np.abs(weight).max(axis=0), TINY) / levels
    name = f"{product.input[1]}_int8"
    stored = edit.add_constant(name, np.rint(weight / scale).astype(np.int8))
    scales = edit.add_constant(f"{name}_scale", scale.astype(np.float32))
    return [node("DequantizeLinear", [stored, scales], f"{product.name}_weight", axis=1)]


SCHEME = Scheme(
    "int8-static",
    "int8",
    "model_int8.onnx",
    quantize,
    calibrated=True,
    cpu_traits=("reduce_range", "signed_activations"),
    rival="int8-dynamic",
    why_slower="ONNX Runtime fuses the bias into the dynamic kernel only, and smoothing multiplies each "
    "layer's input once more; finding a range at run time costs less than that",
)
