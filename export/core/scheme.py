"""Scheme: a way to make a file of a format smaller, its options, and the CPU that it is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgepress.core.environment import environment
from edgepress.core.errors import unknown_name
from export.core.config import CpuFlags, ExportConfig
from export.core.runner import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class CpuTarget:
    """Requirements that a CPU's int8 instructions put on a file."""

    name: str
    reduce_range: bool
    """Weights in 7 bits: without VNNI, u8 x s8 products are summed in pairs into 16 bits and saturate."""
    signed_activations: bool
    """Activations in s8, which ARM's dot products take; x86 has u8 x s8 only."""


CPU_TARGETS = {
    target.name: target
    for target in (
        CpuTarget("avx2", reduce_range=True, signed_activations=False),
        CpuTarget("avx512", reduce_range=True, signed_activations=False),
        CpuTarget("avx512_vnni", reduce_range=False, signed_activations=False),
        CpuTarget("arm64", reduce_range=False, signed_activations=True),
    )
}


def cpu_targets(flags: CpuFlags) -> tuple[CpuTarget, ...]:
    """The CPUs that the flags name, each once, or this one.

    Raises:
        EdgepressError: there is no such CPU.
    """
    for name in flags.cpu:
        if name not in CPU_TARGETS:
            raise unknown_name("CPU", name, CPU_TARGETS)
    return tuple(CPU_TARGETS[name] for name in dict.fromkeys(flags.cpu)) or (this_cpu(),)


def this_cpu() -> CpuTarget:
    """Return the requirements that this machine's CPU puts on a file."""
    machine = environment()
    if machine.is_arm:
        return CPU_TARGETS["arm64"]
    if machine.vnni:
        return CPU_TARGETS["avx512_vnni"]
    return CPU_TARGETS["avx512" if "avx512f" in machine.flags else "avx2"]


Calibration = Literal["minmax", "entropy", "percentile"]
Precision = Literal["fp32", "fp16", "int8", "int6", "int4", "sparse"]


@dataclass(frozen=True)
class Options:
    """Options of quantization that a scheme may need besides the file."""

    target: CpuTarget
    keep_float: frozenset[str] = frozenset()
    """Names of layers (as `weight_layers` gives them) that stay as they are."""
    calibration_batches: Sequence[Batch] = ()
    """Real sentences at batch 1, for schemes that fix the activations' ranges."""
    calibration: Calibration = "minmax"
    smooth_quant: float = 0.8
    """Migration strength alpha of SmoothQuant (Xiao et al. 2022, eq. 4); 0 turns it off."""
    block_size: int | None = None
    """Weights that share a scale, for schemes that have blocks; None: the scheme's own."""
    model: PreTrainedModel | None = None
    """The model in torch, for formats whose quantizer works before a file is written."""
    export: ExportConfig | None = None
    """Export settings for `model`, where it is written anew."""


@dataclass(frozen=True)
class Scheme:
    """A way to make a file of a format smaller."""

    name: str
    precision: Precision
    file_name: str
    """The file's name beside the fp32 file (in ONNX that of transformers.js' dtypes)."""
    quantize: Callable[[Path, Path, Options], None]
    """(fp32 file of the format, file to write, options)."""
    calibrated: bool = False
    """Whether it needs `Options.calibration_batches`."""
    rival: str | None = None
    """A cheaper scheme that it has to beat, and `why_slower`: what costs it the time where it does not."""
    why_slower: str = ""
    block_size: int | None = None
    """Weights that share a scale where nobody says; None: the scheme has no blocks."""
    cpu_traits: tuple[str, ...] = ()
    """Attributes of a `CpuTarget` that change the file; empty: it is the same for every CPU."""

    def block(self, options: Options) -> int | None:
        """Return how many weights share a scale; None where the scheme has no blocks."""
        return self.block_size and (options.block_size or self.block_size)

    def same_file(self, one: CpuTarget, other: CpuTarget) -> bool:
        """Whether two CPUs take the very same bytes."""
        return all(getattr(one, trait) == getattr(other, trait) for trait in self.cpu_traits)

    def groups(self, targets: Sequence[CpuTarget]) -> list[tuple[CpuTarget, ...]]:
        """CPUs that take the same bytes together, in the order in which they are named."""
        found: list[tuple[CpuTarget, ...]] = []
        for target in targets:
            alike = next((group for group in found if self.same_file(group[0], target)), ())
            if alike:
                found[found.index(alike)] = (*alike, target)
            else:
                found.append((target,))
        return found
