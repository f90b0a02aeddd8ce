"""Everything about the flags that can be wrong before a model is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepress.core import console
from edgepress.core.artifact import refuse_output
from edgepress.core.errors import EdgepressError
from edgepress.core.inputs import require_length
from edgepress.core.models import short_name
from edgepress.core.option_values import require_numbers
from export.core.config import ExportConfig
from export.core.format import Format
from export.core.scheme import Scheme


@dataclass(frozen=True)
class FormatRequest:
    """A format to write, with its flags and schemes."""

    format: Format
    config: ExportConfig
    """The format's own flags."""
    schemes: tuple[Scheme | None, ...]
    """What to write in it; None is the file as `Format.write` leaves it."""


@dataclass(frozen=True)
class ExportRequest:
    """Formats and output that the flags ask for, checked."""

    parts: tuple[FormatRequest, ...]
    output: Path

    def check_lengths(self, longest: int) -> None:
        """Raise for a length that the model has no positions for.

        Raises:
            EdgepressError: there is one.
        """
        for part in self.parts:
            require_length(part.config.shapes.longest, longest)


def check(config: ExportConfig, wanted: Sequence[tuple[Format, ExportConfig]]) -> ExportRequest:
    """The request that the flags make.

    Raises:
        EdgepressError: a value is out of range, a format cannot follow it, or the output exists.
    """
    _check_ranges(config)
    parts = _parts(wanted)
    output = config.output or _default_output(config, parts)
    refuse_output(output, config.overwrite)
    return ExportRequest(parts, output)


def _check_ranges(config: ExportConfig) -> None:
    require_numbers(type(config), vars(config))
    if config.max_length and config.sequence_length:
        raise EdgepressError(
            "--max-length is for a file that takes any length, --sequence-length for one that takes one",
            "name one of them",
        )


def _parts(wanted: Sequence[tuple[Format, ExportConfig]]) -> tuple[FormatRequest, ...]:
    """Each format with those of the schemes that it has.

    A scheme that one of several formats lacks is left out there, and said; one that none has is refused.
    """
    found: list[FormatRequest] = []
    missing: list[tuple[str, EdgepressError]] = []
    for format_, config in wanted:
        format_.check(config)
        schemes: dict[Scheme | None, None] = {}
        for name in config.scheme or (format_.precision,):
            try:
                schemes[format_.scheme(name)] = None
            except EdgepressError as error:
                missing.append((name, error))
        if schemes:
            found.append(FormatRequest(format_, config, tuple(schemes)))
    for name, lacking in missing:
        if sum(own == name for own, _ in missing) == len(wanted):
            raise lacking
    for _, lacking in missing:
        console.warn(f"left out: {lacking.with_hint}")
    return tuple(found)


def _default_output(config: ExportConfig, parts: Sequence[FormatRequest]) -> Path:
    suffix = parts[0].format.name if len(parts) == 1 else "export"
    return Path("outputs") / f"{short_name(config.model)}-{suffix}"
