"""`--scheme auto`: the smallest scheme that loses no more than allowed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import onnx

from compress.quantize.report import Found, Sensitivity
from edgepress.core import console
from edgepress.core.errors import EdgepressError, ExpectationError
from edgepress.core.intervals import Bounds, texts_needed
from export.command.session import ExportSession, Whole, Written
from export.core.scheme import Options, Scheme
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
class Limits:
    """Largest losses that a file is accepted with [points]."""

    score: float
    """Loss of the task's metric, or of agreement where there is no score."""
    label: float | None = None
    """Loss of any one label's recall; None: labels are not limited."""


def search(
    session: ExportSession, whole: Whole, schemes: Mapping[str, Scheme], options: Options, limits: Limits
) -> Found:
    """Walk from the smallest scheme to the largest and keep the first that loses no more than it may.

    Raises:
        ExpectationError: none does.
    """
    max_drop, parent = limits.score, session.parent_labels()
    tried: list[tuple[str, float]] = []
    sensitivities: list[Sensitivity] = []
    for scheme, layers in _candidates(session, whole, schemes, options, sensitivities):
        file = _attempt(session, whole, scheme, replace(options, keep_float=options.keep_float | layers))
        if file is None:
            continue
        loss, bounds = session.drop(file), file.verdict.loss
        tried.append((file.name, loss))
        worst, label = file.verdict.label_drop(parent)
        said = f", most of '{label}': {worst:.2f} points of recall" if worst > 0 else ""
        console.step(f"{file.name}: loses {loss:.2f} points{f' {bounds.percent()}' if bounds else ''}{said}")
        if loss <= max_drop and (limits.label is None or worst <= limits.label):
            _say_what_is_not_shown(bounds, loss, max_drop, session.evaluation_set().texts)
            return Found((file,), tuple(tried), tuple(sensitivities))
        file.path.unlink()
    best = min((loss for _, loss in tried), default=float("inf"))
    labels = "" if limits.label is None else f", and no label more than {limits.label:g}"
    flags = "--max-drop" if limits.label is None else "--max-drop or --max-label-drop"
    raise ExpectationError(
        f"no scheme loses at most {max_drop} points{labels}; the best of {len(tried)} loses {best:.2f}",
        f"nothing was written; allow more with {flags}",
    )


def _say_what_is_not_shown(bounds: Bounds | None, loss: float, max_drop: float, texts: int) -> None:
    """Warn where so few texts cannot show that no more than `max_drop` points are lost."""
    if bounds is None or 100 * bounds.high <= max_drop:
        return
    needed = texts_needed(bounds, loss / 100, max_drop / 100, texts)
    more = f"; about {needed:,} would show it" if needed else ""
    console.warn(
        f"{texts:,} texts cannot show a loss of at most {max_drop:g} points: it may be "
        f"{100 * bounds.high:.1f}{more}"
    )


def _attempt(session: ExportSession, whole: Whole, scheme: Scheme, options: Options) -> Written | None:
    """The file, or None where it is too far from the model: the search then goes on."""
    try:
        return session.quantize(whole, scheme, options)
    except ExpectationError as error:
        console.step(f"{scheme.name}: {error}")
        whole.path.with_name(scheme.file_name).unlink(missing_ok=True)
        return None


def _candidates(
    session: ExportSession,
    whole: Whole,
    schemes: Mapping[str, Scheme],
    options: Options,
    sensitivities: list[Sensitivity],
) -> Iterator[tuple[Scheme, frozenset[str]]]:
    """What to try, and which layers to leave in float; measures sensitivity only if it comes to that."""
    for name in SMALLEST_FIRST:
        if not schemes[name].calibrated or _calibrates(session, whole, name):
            yield schemes[name], frozenset()
    console.step("no whole scheme is good enough: measuring how sensitive each layer is")
    sensitivities += measure_sensitivity(session, whole, schemes[MIXED], options)
    for count in KEPT_LAYERS:
        if count < len(sensitivities):
            yield schemes[MIXED], frozenset(entry.layer for entry in sensitivities[:count])
    yield schemes[LARGEST], frozenset()


def _calibrates(session: ExportSession, whole: Whole, scheme: str) -> bool:
    """Whether there are sentences to calibrate on."""
    try:
        return bool(session.calibration(whole.config.shapes))
    except EdgepressError as error:
        console.step(f"{scheme} is left out: {error}")
        return False


def measure_sensitivity(
    session: ExportSession, whole: Whole, scheme: Scheme, options: Options
) -> list[Sensitivity]:
    """Quantize each layer alone and see how far the logits move; the most sensitive comes first."""
    layers = frozenset(weight_layers(onnx.load(str(whole.path)).graph))
    judge = session.judge(whole.config.shapes)
    target = whole.path.with_name("sensitivity.onnx")

    def rms(layer: str) -> float:
        session.quantize_into(target, whole, scheme, replace(options, keep_float=layers - {layer}))
        return judge.rms(target, SENSITIVITY_SENTENCES)

    try:
        found = [Sensitivity(layer, rms(layer)) for layer in sorted(layers - options.keep_float)]
    finally:
        target.unlink(missing_ok=True)
    return sorted(found, key=lambda entry: entry.rms, reverse=True)
