"""`--scheme auto`: the files that lose no more than allowed, of all schemes of some formats.

Where the smallest file is sought, files are compared with the model from the smallest to the largest, and the
first that is good enough ends the search. Where the fastest is, all that are good enough are kept, for
timing tells which it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from compress.quantize.checks import FormatSchemes, Limits, WrittenFormat
from edgepress.core import console
from edgepress.core.errors import EdgepressError, ExpectationError
from edgepress.core.intervals import Bounds, points_text, texts_needed
from export.command.session import ExportSession, QuantizedFile, Whole, Written
from export.core.registry import size_bytes
from export.core.scheme import Options, Scheme

LARGEST = "fp16"
"""Precision that is larger than a file of int8 with some layers in float."""
FINER_BLOCK = 32
"""Weights that share a scale where more of them lose too much."""
# How many of the most sensitive layers are left in float, one try after the other.
KEPT_LAYERS = (1, 2, 4, 8, 16)
# Ranking layers needs fewer sentences than judging a file.
SENSITIVITY_SENTENCES = 128


@dataclass(frozen=True)
class Sensitivity:
    """Change of the logits when one layer alone is quantized."""

    layer: str
    rms: float
    """Root mean square of the logits' differences from the parent's."""


@dataclass
class Search:
    """A walk over the schemes of some formats."""

    session: ExportSession
    formats: Sequence[WrittenFormat]
    options: Options
    limits: Limits
    tried: list[tuple[str, float]] = field(default_factory=list)
    """Name and loss [points] of each file, in the order of trying."""
    sensitivities: list[Sensitivity] = field(default_factory=list)
    failed: list[EdgepressError] = field(default_factory=list)
    """Why schemes could not be tried."""
    _said: dict[str, str] = field(default_factory=dict)
    """Name of each file -> its loss with the interval, in words."""

    def smallest(self) -> list[Written]:
        """The smallest file that is good enough, alone.

        Raises:
            ExpectationError: none is.
        """
        files = sorted(self._prepared(), key=lambda own: size_bytes(own.path))
        small = [own for own in files if own.scheme.precision != LARGEST]
        large = [own for own in files if own.scheme.precision == LARGEST]
        for file in self._walk(small, large):
            if (found := self._judged(file)) is not None:
                for other in files:
                    if other.path != found.path:
                        self.session.discard(other)
                return [found]
        raise self._nothing()

    def every(self) -> list[Written]:
        """All files that are good enough.

        Where no file of a format that computes in int8 is, one with layers in float takes their place.

        Raises:
            ExpectationError: none is.
        """
        found = [own for file in self._prepared() if (own := self._judged(file)) is not None]
        for format_ in self.formats:
            if not any(_computes(file, format_.part) for file in found):
                mixed = (kept for file in self._mixed(format_) if (kept := self._judged(file)) is not None)
                found += [kept for kept in (next(mixed, None),) if kept is not None]
        if not found:
            raise self._nothing()
        return found

    def _walk(
        self, small: Sequence[QuantizedFile], large: Sequence[QuantizedFile]
    ) -> Iterator[QuantizedFile]:
        yield from small
        for own in self.formats:
            yield from self._finer(own)
        for own in self.formats:
            yield from self._mixed(own)
        yield from large

    def _prepared(self) -> Iterator[QuantizedFile]:
        """A file of each scheme of each format; what fails is named and left out."""
        for own in self.formats:
            for scheme in own.part.schemes:
                console.step(f"{own.part.format.title}: {scheme.name}")
                try:
                    yield self.session.quantize(own.whole, scheme, self.options)
                except EdgepressError as error:
                    self.failed.append(error)
                    console.step(f"{scheme.name} is left out: {error}")

    def _judged(self, file: QuantizedFile) -> Written | None:
        """The file, or None where it loses too much or is too far from the model: it is removed then."""
        try:
            found = self.session.compare(file)
        except ExpectationError as error:
            console.step(f"{file.scheme.name}: {error}")
            return None
        name = f"{found.format.title} {found.name}" if len(self.formats) > 1 else found.name
        loss, bounds = self.session.drop(found), found.verdict.loss
        self.tried.append((name, loss))
        worst, words = found.verdict.worst_drop(self.session.opened.kind, self.session.parent().labels)
        self._said[name] = points_text(loss, bounds)
        console.step(f"{name}: loses {self._said[name]}{f', {words}' if words else ''}")
        if self.limits.allow(loss, worst):
            return found
        self.session.discard(found)
        return None

    def _finer(self, own: WrittenFormat) -> Iterator[QuantizedFile]:
        """Files of int8 with smaller blocks, where the user names none."""
        if self.options.block_size is None:
            for scheme in own.part.schemes:
                if scheme.precision == "int8" and (scheme.block_size or 0) > FINER_BLOCK:
                    options = replace(self.options, block_size=FINER_BLOCK)
                    yield self.session.quantize(own.whole, scheme, options)

    def _mixed(self, own: WrittenFormat) -> Iterator[QuantizedFile]:
        """Files of int8 that leave ever more of the most sensitive layers in float."""
        whole, scheme = own.whole, own.part.default
        if scheme is None or not whole.format.layers(whole.path):
            return
        console.step(f"no {whole.format.title} file that computes in int8 is good enough: ranking its layers")
        ranked = measure_sensitivity(self.session, whole, scheme, self.options)
        self.sensitivities += ranked
        for count in KEPT_LAYERS:
            if count < len(ranked):
                layers = frozenset(entry.layer for entry in ranked[:count])
                options = replace(self.options, keep_float=self.options.keep_float | layers)
                yield self.session.quantize(whole, scheme, options)

    def _nothing(self) -> EdgepressError:
        if not self.tried and self.failed:
            return self.failed[0]
        best = min(self.tried, key=lambda own: own[1], default=("", math.inf))
        limits = self.limits
        worst = self.session.opened.kind.of_worst
        labels = "" if limits.label is None else f", and {limits.label:g} {worst}"
        flags = "--max-drop" if limits.label is None else "--max-drop or --max-label-drop"
        return ExpectationError(
            f"no scheme loses at most {limits.score} points{labels}; the best of {len(self.tried)} "
            f"loses {self._said.get(best[0], 'more')}",
            f"nothing was written; allow more with {flags}",
        )


def _computes(file: Written, part: FormatSchemes) -> bool:
    """Whether a file is of the format's own int8, or of a scheme that has to beat it."""
    own = part.default
    scheme = file.scheme if file.format is part.format else None
    return own is not None and scheme is not None and own.name in (scheme.name, scheme.rival)


