"""Memory of a process, and what the attention of long inputs takes of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from edgepress.core.errors import EdgepressError

if TYPE_CHECKING:  # a process that measures a file has its runtime alone in memory
    from transformers import PreTrainedModel

LONG = 512
"""Longest input of which nothing is said [tokens]."""
BYTES_OF_FP32 = 4
SCORES_AT_ONCE = 2
"""Copies of a layer's scores that are there together: the products, and their softmax."""


def peak_memory_bytes() -> int:
    """The largest resident set of this process so far [bytes]; on macOS and Windows the present one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return int(psutil.Process().memory_info().rss)
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


def scores_bytes(model: PreTrainedModel, rows: int, length: int) -> int:
    """Size of the attention scores of one layer in fp32, (rows, heads, length, length) [bytes]."""
    heads = getattr(model.config, "num_attention_heads", None) or 0
    return BYTES_OF_FP32 * rows * int(heads) * length**2


def require_room(model: PreTrainedModel, length: int, hint: str) -> str:
    """Say what one input of this length takes, in words; empty where inputs are short.

    Args:
        model: a runtime may hold the scores of one of its layers whole.
        length: of the longest input [tokens].
        hint: what to type for shorter ones.

    Raises:
        EdgepressError: more memory than there is.
    """
    if length <= LONG:
        return ""
    scores, free = scores_bytes(model, 1, length), psutil.virtual_memory().available
    if SCORES_AT_ONCE * scores > free:
        raise EdgepressError(
            f"inputs of {length:,} tokens take {gigabytes(SCORES_AT_ONCE * scores)} of memory in each layer, "
            f"and {gigabytes(free)} are free",
            hint,
        )
    return f"inputs of up to {length:,} tokens: a layer's attention scores take {gigabytes(scores)}"


def peak_note(length: int) -> str:
    """Say how much memory this process took at most, in words; empty where inputs are short."""
    if length <= LONG:
        return ""
    return f"peak memory {gigabytes(peak_memory_bytes())}, with inputs of up to {length:,} tokens"


def gigabytes(size_bytes: int) -> str:
    """A size in words: "3.2 GB"."""
    return f"{size_bytes / 1e9:.1f} GB"
