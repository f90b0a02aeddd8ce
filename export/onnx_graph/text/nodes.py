"""Writing nodes one after the other, without inventing names for what lies between them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

EXTENSIONS = "ai.onnx.contrib"
PREFIX = "tokenizer/"


LoopStep = Callable[..., list[str]]
"""Writes one round of a loop: (nodes, number of the round, states) -> the states after it."""


class Nodes:
    """Nodes and constants in the making; a tensor is handed on by its name."""

    def __init__(self, prefix: str = PREFIX) -> None:
        self.prefix = prefix
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def op(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output; its name."""
        return self.ops(op, *inputs, outputs=1, domain=domain, **attributes)[0]

    def ops(self, op: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> list[str]:
        """A node with several outputs; their names."""
        name = f"{self.prefix}{op}_{len(self.nodes)}"
        names = [f"{name}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name, domain=domain, **attributes))
        return names

    def loop(self, rounds: str, states: Sequence[str], step: LoopStep) -> list[str]:
        """The states after some rounds of `step`; of every name in it, those from outside are seen too."""
        name = f"{self.prefix}Loop_{len(self.nodes)}"
        body = Nodes(f"{name}/")
        at, go_on = f"{name}/at", f"{name}/go_on"
        taken = [f"{name}/state_{index}" for index in range(len(states))]
        given = [body.op("Identity", state) for state in step(body, at, *taken)]
        graph = helper.make_graph(
            [*body.nodes, helper.make_node("Identity", [go_on], [f"{go_on}_still"])],
            name,
            [
                helper.make_tensor_value_info(at, TensorProto.INT64, []),
                helper.make_tensor_value_info(go_on, TensorProto.BOOL, []),
                *(helper.make_empty_tensor_value_info(state) for state in taken),
            ],
            [
                helper.make_tensor_value_info(f"{go_on}_still", TensorProto.BOOL, []),
                *(helper.make_empty_tensor_value_info(state) for state in given),
            ],
            body.constants,
        )
        return self.ops("Loop", rounds, "", *states, outputs=len(states), body=graph)

    def integers(self, values: ArrayLike) -> str:
        """A constant of int64."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.int64), name))
        return name

    def doubles(self, values: ArrayLike) -> str:
        """A constant of float64."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float64), name))
        return name

    def strings(self, *values: str) -> str:
        """A constant of strings, in one dimension."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        data = [value.encode() for value in values]
        tensor = TensorProto(name=name, data_type=TensorProto.STRING, dims=[len(data)], string_data=data)
        self.constants.append(tensor)
        return name

    def regex_replace(self, text: str, pattern: str, by: str) -> str:
        """RE2's GlobalReplace of each string (Replace fails in older versions of the extensions)."""
        constants = self.strings(pattern), self.strings(by)
        return self.op("StringRegexReplace", text, *constants, domain=EXTENSIONS, global_replace=1)

    def regex_split(self, text: str, pattern: str, keep: str) -> str:
        """Each string split at `pattern`; of what is matched, what matches `keep` stays. (parts,)."""
        constants = self.strings(pattern), self.strings(keep)
        return self.ops("StringRegexSplitWithOffsets", text, *constants, outputs=4, domain=EXTENSIONS)[0]

    def lookup(self, text: str, values: Mapping[str, int], default: int) -> str:
        """The number of each string; `default` of one that has none."""
        return self.op(
            "LabelEncoder",
            text,
            domain="ai.onnx.ml",
            keys_strings=[*values],
            values_int64s=[*values.values()],
            default_int64=default,
        )

    def beginning_with(self, texts: str, characters: str, distance: int) -> str:
        """Each text with the character so many places further on behind it; with nothing at the end."""
        later = self.op(
            "Slice", characters, self.integers([distance]), self.integers([2**31]), self.integers([0])
        )
        shape = self.op("Sub", self.op("Shape", texts), self.op("Shape", later))
        later = self.op("Concat", later, self.op("Expand", self.strings(""), shape), axis=0)
        columns = [self.op("Unsqueeze", part, self.integers([1])) for part in (texts, later)]
        return self.join(self.op("Concat", *columns, axis=1), "", axis=1)

    def join(self, text: str, separator: str, axis: int) -> str:
        """Strings along one axis, joined."""
        return self.op("StringJoin", text, self.strings(separator), self.integers([axis]), domain=EXTENSIONS)
