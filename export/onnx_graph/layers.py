"""The layers of an ONNX graph, named as the modules of the torch model they came from."""

from dataclasses import dataclass
from pathlib import Path

import onnx

from edgepress.core.errors import unknown_name

QUANTIZED_MATMULS = {
    "MatMulInteger",
    "QLinearMatMul",
    "MatMulNBits",
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
    "DynamicQuantizeLSTM",
}
FLOAT_MATMULS = {"MatMul", "Gemm", "LSTM", "Conv"}


def layer_name(node: onnx.NodeProto) -> str:
    """The module path in the torch model ("bert.encoder.layer.0.attention.self.query")."""
    return node.name.rpartition("/")[0].strip("/").replace("/", ".")


def weight_layers(graph: onnx.GraphProto) -> dict[str, str]:
    """Layer name -> node name, of every node that multiplies by, or looks up in, a stored matrix."""
    matrices = {tensor.name for tensor in graph.initializer if len(tensor.dims) > 1}
    return {
        layer_name(node): node.name
        for node in graph.node
        if (node.op_type in FLOAT_MATMULS and node.input[1] in matrices)
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


@dataclass(frozen=True)
class Coverage:
    """Numbers of a graph's matrix multiplications: those that read int8 (or int4) operands, and all."""

    quantized: int
    total: int

    def __str__(self) -> str:
        return f"{self.quantized}/{self.total}"


def coverage(path: Path) -> Coverage:
    """Count the matrix multiplications of a file, and those that are quantized.

    A convolution counts as one, and so does an LSTM. Those between activations (attention scores and
    their product with the values) count in the total.
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
