"""What every quantization scheme of ONNX files shares: its options, its target CPU, the names of layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx

from edgepress.errors import unknown_name
from export.runner import Batch

Calibration = Literal["minmax", "entropy", "percentile"]


@dataclass(frozen=True)
class CpuTarget:
    """What a CPU's int8 instructions ask of a file."""

    name: str
    reduce_range: bool
    """Weights in 7 bits: without VNNI, u8 x s8 products are summed in pairs into 16 bits and saturate."""
    signed_activations: bool
    """Activations in s8: what ARM's dot products take; x86 has u8 x s8 only."""


CPU_TARGETS = {
    target.name: target
    for target in (
        CpuTarget("avx2", reduce_range=True, signed_activations=False),
        CpuTarget("avx512", reduce_range=True, signed_activations=False),
        CpuTarget("avx512_vnni", reduce_range=False, signed_activations=False),
        CpuTarget("arm64", reduce_range=False, signed_activations=True),
    )
}


@dataclass(frozen=True)
class Options:
    """What a scheme may need to know besides the file."""

    target: CpuTarget
    keep_float: frozenset[str] = frozenset()
    """Names of layers (as `weight_layers` gives them) that stay as they are."""
    calibration_batches: Sequence[Batch] = ()
    """Real sentences at batch 1, for schemes that fix the activations' ranges."""
    calibration: Calibration = "minmax"
    smooth_quant: float = 0.8
    """Migration strength alpha of SmoothQuant (Xiao et al. 2022, eq. 4); 0 turns it off."""


@dataclass(frozen=True)
class Scheme:
    """One way to make an ONNX file smaller."""

    name: str
    precision: Literal["int8", "int4", "fp16"]
    file_name: str
    """transformers.js' name for a file of this kind, below onnx/."""
    quantize: Callable[[Path, Path, Options], None]
    """(fp32 file, file to write, options)."""
    calibrated: bool = False
    """Whether it needs `Options.calibration_batches`."""
    rival: str | None = None
    """A cheaper scheme that it has to beat, and `why_slower`: what costs it the time where it does not."""
    why_slower: str = ""


def layer_name(node: onnx.NodeProto) -> str:
    """The module path in the torch model ("bert.encoder.layer.0.attention.self.query")."""
    return node.name.rpartition("/")[0].strip("/").replace("/", ".")


def weight_layers(graph: onnx.GraphProto) -> dict[str, str]:
    """Layer name -> node name, of every node that multiplies by, or looks up in, a stored matrix."""
    matrices = {tensor.name for tensor in graph.initializer if len(tensor.dims) > 1}
    return {
        layer_name(node): node.name
        for node in graph.node
        if (node.op_type in ("MatMul", "Gemm") and node.input[1] in matrices)
        or (node.op_type == "Gather" and node.input[0] in matrices)
    }


def check_layers(graph: onnx.GraphProto, layers: frozenset[str]) -> None:
    """Raise for a layer that is none of the graph's."""
    known = weight_layers(graph)
    for layer in layers:
        if layer not in known:
            raise unknown_name("layer", layer, known)


def nodes_of(graph: onnx.GraphProto, layers: frozenset[str]) -> list[str]:
    """The node names of some layers.

    Raises:
        EdgepressError: a layer is none of the graph's.
    """
    check_layers(graph, layers)
    known = weight_layers(graph)
    return [known[layer] for layer in sorted(layers)]
