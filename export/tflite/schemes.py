"""Quantization schemes of LiteRT files, by ai-edge-quantizer's recipes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgepress.core.errors import EdgepressError, unknown_name
from export.core.quiet import quiet
from export.core.scheme import Options, Scheme
from export.tflite.contents import WEIGHTED, weight_layers, weighted

BLOCK = 32
Configure = Callable[[Any, Any], None]
"""Adds to a recipe of ai-edge-quantizer, (recipe manager, names of operations)."""


def _quantize(source: Path, target: Path, options: Options, configure: Configure) -> None:
    """Quantize a file by a recipe; layers of `options.keep_float` are left out of it.

    Raises:
        EdgepressError: such a layer is unknown.
    """
    with quiet():
        from ai_edge_quantizer import qtyping, quantizer
        from ai_edge_quantizer.algorithm_manager import AlgorithmName
        from ai_edge_quantizer.recipe_manager import RecipeManager

        recipe, operations = RecipeManager(), qtyping.TFLOperationName
        configure(recipe, operations)
        for scope in _kept(source, options):
            for name in WEIGHTED:
                kept = AlgorithmName.NO_QUANTIZE
                recipe.add_quantization_config(_only(scope), operations(name), algorithm_key=kept)
        found = quantizer.Quantizer(str(source), recipe.get_quantization_recipe())
        quantized = found.quantize(enable_progress_bar=False, enable_progress_report=False)
    target.write_bytes(quantized.quantized_model)


def _only(scope: str) -> str:
    """The pattern of one scope."""
    return f"^{re.escape(scope)}$"


def _kept(source: Path, options: Options) -> list[str]:
    """Scopes of the layers that stay in float."""
    if not options.keep_float:
        return []
    if options.model is None:
        raise EdgepressError("LiteRT finds layers by the torch model, and there is none", "name a model")
    known = weight_layers(source, options.model)
    for layer in sorted(options.keep_float - known.keys()):
        raise unknown_name("layer", layer, known)
    return [scope for layer in sorted(options.keep_float) for scope in known[layer]]


def quantize_dynamic(source: Path, target: Path, options: Options) -> None:
    """Weights and embedding tables in int8 per channel, activations in int8 with ranges found at run time."""
    _quantize(
        source,
        target,
        options,
        lambda recipe, operations: recipe.add_dynamic_config(".*", operations.ALL_SUPPORTED, 8),
    )


def quantize_weights(source: Path, target: Path, options: Options) -> None:
    """Weights and embedding tables in int8 per channel; the runtime makes floats of them at each run."""
    _quantize(
        source,
        target,
        options,
        lambda recipe, operations: recipe.add_weight_only_config(".*", operations.ALL_SUPPORTED, 8),
    )


def quantize_blocks(source: Path, target: Path, options: Options) -> None:
    """Weights in int4 by blocks of 32, embedding tables in int8, activations in int8 found at run time.

    Matrices whose rows are no multiple of a block are in int8.
    """

    def configure(recipe: Any, operations: Any) -> None:
        from ai_edge_quantizer.qtyping import QuantGranularity

        recipe.add_dynamic_config(".*", operations.EMBEDDING_LOOKUP, 8)
        blocks = QuantGranularity.BLOCKWISE_32
        recipe.add_dynamic_config(".*", operations.FULLY_CONNECTED, 4, granularity=blocks)
        for operator in weighted(source):
            if operator.shape[-1] % BLOCK:
                recipe.add_dynamic_config(_only(operator.scope), operations.FULLY_CONNECTED, 8)

    _quantize(source, target, options, configure)


def halve(source: Path, target: Path, options: Options) -> None:
    """Weights in fp16; the CPU computes in fp32, so this saves size, not time."""

    def configure(recipe: Any, operations: Any) -> None:
        from ai_edge_quantizer import qtyping
        from ai_edge_quantizer.algorithm_manager import AlgorithmName

        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=half,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        recipe.add_quantization_config(
            ".*", operations.ALL_SUPPORTED, config, algorithm_key=AlgorithmName.FLOAT_CASTING
        )

    _quantize(source, target, options, configure)


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("int8-dynamic", "int8", "model_int8.tflite", quantize_dynamic),
        Scheme("int8-weights", "int8", "model_w8.tflite", quantize_weights),
        Scheme("int4-dynamic", "int4", "model_q4.tflite", quantize_blocks),
        Scheme("fp16", "fp16", "model_fp16.tflite", halve),
    )
}
