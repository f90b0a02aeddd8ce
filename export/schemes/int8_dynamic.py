"""int8-dynamic: weights in int8 per channel, activations in uint8 with a scale found at each run."""

from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from export.quantization import Options, Scheme, nodes_of


def quantize(source: Path, target: Path, options: Options) -> None:
    """Write the file with ONNX Runtime's quantizer; the embedding tables are quantized as well.

    One scale a channel costs no time and is what keeps the accuracy: with the library's default, one
    scale a matrix, MiniLM loses a point on SST-2.
    """
    model = onnx.load(str(source))
    quantize_dynamic(
        model,
        target,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=options.target.reduce_range,
        nodes_to_exclude=nodes_of(model.graph, options.keep_float),
    )


SCHEME = Scheme("int8-dynamic", "int8", "model_quantized.onnx", quantize)
