"""`--scheme auto`: the smallest scheme that loses no more than allowed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from compress.quantize.variants import Builder, Variant
from edgepress.errors import ExpectationError
from export.base.scheme import Scheme
from export.onnx_graph.layers import weight_layers

# From the smallest file to the largest (results/quantize). What has layers left in float lies in size
# between int8 and fp16.
SMALLEST_FIRST = ("int4-weights", "int8-dynamic", "int8-static", "int8-weights")
MIXED = "int8-dynamic"
LARGEST = "fp16"
# How many of the most sensitive layers are left in float, one try after the other.
KEPT_LAYERS = (1, 2, 4, 8, 16)
# Ranking layers needs fewer sentences than judging a file.
SENSITIVITY_SENTENCES = 128


@dataclass(frozen=True)
class Sensitivity:
    """How much the logits move when one layer alone is quantized."""

    layer: str
    rms: float
    """Root mean square of the logits' differences from the parent's."""


@dataclass(frozen=True)
class Found:
    """The variants that are kept, and how the search came to them if there was one."""

    kept: tuple[Variant, ...]
    tried: tuple[tuple[str, float], ...] = ()
    """Name and loss [points] of each variant, in the order of trying."""
    sensitivities: tuple[Sensitivity, ...] = ()


def search(
    builder: Builder, schemes: Mapping[str, Scheme], max_drop: float, say: Callable[[str], None]
) -> Found:
    """Walk from the smallest scheme to the largest and keep the first that loses at most `max_drop` points.

    Raises:
        ExpectationError: none does.
    """
    tried: list[tuple[str, float]] = []
    sensitivities: list[Sensitivity] = []
    for scheme, layers in _candidates(builder, schemes, sensitivities, say):
        variant = _attempt(builder, scheme, layers, say)
        if variant is None:
            continue
        loss = builder.drop(variant)
        tried.append((variant.name, loss))
        say(f"{variant.name}: loses {loss:.2f} points")
        if loss <= max_drop:
            return Found((variant,), tuple(tried), tuple(sensitivities))
        variant.path.unlink()
    best = min((loss for _, loss in tried), default=float("inf"))
    raise ExpectationError(
        f"no scheme loses at most {max_drop} points; the best of {len(tried)} loses {best:.2f}",
        "nothing was written; allow more with --max-drop",
    )


def _attempt(
    builder: Builder, scheme: Scheme, layers: frozenset[str], say: Callable[[str], None]
) -> Variant | None:
    """The variant, or None where it is out of its parent's reach: the search then goes on."""
    try:
        return builder.build(scheme, layers)
    except ExpectationError as error:
        say(f"{scheme.name}: {error}")
        builder.target(scheme).unlink(missing_ok=True)
        return None


def _candidates(
    builder: Builder,
    schemes: Mapping[str, Scheme],
    sensitivities: list[Sensitivity],
    say: Callable[[str], None],
) -> Iterator[tuple[Scheme, frozenset[str]]]:
    """What to try, and which layers to leave in float; measures sensitivity only if it comes to that."""
    for name in SMALLEST_FIRST:
        if builder.options.calibration_batches or not schemes[name].calibrated:
            yield schemes[name], frozenset()
    say("no whole scheme is good enough: measuring how sensitive each layer is")
    sensitivities += measure_sensitivity(builder, schemes[MIXED])
    for count in KEPT_LAYERS:
        if count < len(sensitivities):
            yield schemes[MIXED], frozenset(entry.layer for entry in sensitivities[:count])
    yield schemes[LARGEST], frozenset()


def measure_sensitivity(builder: Builder, scheme: Scheme) -> list[Sensitivity]:
    """Quantize each layer alone and see how far the logits move; the most sensitive comes first."""
    layers = frozenset(weight_layers(onnx.load(str(builder.parent)).graph))
    parent = np.concatenate(builder.judge.logits(builder.parent, SENSITIVITY_SENTENCES))
    target = builder.parent.with_name("sensitivity.onnx")
    try:
        found = [
            Sensitivity(layer, _rms(builder, scheme, layers - {layer}, target, parent))
            for layer in sorted(layers - builder.options.keep_float)
        ]
    finally:
        target.unlink(missing_ok=True)
    return sorted(found, key=lambda entry: entry.rms, reverse=True)


def _rms(
    builder: Builder, scheme: Scheme, keep_float: frozenset[str], target: Path, parent: np.ndarray
) -> float:
    builder.quantize(scheme, keep_float, target)
    difference = np.concatenate(builder.judge.logits(target, SENSITIVITY_SENTENCES)) - parent
    return float(np.sqrt(np.mean(difference**2)))
