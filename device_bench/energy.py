"""Energy counters of the processor (RAPL) and of an NVIDIA GPU (NVML), where they can be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

RAPL = Path("/sys/class/powercap")
MICROJOULE, MILLIJOULE = 1e-6, 1e-3

Counter = Callable[[], float]
"""Gives the energy that was used since the last call [J]."""


def counter(device: str = "cpu", root: Path = RAPL) -> Counter | None:
    """The counter of this machine's packages, or of its first GPU; None where there is none to be read."""
    if device == "gpu":
        return _nvml()
    packages = [folder for folder in sorted(root.glob("intel-rapl:*")) if folder.name.count(":") == 1]
    readers = [_rapl(folder) for folder in packages if _readable(folder / "energy_uj")]
    return (lambda: sum(read() for read in readers)) if readers else None


def _readable(path: Path) -> bool:
    try:
        path.read_text()
    except OSError:  # since 2020 most kernels let only root read it (CVE-2020-8694)
        return False
    return True


def _rapl(folder: Path) -> Counter:
    """The counter of one CPU package; it wraps around at `max_energy_range_uj`."""
    whole = int((folder / "max_energy_range_uj").read_text())
    last = int((folder / "energy_uj").read_text())

    def read() -> float:
        nonlocal last
        before, last = last, int((folder / "energy_uj").read_text())
        return (last - before) % whole * MICROJOULE

    return read


def _nvml() -> Counter | None:
    try:
        import pynvml

        pynvml.nvmlInit()
        handle: Any = pynvml.nvmlDeviceGetHandleByIndex(0)
        last = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # no library, no driver, or a GPU that does not count
        return None

    def read() -> float:
        nonlocal last
        before, last = last, pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return float(last - before) * MILLIJOULE

    return read
