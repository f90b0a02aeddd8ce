"""int4-weights: weights and embedding tables in 4 bits by blocks of 32: the smallest file."""

from pathlib import Path

import numpy as np
import onnx
from onnx import version_converter
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

from export.core.scheme import Options, Scheme
from export.onnx_graph.graph import drop_shapes
from export.onnx_graph.layers import nodes_of, weight_layers

BLOCK = 32
# 4-bit tensors came with it; the quantizer would write the number and leave the operations as they were.
OPSET = 21
# The kernel multiplies blocks in int8; in fp32 it is several times slower.
INT8_ARITHMETIC = 4


def quantize(source: Path, target: Path, options: Options) -> None:
    """Write the file with ONNX Runtime's blockwise quantizer; asymmetric, which halves the drift."""
    model = version_converter.convert_version(onnx.load(str(source)), OPSET)
    config = DefaultWeightOnlyQuantConfig(
        block_size=options.block_size or BLOCK,
        is_symmetric=False,
        accuracy_level=INT8_ARITHMETIC,
        bits=4,
        op_types_to_quantize=("MatMul", "Gather"),
    )
    excluded = [*nodes_of(model.graph, options.keep_float), *_lookups_of_shapes(model)]
    quantizer = MatMulNBitsQuantizer(model, algo_config=config, nodes_to_exclude=excluded)
    with np.errstate(invalid="ignore"):  # a block of zeros has no scale; the quantizer sees to it
        quantizer.process()
    drop_shapes(quantizer.model.model)
    onnx.save(quantizer.model.model, str(target))


def _lookups_of_shapes(model: onnx.ModelProto) -> list[str]:
    tables = set(weight_layers(model.graph).values())
    return [node.name for node in model.graph.node if node.op_type == "Gather" and node.name not in tables]


SCHEME = Scheme("int4-weights", "int4", "model_q4.onnx", quantize, block_size=BLOCK)
