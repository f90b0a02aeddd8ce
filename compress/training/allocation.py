"""How memory is handed out to a training on the CPU."""

import ctypes
import sys

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Have glibc keep what a step frees for the next one; no other system's library is told anything.

    By itself it gives each block of more than 32 MB, and the end of its heap, back to the kernel, which has
    to clear them page by page when the next step asks again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER)
