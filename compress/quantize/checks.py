"""What the flags ask for, and everything about them that can be wrong before a model is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compress.quantize.config import QuantizeConfig
from edgepress.core import console
from edgepress.core.artifact import refuse_output
from edgepress.core.errors import HELP_SAYS, EdgepressError, unknown_name
from edgepress.core.models import short_name
from edgepress.core.option_values import require_numbers
from export.core.format import Format
from export.core.registry import find_format, formats
from export.core.scheme import Scheme
from export.onnx import check_opset

if TYPE_CHECKING:
    from edgepress.core.tasks.kind import TaskKind
    from export.command.session import Whole, Written

AUTO = "auto"
ALL = "all"
# The format that is not named in a folder, and that comes first.
USUAL = "onnx"
DEFAULT_PRECISION = "int8"
SHORT_SUFFIXES = {"int8-dynamic": "int8"}


@dataclass(frozen=True)
class FormatSchemes:
    """A format, and what to write in it."""

    format: Format
    schemes: tuple[Scheme, ...]
    """Schemes to make, or for `auto` to try."""

    @property
    def default(self) -> Scheme | None:
        """The format's own int8, where it is among them."""
        return next((own for own in self.schemes if own.precision == DEFAULT_PRECISION), None)


@dataclass(frozen=True)
class QuantizeRequest:
    """Formats, schemes and output that the flags ask for, checked."""

    parts: tuple[FormatSchemes, ...]
    """The first is the one whose unquantized file speed-ups are over."""
    searches: bool
    """Whether only the file to ship is kept."""
    output: Path

    @property
    def several(self) -> bool:
        """Whether files of several formats stand beside each other."""
        return len(self.parts) > 1

    @property
    def chooses(self) -> bool:
        """Whether one of the files is looked for, not each of them asked for."""
        return self.searches or self.several

    @property
    def scheme(self) -> list[str]:
        """The schemes' names, or `auto`."""
        names = (scheme.name for part in self.parts for scheme in part.schemes)
        return [AUTO] if self.searches else list(dict.fromkeys(names))


@dataclass(frozen=True)
class Limits:
    """Largest losses that a file is accepted with [points]."""

    score: float
    """Loss of the task's metric, or of agreement where there is no score."""
    label: float | None = None
    """Loss of any one label's recall, or of whatever else the kind of task has as its worst; None: not
    limited."""

    @classmethod
    def of(cls, config: QuantizeConfig, kind: TaskKind) -> Limits:
        """Limits that the flags name, and the kind's own where they name none."""
        label = kind.worst_limit if config.max_label_drop is None else config.max_label_drop
        return cls(config.max_drop, label)

    def allow(self, loss: float, worst: float) -> bool:
        """Whether a loss, and the largest loss of a label's recall, are accepted."""
        return loss <= self.score and (self.label is None or worst <= self.label)


@dataclass(frozen=True)
class WrittenFormat:
    """A format whose unquantized file is written, and what else is to be written in it."""

    part: FormatSchemes
    whole: Whole
    parent: Written
    """The unquantized file, compared with the model."""


def looks_for_one(formats: Sequence[str], schemes: Sequence[str]) -> bool:
    """Whether flags look for the best of several files, and do not ask for each of them."""
    return AUTO in schemes or ALL in formats or len(set(formats)) > 1


def check(config: QuantizeConfig) -> QuantizeRequest:
    """The request that the flags make.

    Raises:
        EdgepressError: a value is out of range, a scheme unknown, or the output exists.
    """
    _check_ranges(config)
    check_opset(config.opset)
    searches = _searches(config.scheme)
    parts = _parts(_formats(config.format), () if searches else tuple(dict.fromkeys(config.scheme)), searches)
    blocks = [scheme.name for part in parts for scheme in part.schemes if scheme.block_size]
    if config.block_size is not None and not blocks:
        raise EdgepressError(
            "--block-size: none of these schemes has blocks",
            "name --scheme int8-weights or int4-weights of ONNX",
        )
    if searches and len(config.cpu) > 1:
        raise EdgepressError(f"--scheme {AUTO} judges the files of one CPU", "name one --cpu")
    output = config.output or _default_output(config, parts, searches)
    refuse_output(output, config.overwrite)
    return QuantizeRequest(parts, searches, output)


def _check_ranges(config: QuantizeConfig) -> None:
    require_numbers(type(config), vars(config))
    if not config.format:
        raise EdgepressError("--format takes names of formats, and has none", HELP_SAYS)


def _searches(names: Sequence[str]) -> bool:
    if AUTO in names and len(names) > 1:
        raise EdgepressError(f"--scheme {AUTO} chooses the scheme itself", "name it alone")
    return AUTO in names


def _formats(names: Sequence[str]) -> list[Format]:
    """The formats that are named, each once, or all that are installed and quantize."""
    if ALL not in names:
        found = [find_format(name) for name in dict.fromkeys(names)]
        for own in found:
            if not own.schemes():
                raise EdgepressError(f"{own.title} has no quantizer of its own", "name another --format")
        return found
    if len(names) > 1:
        raise EdgepressError(f"--format {ALL} is every format", "name it alone")
    return list(_installed())


def _installed() -> Iterator[Format]:
    for name in sorted(formats(), key=lambda name: name != USUAL):
        try:
            own = find_format(name)
        except EdgepressError as error:
            console.step(f"left out: {error.with_hint}")
            continue
        if own.schemes():
            yield own


def _parts(wanted: Sequence[Format], names: Sequence[str], every: bool) -> tuple[FormatSchemes, ...]:
    """Each format with those of the schemes that it has.

    A scheme that one of several formats lacks is left out there, and said; one that none has is refused.
    """
    known = list(dict.fromkeys(name for own in wanted for name in own.schemes()))
    for name in names:
        if all(_scheme(own, name) is None for own in wanted):
            for own in wanted:
                if name in own.rejected:
                    own.scheme(name)  # raises, and says why
            raise unknown_name("scheme", name, [*known, AUTO])
    found = []
    for own in wanted:
        schemes = _schemes_of(own, names, every)
        if schemes:
            found.append(FormatSchemes(own, schemes))
    return tuple(found)


def _schemes_of(own: Format, names: Sequence[str], every: bool) -> tuple[Scheme, ...]:
    schemes = own.schemes()
    if every:
        return tuple(schemes.values())
    chosen: dict[str, Scheme] = {}
    for name in names or (DEFAULT_PRECISION,):
        scheme = _scheme(own, name)
        if scheme is None:
            reason = own.rejected.get(name) or f"known: {', '.join(schemes)}"
            console.warn(f"left out: {own.title} has no {name}; {reason}")
        else:
            chosen[scheme.name] = scheme
    return tuple(chosen.values())


def _scheme(own: Format, name: str) -> Scheme | None:
    """The scheme of this name, or the first of this precision."""
    schemes = own.schemes()
    return schemes.get(name) or next((own for own in schemes.values() if own.precision == name), None)


def _default_output(config: QuantizeConfig, parts: Sequence[FormatSchemes], searches: bool) -> Path:
    schemes = {scheme.name for part in parts for scheme in part.schemes}
    names = [AUTO] if searches else [SHORT_SUFFIXES.get(name, name) for name in schemes]
    format_ = [] if len(parts) > 1 or parts[0].format.name == USUAL else [parts[0].format.name]
    last = names[0] if searches or (len(names) == 1 and len(parts) == 1) else "quantized"
    return Path("outputs") / "-".join([short_name(config.model), *format_, last])
