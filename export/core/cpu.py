"""Which CPU an int8 file is made for."""

from dataclasses import dataclass

from edgepress.core.environment import environment
from export.core.config import CpuFlags


@dataclass(frozen=True)
class CpuTarget:
    """What a CPU's int8 instructions ask of a file."""

    name: str
    reduce_range: bool
    """Weights in 7 bits: without VNNI, u8 x s8 products are summed in pairs into 16 bits and saturate."""
    signed_activations: bool
    """Activations in s8: what ARM's dot products take; x86 has u8 x s8 only."""


CPU_TARGETS = {
    target.name: target
    for target in (
        CpuTarget("avx2", reduce_range=True, signed_activations=False),
        CpuTarget("avx512", reduce_range=True, signed_activations=False),
        CpuTarget("avx512_vnni", reduce_range=False, signed_activations=False),
        CpuTarget("arm64", reduce_range=False, signed_activations=True),
    )
}


def cpu_target(flags: CpuFlags) -> CpuTarget:
    """The CPU that the flags name, or this one."""
    return CPU_TARGETS[flags.cpu or _detected()]


def _detected() -> str:
    machine = environment()
    if machine.is_arm:
        return "arm64"
    if machine.vnni:
        return "avx512_vnni"
    return "avx512" if "avx512f" in machine.flags else "avx2"
