"""fp16: weights and arithmetic in half precision; inputs and logits stay as they are.

Half the size. CPUs without fp16 arithmetic convert back and forth, so on them it is not faster.
"""

from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.core.scheme import Options, Scheme
from export.onnx_graph.layers import nodes_of


def quantize(source: Path, target: Path, options: Options) -> None:
    """Write the fp16 file."""
    model = onnx.load(str(source))
    kept = nodes_of(model.graph, options.keep_float)
    onnx.save(convert_float_to_float16(model, keep_io_types=True, node_block_list=kept), str(target))


SCHEME = Scheme("fp16", "fp16", "model_fp16.onnx", quantize)
