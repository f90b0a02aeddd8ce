"""MIL's operations on shapes, indices and whole axes; arguments are named as in MIL's reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from export.mlprogram.elementwise import Array, Operation

# MIL's names of what numpy calls otherwise.
PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
# What only moves elements has nothing to round.
MOVES = {
    "expand_dims",
    "reshape",
    "reverse",
    "slice_by_index",
    "slice_by_size",
    "split",
    "squeeze",
    "transpose",
}


def _flags(mask: Array | None, rank: int) -> list[bool]:
    return [False] * rank if mask is None else [bool(flag) for flag in mask]


def reshape(x: Array, shape: Array) -> Array:
    """0 takes the size that stands at its place in `x`, -1 what is left."""
    wanted = [x.shape[axis] if size == 0 else int(size) for axis, size in enumerate(shape)]
    return x.reshape(wanted)


def slice_by_index(
    x: Array,
    begin: Array,
    end: Array,
    stride: Array | None = None,
    begin_mask: Array | None = None,
    end_mask: Array | None = None,
    squeeze_mask: Array | None = None,
) -> Array:
    """numpy's slices; a mask of begin or end takes that side whole, one of squeeze a single index."""
    open_begin, open_end, single = (_flags(mask, x.ndim) for mask in (begin_mask, end_mask, squeeze_mask))
    steps = np.ones(x.ndim, dtype=int) if stride is None else stride
    index: list[int | slice] = []
    for axis in range(x.ndim):
        first = None if open_begin[axis] else int(begin[axis])
        last = None if open_end[axis] else int(end[axis])
        index.append(int(begin[axis]) if single[axis] else slice(first, last, int(steps[axis])))
    return x[tuple(index)]


def slice_by_size(x: Array, begin: Array, size: Array) -> Array:
    """A size of -1 takes what is left."""
    ends = [None if size[axis] == -1 else int(begin[axis] + size[axis]) for axis in range(x.ndim)]
    return x[tuple(slice(int(first), last) for first, last in zip(begin, ends, strict=True))]


def gather(x: Array, indices: Array, axis: int = 0, batch_dims: int = 0) -> Array:
    """Rows of `x` along `axis`; the first `batch_dims` axes of both go together."""
    if not batch_dims:
        return np.take(x, indices, axis=axis)
    inner = partial(gather, axis=axis - 1, batch_dims=batch_dims - 1)
    return np.stack([inner(one, index) for one, index in zip(x, indices, strict=True)])


def gather_nd(x: Array, indices: Array, batch_dims: int = 0) -> Array:
    """Parts of `x`, each named by a row of `indices`; the first `batch_dims` axes of both go together."""
    if not batch_dims:
        return x[tuple(np.moveaxis(indices, -1, 0))]
    inner = partial(gather_nd, batch_dims=batch_dims - 1)
    return np.stack([inner(one, index) for one, index in zip(x, indices, strict=True)])


def gather_along_axis(x: Array, indices: Array, axis: int = 0) -> Array:
    """Take one element of `x` along `axis` for each index."""
    return np.take_along_axis(x, indices.astype(np.int64), axis=axis)


def pad(x: Array, pad: Array, mode: str = "constant", constant_val: float = 0.0) -> Array:
    """`pad` holds (before, after) of each of the last axes."""
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + [(int(a), int(b)) for a, b in np.reshape(pad, (-1, 2))]
    if mode == "constant":
        return np.pad(x, widths, constant_values=constant_val)
    return np.pad(x, widths, mode=PAD_MODES[mode])  # type: ignore[call-overload]


def cumsum(x: Array, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
    """Running sums; `exclusive` leaves out the element itself, `reverse` starts at the end."""
    line = np.flip(x, axis) if reverse else x
    sums = np.cumsum(line, axis=axis, dtype=x.dtype)
    sums = sums - line if exclusive else sums
    return np.flip(sums, axis) if reverse else sums


def range_1d(start: float, end: float, step: float) -> Array:
    """Return the values from `start` up to, but not including, `end`, in steps of `step`."""
    return np.arange(start, end, step)


def split(
    x: Array, axis: int, num_splits: int | None = None, split_sizes: Array | None = None
) -> tuple[Array, ...]:
    """Equal parts, or parts of these sizes."""
    where = int(num_splits or 1) if split_sizes is None else np.cumsum(split_sizes)[:-1]
    return tuple(np.split(x, where, axis=int(axis)))


def _concat(values: Sequence[Array], axis: int, interleave: bool = False) -> Array:
    if not interleave:
        return np.concatenate([np.atleast_1d(value) for value in values], axis=int(axis))
    stacked = np.stack(values, axis=int(axis) + 1)
    shape = list(values[0].shape)
    shape[int(axis)] *= len(values)
    return stacked.reshape(shape)


def _reduce(function: Callable[..., Array]) -> Operation:
    def reduced(x: Array, axes: Array | None = None, keep_dims: bool = False) -> Array:
        along = None if axes is None else tuple(int(axis) for axis in np.atleast_1d(axes))
        return function(x, axis=along, keepdims=bool(keep_dims))

    return reduced


def _l2(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Array:
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def _argument(function: Callable[..., Array]) -> Operation:
    def found(x: Array, axis: int = -1, keep_dims: bool = False) -> Array:
        return function(x, axis=int(axis), keepdims=bool(keep_dims))

    return found


OPERATIONS: dict[str, Operation] = {
    "concat": _concat,
    "cumsum": cumsum,
    "expand_dims": lambda x, axes: np.expand_dims(x, tuple(int(axis) for axis in axes)),
    "fill": lambda shape, value=0.0: np.full(tuple(shape), value),
    "fill_like": lambda ref_tensor, value=0.0: np.full(np.shape(ref_tensor), value),
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "pad": pad,
    "range_1d": range_1d,
    "reduce_argmax": _argument(np.argmax),
    "reduce_argmin": _argument(np.argmin),
    "reduce_l2_norm": _reduce(_l2),
    "reduce_max": _reduce(np.max),
    "reduce_mean": _reduce(np.mean),
    "reduce_min": _reduce(np.min),
    "reduce_prod": _reduce(np.prod),
    "reduce_sum": _reduce(np.sum),
    "reshape": reshape,
    "reverse": lambda x, axes=None: np.flip(x, None if axes is None else tuple(int(axis) for axis in axes)),
    "shape": lambda x: np.asarray(np.shape(x), dtype=np.int32),
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "split": split,
    "squeeze": lambda x, axes=None: np.squeeze(
        x, None if axes is None else tuple(int(axis) for axis in axes)
    ),
    "stack": lambda values, axis: np.stack(values, axis=int(axis)),
    "tile": lambda x, reps: np.tile(x, tuple(reps)),
    "transpose": lambda x, perm: np.transpose(x, tuple(int(axis) for axis in perm)),
}
