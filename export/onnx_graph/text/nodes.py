"""Writing nodes one after the other, without inventing names for what lies between them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

EXTENSIONS = "ai.onnx.contrib"
PREFIX = "tokenizer/"


class Nodes:
    """Nodes and constants in the making; a tensor is handed on by its name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def op(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output; its name."""
        return self.ops(op, *inputs, outputs=1, domain=domain, **attributes)[0]

    def ops(self, op: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> list[str]:
        """A node with several outputs; their names."""
        name = f"{PREFIX}{op}_{len(self.nodes)}"
        names = [f"{name}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name, domain=domain, **attributes))
        return names

    def integers(self, values: ArrayLike) -> str:
        """A constant of int64."""
        name = f"{PREFIX}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.int64), name))
        return name

    def strings(self, *values: str) -> str:
        """A constant of strings, in one dimension."""
        name = f"{PREFIX}constant_{len(self.constants)}"
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

    def join(self, text: str, separator: str, axis: int) -> str:
        """Strings along one axis, joined."""
        return self.op("StringJoin", text, self.strings(separator), self.integers([axis]), domain=EXTENSIONS)
