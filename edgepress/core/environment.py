"""The machine a figure was measured on."""

import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from edgepress.core.artifact import versions

# The instruction sets that decide how fast low-precision arithmetic is.
RELEVANT_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
)


def native_int8(flags: Iterable[str]) -> list[str]:
    """List the flags by which a CPU multiplies int8 natively: VNNI, or the dot product of ARM."""
    return [flag for flag in flags if flag in ("avx512_vnni", "avx_vnni", "asimddp")]


@dataclass(frozen=True)
class Environment:
    """Machine and library versions, which a latency depends on besides the file."""

    cpu: str
    machine: str
    """Instruction set family: x86_64, aarch64, ..."""
    flags: tuple[str, ...]
    cores: int
    memory_bytes: int
    system: str
    versions: dict[str, str]
    git_commit: str | None

    @property
    def vnni(self) -> bool | None:
        """Whether int8 dot products are native (VNNI, or dot product on ARM); None where unknown."""
        if not self.flags:
            return None
        return bool(native_int8(self.flags))

    @property
    def is_arm(self) -> bool:
        return self.machine.lower() in ("aarch64", "arm64")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@lru_cache
def environment() -> Environment:
    """Describe this machine: CPU, cores, memory."""
    model, flags = _cpu()
    return Environment(
        cpu=model or platform.processor() or platform.machine(),
        machine=platform.machine(),
        flags=tuple(flag for flag in RELEVANT_FLAGS if flag in flags),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()}",
        versions=versions(),
        git_commit=_git_commit(),
    )


def _cpu() -> tuple[str, set[str]]:
    """Model name and flags: from /proc on Linux, sysctl on macOS, unknown elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return _sysctl("machdep.cpu.brand_string"), _macos_flags()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    known = {key.strip(): value.strip() for key, value in fields.items()}
    return known.get("model name", ""), set(known.get("flags", known.get("Features", "")).split())


def _macos_flags() -> set[str]:
    names = {"FEAT_DotProd": "asimddp", "FEAT_I8MM": "i8mm", "FEAT_BF16": "bf16", "AdvSIMD": "asimd"}
    return {flag for name, flag in names.items() if _sysctl(f"hw.optional.arm.{name}") == "1"}


def _sysctl(name: str) -> str:
    return _output("sysctl", "-n", name)


def _git_commit() -> str | None:
    return _output("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD") or None


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
