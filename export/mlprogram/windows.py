"""MIL's operations that move a kernel over space; arguments are named as in MIL's reference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgepress.core.errors import EdgepressError
from export.mlprogram.elementwise import Array, Operation


def _widths(size: int, kernel: int, stride: int, kind: str) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    short, long = total // 2, total - total // 2
    return (long, short) if kind == "same_lower" else (short, long)


def _windows(
    x: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    pad_type: str,
    pad: Array | None,
    dilations: Sequence[int],
    padding: float,
) -> Array:
    """Every place of a kernel on (batch, channels, *space): (batch, channels, *places, *kernel)."""
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    widths = [(0, 0)] * len(spans)
    if pad_type == "custom" and pad is not None:
        widths = [(int(before), int(after)) for before, after in np.reshape(pad, (-1, 2))]
    elif pad_type.startswith("same"):
        sizes = zip(x.shape[2:], spans, strides, strict=True)
        widths = [_widths(size, span, stride, pad_type) for size, span, stride in sizes]
    padded = np.pad(x, [(0, 0), (0, 0), *widths], constant_values=padding)
    views = sliding_window_view(padded, spans, tuple(range(2, x.ndim)))  # type: ignore[call-overload]
    places = tuple(slice(None, None, int(stride)) for stride in strides)
    within = tuple(slice(None, None, int(step)) for step in dilations)
    return views[(slice(None), slice(None), *places, *within)]


def _ones(given: Array | None, rank: int) -> list[int]:
    return [1] * rank if given is None else [int(value) for value in given]


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    strides: Array | None = None,
    pad_type: str = "valid",
    pad: Array | None = None,
    dilations: Array | None = None,
    groups: int = 1,
) -> Array:
    """(batch, channels, *space) with filters (outputs, channels / groups, *kernel)."""
    rank = x.ndim - 2
    places = _windows(
        x, weight.shape[2:], _ones(strides, rank), pad_type, pad, _ones(dilations, rank), padding=0.0
    )
    summed = tuple(range(-rank, 0))
    parts = [
        np.tensordot(inputs, filters, axes=((1, *summed), (1, *range(2, 2 + rank))))
        for inputs, filters in zip(
            np.split(places, int(groups), axis=1), np.split(weight, int(groups)), strict=True
        )
    ]
    result = np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)
    return result if bias is None else result + np.reshape(bias, (1, -1) + (1,) * rank)


def _pool(
    x: Array,
    kernel_sizes: Array,
    pad_type: str,
    strides: Array | None = None,
    pad: Array | None = None,
    ceil_mode: bool = False,
    exclude_padding_from_average: bool = False,
    *,
    largest: bool,
) -> Array:
    rank = x.ndim - 2
    if ceil_mode:
        raise EdgepressError("the interpreter does not know MIL's pooling in ceil mode")
    kernel, steps = [int(size) for size in kernel_sizes], _ones(strides, rank)
    views = partial(_windows, kernel=kernel, strides=steps, pad_type=pad_type, pad=pad, dilations=[1] * rank)
    inner = tuple(range(-rank, 0))
    if largest:
        return views(x, padding=-np.inf).max(axis=inner)
    sums = views(x, padding=0.0).sum(axis=inner)
    if not exclude_padding_from_average:
        return sums / np.float32(np.prod(kernel))
    return sums / views(np.ones_like(x), padding=0.0).sum(axis=inner)


OPERATIONS: dict[str, Operation] = {
    "avg_pool": partial(_pool, largest=False),
    "conv": conv,
    "max_pool": partial(_pool, largest=True),
}
