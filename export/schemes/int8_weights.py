"""int8-weights: weights and embedding tables in 8 bits by blocks: closest to fp32."""

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

from export.graph import CONTRIB_DOMAIN, GraphEdit, node
from export.quantization import Options, Scheme, layer_name, nodes_of

BLOCK = 128
BLOCKS = (128, 64, 32, 16)
INT8_ARITHMETIC = 4


def quantize(source: Path, target: Path, options: Options) -> None:
    """Write the products with ONNX Runtime's blockwise quantizer, and the tables beside it."""
    model = onnx.load(str(source))
    config = DefaultWeightOnlyQuantConfig(
        block_size=BLOCK, is_symmetric=True, accuracy_level=INT8_ARITHMETIC, bits=8
    )
    excluded = nodes_of(model.graph, options.keep_float)
    quantizer = MatMulNBitsQuantizer(model, algo_config=config, nodes_to_exclude=excluded)
    quantizer.process()
    onnx.save(quantizer.model.model, str(target))
    edit = GraphEdit(target)
    for gather in edit.nodes:
        if layer_name(gather) not in options.keep_float:
            _quantize_table(edit, gather)
    edit.save(target)


def _quantize_table(edit: GraphEdit, gather: NodeProto) -> None:
    """Store an embedding table in 8 bits, one scale a block of a row; the quantizer does 4 bits only."""
    if gather.op_type != "Gather" or not edit.is_constant(gather.input[0]):
        return
    table = edit.constant(gather.input[0])
    block = next((size for size in BLOCKS if table.shape[-1] % size == 0), None)
    if table.dtype != np.float32 or block is None:
        return
    rows = table.reshape(len(table), -1, block)
    scale = np.maximum(np.abs(rows).max(axis=2, keepdims=True), 1e-9) / 127
    name = gather.output[0]
    # The operator takes uint8 and means 128 by zero where no zero point is given.
    stored = edit.add_constant(
        f"{name}_table", (np.rint(rows / scale) + 128).astype(np.uint8).reshape(table.shape)
    )
    scales = edit.add_constant(f"{name}_scale", scale[:, :, 0].astype(np.float32))
    attributes = {"gather_axis": 0, "quantize_axis": 1, "block_size": block, "bits": 8}
    inputs = [stored, gather.input[1], scales]
    edit.replace(gather, [node("GatherBlockQuantized", inputs, name, CONTRIB_DOMAIN, **attributes)])


SCHEME = Scheme("int8-weights", "int8", "model_w8.onnx", quantize)
