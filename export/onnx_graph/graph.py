"""Editing ONNX graphs: replacing nodes, adding constants, leaving nothing unused behind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

CONTRIB_DOMAIN = "com.microsoft"


class GraphEdit:
    """An ONNX model in memory, with the changes that are to be made to it."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self._constants = {tensor.name: tensor for tensor in self.model.graph.initializer}
        self._before: dict[str, list[NodeProto]] = {}
        self._instead: dict[str, list[NodeProto]] = {}

    @property
    def nodes(self) -> Sequence[NodeProto]:
        """The nodes as they were read."""
        return self.model.graph.node

    def is_constant(self, name: str) -> bool:
        """Whether a name is a stored tensor."""
        return name in self._constants

    def constant(self, name: str) -> np.ndarray:
        """Add a tensor that is stored in the graph."""
        return numpy_helper.to_array(self._constants[name])

    def add_constant(self, name: str, value: np.ndarray | np.generic) -> str:
        """Store a tensor and return its name."""
        self._constants[name] = numpy_helper.from_array(
            np.ascontiguousarray(value).reshape(value.shape), name
        )
        return name

    def insert_before(self, node: NodeProto, added: Sequence[NodeProto]) -> None:
        """Put nodes in front of one that stays or is replaced."""
        self._before.setdefault(node.name, []).extend(added)

    def replace(self, node: NodeProto, by: Sequence[NodeProto]) -> None:
        """Put nodes in the place of one, or none; its outputs must be given by others."""
        self._instead[node.name] = list(by)

    def save(self, target: Path) -> None:
        """Write the edited graph, without constants that nothing reads any more."""
        onnx.save(self.edited(), str(target))

    def edited(self) -> ModelProto:
        """Make the changes and return the graph, without constants that nothing reads any more."""
        graph = self.model.graph
        nodes = [
            new
            for old in graph.node
            for new in (*self._before.get(old.name, ()), *self._instead.get(old.name, (old,)))
        ]
        used = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
        _refill(graph.node, nodes)
        _refill(graph.initializer, [tensor for name, tensor in self._constants.items() if name in used])
        drop_shapes(self.model)
        self._import_contrib()
        return self.model

    def _import_contrib(self) -> None:
        domains = {entry.domain for entry in self.model.opset_import}
        if CONTRIB_DOMAIN not in domains and any(n.domain == CONTRIB_DOMAIN for n in self.nodes):
            self.model.opset_import.append(helper.make_opsetid(CONTRIB_DOMAIN, 1))


def _refill(field, values) -> None:  # type: ignore[no-untyped-def]  # protobuf's repeated fields have no public type
    del field[:]
    field.extend(values)


def inline_shared_constants(model: ModelProto) -> None:
    """Let nodes read stored tensors directly.

    The exporter writes equal tensors once and hands them on through Identity nodes. Quantizers take
    what comes out of a node for an activation, and ALBERT, whose layers share their weights, would stay
    in float.
    """
    nodes = model.graph.node
    stored = {tensor.name for tensor in model.graph.initializer}
    shared = {n.output[0]: n.input[0] for n in nodes if n.op_type == "Identity" and n.input[0] in stored}
    for reader in nodes:
        reader.input[:] = [shared.get(name, name) for name in reader.input]
    _refill(nodes, [kept for kept in nodes if kept.output[0] not in shared])


def drop_shapes(model: ModelProto) -> None:
    """Forget the shapes of intermediate tensors.

    Where they are written down, ONNX Runtime fuses residual Add and LayerNormalization into a kernel
    that is slower on the CPU than the two: 12-17 % of int8 MiniLM's and DistilBERT's latency.
    """
    del model.graph.value_info[:]


def keep_norms_apart(model: ModelProto) -> None:
    """Write the addition before each LayerNormalization as Sum, which is the same of two tensors.

    Where the graph's sizes are fixed ONNX Runtime knows every shape, and fuses Add and LayerNormalization
    into the kernel that is slower (see `drop_shapes`): MiniLM took 1.09 times as long in fp32 and 1.28 times
    in int8 as with free sizes, at 128 tokens. It does not fuse Sum.
    """
    added = {own.output[0]: own for own in model.graph.node if own.op_type == "Add"}
    for own in model.graph.node:
        if own.op_type == "LayerNormalization" and own.input[0] in added:
            added[own.input[0]].op_type = "Sum"


def node(op: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any) -> NodeProto:
    """A node with one output, named after it."""
    return helper.make_node(op, list(inputs), [output], output, domain=domain, **attributes)