def say_what_is_not_shown(file: Written, loss: float, max_drop: float, texts: int) -> None:
    """Warn where so few texts cannot show that a file loses no more than `max_drop` points."""
    bounds: Bounds | None = file.verdict.loss
    if bounds is None or 100 * bounds.high <= max_drop:
        return
    needed = texts_needed(bounds, loss / 100, max_drop / 100, texts)
    more = f"; about {needed:,} would show it" if needed else ""
    console.warn(
        f"{texts:,} texts cannot show a loss of at most {points_text(max_drop)}: it may be "
        f"{100 * bounds.high:.1f}{more}"
    )


def measure_sensitivity(
    session: ExportSession, whole: Whole, scheme: Scheme, options: Options
) -> list[Sensitivity]:
    """Quantize each layer alone and see how far the logits move; the most sensitive comes first."""
    layers = frozenset(whole.format.layers(whole.path))
    judge = session.validator(whole.config.shapes)
    alone = QuantizedFile(whole, whole.path.with_name(f"sensitivity{whole.path.suffix}"), scheme)

    def rms(layer: str) -> float:
        session.quantize_into(alone.path, whole, scheme, replace(options, keep_float=layers - {layer}))
        return judge.rms(alone.path, SENSITIVITY_SENTENCES)

    try:
        found = [Sensitivity(layer, rms(layer)) for layer in sorted(layers - options.keep_float)]
    finally:
        session.discard(alone)
    return sorted(found, key=lambda entry: entry.rms, reverse=True)
