"""Machine that a training runs on: device and arithmetic, processes of the launch, memory."""

import ctypes
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from edgepress.core.environment import environment
from edgepress.core.errors import EdgepressError

T = TypeVar("T")
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def has_accelerator() -> bool:
    """Whether there is a GPU."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def has_bf16() -> bool:
    """Whether bf16 is faster than fp32 here."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return bool(BF16_FLAGS & set(environment().flags))


def device() -> torch.device:
    """Return the device that models run on."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def gpu_name() -> str | None:
    """Return the name of the GPU that a training here runs on; None: it runs on the CPU."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def processes() -> int:
    """Return the number of processes that train together: 1 without `accelerate launch`."""
    return int(_state().num_processes)


def process_number() -> int:
    """Return the number of this process among those of the launch, from 0 on."""
    return int(_state().process_index)


def is_main_process() -> bool:
    """Whether this process is the one that writes and shows."""
    return bool(_state().is_main_process)


def wait() -> None:
    """Wait until all processes of the launch have come here."""
    _state().wait_for_everyone()


def agreed(decide: Callable[[], T]) -> T:
    """Let the first process of a launch decide, and return its decision in each process.

    All processes have to call it.

    Raises:
        EdgepressError, OSError: as `decide` raised it in the first process.
    """
    outcome: list[Any] = [None]
    if _state().is_main_process:
        try:
            outcome = [(decide(), None)]
        except (EdgepressError, OSError) as why:
            outcome = [(None, why)]
    broadcast_object_list(outcome)
    value, error = outcome[0]
    if error is not None:
        raise error
    found: T = value
    return found


def _state() -> PartialState:
    return PartialState(cpu=not has_accelerator())


def keep_freed_memory() -> None:
    """Have glibc keep what a step frees for the next one; no other system's library is told anything.

    By itself it gives each block of more than 32 MB, and the end of its heap, back to the kernel, which has
    to clear them page by page when the next step asks again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER)
