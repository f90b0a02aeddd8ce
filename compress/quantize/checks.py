"""Everything about the flags that can be wrong before a model is opened."""

from dataclasses import dataclass
from pathlib import Path

from compress.quantize.config import QuantizeConfig
from device_bench.environment import environment
from edgepress.errors import EdgepressError, require_flags, unknown_name
from edgepress.files import refuse_existing
from edgepress.models import short_name
from export.base.scheme import CPU_TARGETS, CpuTarget, Scheme
from export.onnx import check_opset
from export.onnx_graph.schemes import SCHEMES

AUTO = "auto"
SHORT_SUFFIXES = {"int8-dynamic": "int8"}


@dataclass(frozen=True)
class Order:
    """What the flags ask for, checked."""

    schemes: tuple[Scheme, ...]
    """Empty for `auto`."""
    target: CpuTarget
    output: Path


def check(config: QuantizeConfig) -> Order:
    """The order that the flags make.

    Raises:
        EdgepressError: a value is out of range, a scheme unknown, or the output exists.
    """
    _check_ranges(config)
    check_opset(config.opset)
    order = Order(_schemes(config.scheme), _target(config), config.output or _default_output(config))
    refuse_existing(order.output, config.overwrite)
    if order.output.resolve() == Path(config.model).resolve():
        raise EdgepressError("the output is the model itself", "name another --output")
    return order


def _check_ranges(config: QuantizeConfig) -> None:
    holds = {
        "--max-drop": config.max_drop >= 0,
        "--smooth-quant": 0 <= config.smooth_quant <= 1,
        "--calibration-samples": config.calibration_samples > 0,
        "--eval-samples": config.eval_samples > 0,
        "--threads": config.threads > 0,
        "--time-budget": config.time_budget > 0,
        "--sequence-lengths": min(config.sequence_lengths, default=0) > 0,
        "--atol": config.atol is None or config.atol >= 0,
    }
    require_flags(holds)


def _schemes(names: str) -> tuple[Scheme, ...]:
    if names == AUTO:
        return ()
    wanted = dict.fromkeys(name.strip() for name in names.split(","))
    for name in wanted:
        if name not in SCHEMES:
            raise unknown_name("scheme", name, [*SCHEMES, AUTO])
    return tuple(SCHEMES[name] for name in wanted)


def _target(config: QuantizeConfig) -> CpuTarget:
    asked = [name for name in CPU_TARGETS if getattr(config, name)]
    if len(asked) > 1:
        raise EdgepressError(
            f"--{asked[0]} and --{asked[1]} exclude each other", "name one CPU, or none for this one"
        )
    return CPU_TARGETS[asked[0] if asked else _detected_target()]


def _detected_target() -> str:
    machine = environment()
    if machine.is_arm:
        return "arm64"
    if machine.vnni:
        return "avx512_vnni"
    return "avx512" if "avx512f" in machine.flags else "avx2"


def _default_output(config: QuantizeConfig) -> Path:
    suffix = SHORT_SUFFIXES.get(config.scheme, config.scheme)
    return Path("outputs") / f"{short_name(config.model)}-{'quantized' if ',' in suffix else suffix}"
