"""int8-dynamic: weights in int8 per channel, activations in uint8 with a range found at each run."""

from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from export.core.scheme import Options, Scheme
from export.onnx_graph.graph import GraphEdit
from export.onnx_graph.layers import nodes_of
from export.onnx_graph.products import merge_products
from export.onnx_graph.tables import quantize_tables

# No Conv: over words, ONNX Runtime's int8 convolution takes three times as long as the float one.
OPERATIONS = ["MatMul", "Gemm", "LSTM"]


def quantize(source: Path, target: Path, options: Options) -> None:
    """Write the products with ONNX Runtime's quantizer, and the embedding tables beside them.

    One scale a channel costs no time and is what keeps the accuracy: with the library's default, one
    scale a matrix, MiniLM loses a point on SST-2.
    """
    merged = GraphEdit(onnx.load(str(source)))
    kept = nodes_of(merged.model.graph, options.keep_float)
    merge_products(merged, options.keep_float)
    model = merged.edited()
    add_pre_process_metadata(model)  # what the quantizer would ask for, the exporter has done
    quantize_dynamic(
        model,
        target,
        op_types_to_quantize=OPERATIONS,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=options.target.reduce_range,
        # The quantizer first turns every Gemm into a MatMul with a name of its own.
        nodes_to_exclude=[*kept, *(f"{name}_MatMul" for name in kept)],
    )
    edit = GraphEdit(onnx.load(str(target)))
    quantize_tables(edit, options.keep_float)
    edit.save(target)


SCHEME = Scheme("int8-dynamic", "int8", "model_quantized.onnx", quantize, cpu_traits=("reduce_range",))
