"""MIL's operations on single elements; arguments are named as in MIL's reference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import erf, expit

Array = np.ndarray
Operation = Callable[..., "Array | tuple[Array, ...]"]

SQRT_HALF = np.float32(np.sqrt(0.5))
# MIL's names of element types; halves are kept in single precision and rounded when they are stored.
DTYPES = {
    "fp16": np.float32,
    "fp32": np.float32,
    "int32": np.int32,
    "int16": np.int16,
    "uint16": np.uint16,
    "int8": np.int8,
    "uint8": np.uint8,
    "bool": np.bool_,
}


def _of_one(function: Callable[[Array], Array]) -> Operation:
    def operation(x: Array) -> Array:  # numpy's functions take no arguments by name
        return function(x)

    return operation


def _of_two(function: Callable[[Array, Array], Array]) -> Operation:
    def operation(x: Array, y: Array) -> Array:
        return function(x, y)

    return operation


def gelu(x: Array, mode: str = "EXACT") -> Array:
    """Hendrycks & Gimpel 2016; EXACT is through the error function, the others are its approximations."""
    if mode == "TANH_APPROXIMATION":
        inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)
        return np.float32(0.5) * x * (1 + np.tanh(inner))
    if mode == "SIGMOID_APPROXIMATION":
        return x * expit(np.float32(1.702) * x)
    return np.float32(0.5) * x * (1 + erf(x * SQRT_HALF))


def _log(x: Array, epsilon: float = 0.0) -> Array:
    return np.log(x + np.float32(epsilon))


def _rsqrt(x: Array, epsilon: float = 0.0) -> Array:
    return 1 / np.sqrt(x + np.float32(epsilon))


def _inverse(x: Array, epsilon: float = 0.0) -> Array:
    return 1 / (x + np.float32(epsilon))


def _leaky_relu(x: Array, alpha: float) -> Array:
    return np.where(x >= 0, x, np.float32(alpha) * x)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x >= 0, x, np.float32(alpha) * np.expm1(np.minimum(x, 0)))


def _clip(x: Array, alpha: float, beta: float) -> Array:
    return np.clip(x, alpha, beta)


def _select(cond: Array, a: Array, b: Array) -> Array:
    return np.where(cond, a, b)


def _cast(x: Array, dtype: str) -> Array:
    return np.asarray(x).astype(DTYPES[dtype])


OPERATIONS: dict[str, Operation] = {
    "abs": _of_one(np.abs),
    "ceil": _of_one(np.ceil),
    "cos": _of_one(np.cos),
    "erf": _of_one(erf),
    "exp": _of_one(np.exp),
    "floor": _of_one(np.floor),
    "identity": _of_one(np.asarray),
    "logical_not": _of_one(np.logical_not),
    "relu": _of_one(lambda x: np.maximum(x, 0)),
    "round": _of_one(np.rint),
    "sigmoid": _of_one(expit),
    "sign": _of_one(np.sign),
    "silu": _of_one(lambda x: x * expit(x)),
    "sin": _of_one(np.sin),
    "softplus": _of_one(lambda x: np.logaddexp(x, np.float32(0))),
    "sqrt": _of_one(np.sqrt),
    "square": _of_one(np.square),
    "tanh": _of_one(np.tanh),
    "add": _of_two(np.add),
    "equal": _of_two(np.equal),
    "floor_div": _of_two(np.floor_divide),
    "greater": _of_two(np.greater),
    "greater_equal": _of_two(np.greater_equal),
    "less": _of_two(np.less),
    "less_equal": _of_two(np.less_equal),
    "logical_and": _of_two(np.logical_and),
    "logical_or": _of_two(np.logical_or),
    "logical_xor": _of_two(np.logical_xor),
    "maximum": _of_two(np.maximum),
    "minimum": _of_two(np.minimum),
    "mod": _of_two(np.mod),
    "mul": _of_two(np.multiply),
    "not_equal": _of_two(np.not_equal),
    "pow": _of_two(np.power),
    "real_div": _of_two(np.divide),
    "sub": _of_two(np.subtract),
    "cast": _cast,
    "clip": _clip,
    "elu": _elu,
    "gelu": gelu,
    "inverse": _inverse,
    "leaky_relu": _leaky_relu,
    "log": _log,
    "rsqrt": _rsqrt,
    "select": _select,
}
