"""Everything about the flags that can be wrong before a model is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.quantize.config import QuantizeConfig
from edgepress.core.artifact import refuse_output
from edgepress.core.errors import EdgepressError, require_flags, unknown_name
from edgepress.core.models import short_name
from export.core.format import Format
from export.core.registry import find_format
from export.core.scheme import Scheme
from export.onnx import check_opset

AUTO = "auto"
# The format that `auto` knows its way in, and that is not named in a folder.
SEARCHED = "onnx"
DEFAULT_PRECISION = "int8"
SHORT_SUFFIXES = {"int8-dynamic": "int8"}


@dataclass(frozen=True)
class QuantizeRequest:
    """Format, schemes and output that the flags ask for, checked."""

    format: Format
    schemes: tuple[Scheme, ...]
    """Schemes to make; empty for `auto`."""
    output: Path

    @property
    def scheme(self) -> list[str]:
        """The schemes' names, or `auto`."""
        return [scheme.name for scheme in self.schemes] or [AUTO]


def check(config: QuantizeConfig) -> QuantizeRequest:
    """The order that the flags make.

    Raises:
        EdgepressError: a value is out of range, a scheme unknown, or the output exists.
    """
    _check_ranges(config)
    check_opset(config.opset)
    own = find_format(config.format)
    schemes = _schemes(own, config.scheme)
    if not schemes and len(config.cpu) > 1:
        raise EdgepressError(f"--scheme {AUTO} judges the files of one CPU", "name one --cpu")
    order = QuantizeRequest(own, schemes, config.output or _default_output(config, schemes))
    if order.output.resolve() == Path(config.model).resolve():
        raise EdgepressError("the output is the model itself", "name another --output")
    refuse_output(order.output, config.overwrite)
    return order


def _check_ranges(config: QuantizeConfig) -> None:
    holds = {
        "--max-drop": config.max_drop >= 0,
        "--max-label-drop": config.max_label_drop is None or config.max_label_drop >= 0,
        "--smooth-quant": 0 <= config.smooth_quant <= 1,
        "--calibration-samples": config.calibration_samples > 0,
        "--eval-samples": config.eval_samples > 0,
        "--seed": 0 <= config.seed < 2**32,
        "--threads": config.threads > 0,
        "--time-budget": config.time_budget >= 0,
        "--max-length": config.max_length is None or config.max_length > 0,
        "--sequence-lengths": min(config.sequence_lengths, default=0) > 0,
        "--atol": config.atol is None or config.atol >= 0,
    }
    require_flags(holds)


def _schemes(target: Format, names: Sequence[str]) -> tuple[Scheme, ...]:
    own = target.schemes()
    if not own:
        raise EdgepressError(f"{target.title} has no quantizer of its own", "name another --format")
    if AUTO in names:
        if len(names) > 1:
            raise EdgepressError(f"--scheme {AUTO} chooses the scheme itself", "name it alone")
        if target.name != SEARCHED:
            raise EdgepressError(f"--scheme auto searches {SEARCHED} files only", f"known: {', '.join(own)}")
        return ()
    wanted = list(dict.fromkeys(names))
    if not wanted:
        wanted = [next(name for name, scheme in own.items() if scheme.precision == DEFAULT_PRECISION)]
    return tuple(_scheme(target, name) for name in wanted)


def _scheme(target: Format, name: str) -> Scheme:
    own = target.schemes()
    if name in target.rejected:
        target.scheme(name)  # raises, and says why
    if name not in own:
        raise unknown_name("scheme", name, [*own, AUTO])
    return own[name]


def _default_output(config: QuantizeConfig, schemes: Sequence[Scheme]) -> Path:
    names = [SHORT_SUFFIXES.get(scheme.name, scheme.name) for scheme in schemes] or [AUTO]
    format_ = [] if config.format == SEARCHED else [config.format]
    parts = [short_name(config.model), *format_, names[0] if len(names) == 1 else "quantized"]
    return Path("outputs") / "-".join(parts)
