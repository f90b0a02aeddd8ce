"""MIL's operations that walk over time; arguments are named as in MIL's reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit

from edgepress.core.errors import unknown_name
from export.mlprogram.elementwise import Array, Operation

GATES = 4
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": expit,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}


def _activation(name: str) -> Callable[[Array], Array]:
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def _one_direction(
    x: Array, state: Array, cell: Array, weights: Sequence[Any], functions: Sequence[str]
) -> tuple[Array, Array, Array]:
    """Run one LSTM over (time, batch, inputs); gives every state, the last one, and the last cell."""
    weight_ih, weight_hh, bias = weights
    recurrent, inner, outer = (_activation(name) for name in functions)
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


OPERATIONS: dict[str, Operation] = {"lstm": lstm}
