"""int8-weights: weights and embedding tables in 8 bits, activations untouched: closest to fp32."""

from pathlib import Path

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

from export.core.scheme import Options, Scheme
from export.onnx_graph.graph import GraphEdit
from export.onnx_graph.layers import nodes_of
from export.onnx_graph.tables import quantize_tables

BLOCK = 128
# The kernel multiplies blocks in int8; in fp32 it is several times slower.
INT8_ARITHMETIC = 4


def quantize(source: Path, target: Path, options: Options) -> None:
    """Write the products with ONNX Runtime's blockwise quantizer, and the tables beside them."""
    model = onnx.load(str(source))
    config = DefaultWeightOnlyQuantConfig(
        block_size=options.block_size or BLOCK, is_symmetric=True, accuracy_level=INT8_ARITHMETIC, bits=8
    )
    excluded = nodes_of(model.graph, options.keep_float)
    quantizer = MatMulNBitsQuantizer(model, algo_config=config, nodes_to_exclude=excluded)
    quantizer.process()
    edit = GraphEdit(quantizer.model.model)
    quantize_tables(edit, options.keep_float)
    edit.save(target)


SCHEME = Scheme("int8-weights", "int8", "model_w8.onnx", quantize, block_size=BLOCK)
