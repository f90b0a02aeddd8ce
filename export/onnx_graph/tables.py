"""Embedding tables in int8, the same way in every int8 scheme."""

import numpy as np
from onnx import NodeProto, TensorProto

from export.onnx_graph.graph import GraphEdit, node
from export.onnx_graph.layers import layer_name

LEVELS = 127
TINY = 1e-8
# The token types of BERT are two rows: quantizing them moves the logits, and saves a few kilobytes.
SMALLEST_BYTES = 16 * 1024


def quantize_tables(edit: GraphEdit, keep_float: frozenset[str]) -> None:
    """Store each embedding table in int8 with one scale a row, and scale the rows that are looked up.

    One scale a table, as ONNX Runtime's quantizer has it, lets a few outlying words coarsen all others.
    """
    for lookup in edit.nodes:
        if _is_table(edit, lookup) and layer_name(lookup) not in keep_float:
            _quantize(edit, lookup)


def _is_table(edit: GraphEdit, lookup: NodeProto) -> bool:
    if lookup.op_type != "Gather" or not edit.is_constant(lookup.input[0]):
        return False
    table = edit.constant(lookup.input[0])
    return table.dtype == np.float32 and table.nbytes >= SMALLEST_BYTES


def _quantize(edit: GraphEdit, lookup: NodeProto) -> None:
    table, ids, name = edit.constant(lookup.input[0]), lookup.input[1], lookup.output[0]
    scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), TINY) / LEVELS
    stored = edit.add_constant(f"{name}_table", np.rint(table / scale).astype(np.int8))
    scales = edit.add_constant(f"{name}_scales", scale.astype(np.float32))
    edit.replace(
        lookup,
        [
            node("Gather", [stored, ids], f"{name}_rows"),
            node("Gather", [scales, ids], f"{name}_row_scales"),
            node("Cast", [f"{name}_rows"], f"{name}_float", to=TensorProto.FLOAT),
            node("Mul", [f"{name}_float", f"{name}_row_scales"], name),
        ],
    )
