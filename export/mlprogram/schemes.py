"""Schemes of Core ML packages: coremltools compresses the weights of a package as it is saved.

Arithmetic stays in half precision; weights are decompressed as they are read. All run on iOS 16.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgepress.core.errors import EdgepressError, unknown_name
from export.core.scheme import Options, Scheme
from export.mlprogram.config import CoreMlConfig
from export.mlprogram.convert import write
from export.mlprogram.package import layer_of, quiet

# coremltools.optimize.coreml and a matrix -> how it is to be compressed.
Setting = Callable[[Any, np.ndarray], Any]


def fp32(source: Path, target: Path, options: Options) -> None:  # noqa: ARG001 - halves cannot be undone
    """Write the model anew, in single precision."""
    if options.model is None or options.export is None:
        raise EdgepressError("fp32 is written from the model in torch, not from a package")
    write(options.model, target, options.export, "fp32")


def int8_weights(source: Path, target: Path, options: Options) -> None:
    """8 bits, symmetric, one scale a row (an output, or a token of an embedding)."""

    def setting(coreml: Any, _: np.ndarray) -> Any:
        return coreml.OpLinearQuantizerConfig(
            mode="linear_symmetric", dtype="int8", granularity="per_channel"
        )

    _compress(source, target, options, "linear_quantize_weights", setting)


def palette(source: Path, target: Path, options: Options, bits: int) -> None:
    """Indices into 2^bits values a matrix, which k-means chooses (Han, Mao & Dally 2016, section 3).

    coremltools clusters the distinct values of half precision, weighted by how often they occur, exactly:
    at most 65,536 of them, however many weights there are.
    """

    def setting(coreml: Any, _: np.ndarray) -> Any:
        return coreml.OpPalettizerConfig(mode="kmeans", nbits=bits)

    _compress(source, target, options, "palettize_weights", setting)


def pruned(source: Path, target: Path, options: Options) -> None:
    """The smallest weights of each matrix become zero and are left out of the file (Han et al. 2015)."""
    share = options.export.sparsity if isinstance(options.export, CoreMlConfig) else CoreMlConfig.sparsity

    def setting(coreml: Any, weight: np.ndarray) -> Any:
        # coremltools' own threshold for a share is taken in half precision and overflows.
        magnitudes = np.abs(weight.astype(np.float32)).ravel()
        last = int(share * (magnitudes.size - 1))
        threshold = float(np.partition(magnitudes, last)[last])
        return coreml.OpThresholdPrunerConfig(threshold=threshold, minimum_sparsity_percentile=0.0)

    _compress(source, target, options, "prune_weights", setting)


def _compress(source: Path, target: Path, options: Options, function: str, setting: Setting) -> None:
    with quiet():
        from coremltools.models import MLModel
        from coremltools.optimize import coreml

        package = MLModel(str(source), skip_model_load=True)
        weights = {
            name: weight.val
            for name, weight in coreml.get_weights_metadata(package).items()
            if weight.val.ndim > 1
        }
        kept = _names(weights, options.keep_float)
        settings = {name: None if name in kept else setting(coreml, value) for name, value in weights.items()}
        config = coreml.OptimizationConfig(op_name_configs=settings)
        getattr(coreml, function)(package, config).save(str(target))


def _names(weights: dict[str, np.ndarray], layers: frozenset[str]) -> set[str]:
    known = {layer_of(name): name for name in weights}
    for layer in layers:
        if layer.replace(".", "_") not in known:
            raise unknown_name("layer", layer, known)
    return {known[layer.replace(".", "_")] for layer in layers}


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("fp32", "fp32", "model_fp32.mlpackage", fp32),
        Scheme("int8-weights", "int8", "model_w8.mlpackage", int8_weights),
        Scheme("palette6", "int6", "model_p6.mlpackage", partial(palette, bits=6)),
        Scheme("palette4", "int4", "model_p4.mlpackage", partial(palette, bits=4)),
        Scheme("pruned", "sparse", "model_pruned.mlpackage", pruned),
    )
}
