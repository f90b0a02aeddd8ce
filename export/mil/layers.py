"""MIL's operations that are layers of a network; arguments are named as in MIL's reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import expit

from export.mil.elementwise import Array, Operation

GATES = 4
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": expit,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}


def linear(x: Array, weight: Array, bias: Array | float = 0.0) -> Array:
    """(..., inputs) times (outputs, inputs) transposed."""
    product = x.reshape(-1, x.shape[-1]) @ weight.T
    product += bias
    return product.reshape(*x.shape[:-1], weight.shape[0])


def matmul(x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False) -> Array:
    """A product of the last two axes, each transposed where asked."""
    return np.matmul(
        np.swapaxes(x, -1, -2) if transpose_x else x, np.swapaxes(y, -1, -2) if transpose_y else y
    )


def softmax(x: Array, axis: int = -1) -> Array:
    """Exponentials of the distances to the largest, over their sum."""
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers


def layer_norm(
    x: Array,
    axes: Array | None = None,
    gamma: Array | float = 1.0,
    beta: Array | float = 0.0,
    epsilon: float = 1e-5,
) -> Array:
    """Ba, Kiros & Hinton 2016, eq. 3-4."""
    along = tuple(range(-x.ndim, 0)) if axes is None else tuple(int(axis) for axis in axes)
    centered = x - x.mean(axis=along, keepdims=True)
    variance = np.square(centered).mean(axis=along, keepdims=True)
    return centered / np.sqrt(variance + np.float32(epsilon)) * gamma + beta


def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | float = 1.0,
    beta: Array | float = 0.0,
    epsilon: float = 1e-5,
) -> Array:
    """The stored mean and variance of each channel; channels lie on axis 1."""

    def by_channel(value: Array | float) -> Array:
        return np.reshape(value, (1, -1) + (1,) * (x.ndim - 2))

    scale = by_channel(gamma) / np.sqrt(by_channel(variance) + np.float32(epsilon))
    return (x - by_channel(mean)) * scale + by_channel(beta)


def attention(query: Array, key: Array, value: Array, attn_mask: Array | None = None) -> Array:
    """Vaswani et al. 2017, eq. 1; a boolean mask says what takes part, any other is added."""
    scores = matmul(query, key, transpose_y=True) / np.float32(np.sqrt(query.shape[-1]))
    if attn_mask is not None:
        added = np.where(attn_mask, 0, -np.inf) if attn_mask.dtype == np.bool_ else attn_mask
        scores = scores + added.astype(np.float32)
    return np.matmul(softmax(scores), value)


def einsum(values: Sequence[Array], equation: str) -> Array:
    """numpy's, with its own order of products."""
    return np.einsum(equation, *values, optimize=True)


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
        raise NotImplementedError("pooling in ceil mode")
    kernel, steps = [int(size) for size in kernel_sizes], _ones(strides, rank)
    views = partial(_windows, kernel=kernel, strides=steps, pad_type=pad_type, pad=pad, dilations=[1] * rank)
    inner = tuple(range(-rank, 0))
    if largest:
        return views(x, padding=-np.inf).max(axis=inner)
    sums = views(x, padding=0.0).sum(axis=inner)
    if not exclude_padding_from_average:
        return sums / np.float32(np.prod(kernel))
    return sums / views(np.ones_like(x), padding=0.0).sum(axis=inner)


def _one_direction(
    x: Array, state: Array, cell: Array, weights: Sequence[Any], functions: Sequence[str]
) -> tuple[Array, Array, Array]:
    """One LSTM over (time, batch, inputs): every state, the last one, and the last cell."""
    weight_ih, weight_hh, bias = weights
    recurrent, inner, outer = (ACTIVATIONS[name] for name in functions)
    states = []
    for drive in x @ weight_ih.T + bias:
        gates = np.split(drive + state @ weight_hh.T, GATES, axis=-1)  # input, forget, output, cell
        admit, keep, show = (recurrent(gate) for gate in gates[:-1])
        cell = keep * cell + admit * inner(gates[-1])
        state = show * outer(cell)
        states.append(state)
    return np.stack(states), state, cell


def lstm(
    x: Array,
    initial_h: Array,
    initial_c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | float = 0.0,
    weight_ih_back: Array | None = None,
    weight_hh_back: Array | None = None,
    bias_back: Array | float = 0.0,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
) -> tuple[Array, Array, Array]:
    """Hochreiter & Schmidhuber 1997 with forget gates, over (time, batch, inputs)."""
    run = partial(_one_direction, functions=(recurrent_activation, cell_activation, activation))
    own = (weight_ih, weight_hh, bias)
    if direction == "reverse":
        states, last, cell = run(x[::-1], initial_h, initial_c, own)
        states = states[::-1]
    elif direction == "forward":
        states, last, cell = run(x, initial_h, initial_c, own)
    else:
        half = weight_hh.shape[1]
        ahead = run(x, initial_h[:, :half], initial_c[:, :half], own)
        back = run(
            x[::-1], initial_h[:, half:], initial_c[:, half:], (weight_ih_back, weight_hh_back, bias_back)
        )
        both = zip(ahead, (back[0][::-1], *back[1:]), strict=True)
        states, last, cell = (np.concatenate(pair, axis=-1) for pair in both)
    return (states if output_sequence else last[None]), last, cell


OPERATIONS: dict[str, Operation] = {
    "avg_pool": partial(_pool, largest=False),
    "batch_norm": batch_norm,
    "conv": conv,
    "einsum": einsum,
    "layer_norm": layer_norm,
    "linear": linear,
    "lstm": lstm,
    "matmul": matmul,
    "max_pool": partial(_pool, largest=True),
    "scaled_dot_product_attention": attention,
    "softmax": softmax,
}
