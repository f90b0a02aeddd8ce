"""MIL's products, norms and attention; arguments are named as in MIL's reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.mlprogram.elementwise import Array, Operation


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


OPERATIONS: dict[str, Operation] = {
    "batch_norm": batch_norm,
    "einsum": einsum,
    "layer_norm": layer_norm,
    "linear": linear,
    "matmul": matmul,
    "scaled_dot_product_attention": attention,
    "softmax": softmax,
}
