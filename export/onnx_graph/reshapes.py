"""Reshapes with stored shapes, in place of shapes that are computed at each run.

Exporters write the shape of each Reshape as a chain of Shape, Gather, Unsqueeze and Concat over the sizes of
the batch. Attention has four in each layer. Nearly all say the same thing: keep the first two sizes, split or
join the last ones, which ONNX writes as [0, 0, heads, width].
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

KEPT, INFERRED = 0, -1
LARGEST = 1024
"""Stored tensors of more numbers than this are not shapes, and are not copied to find some."""

Size = int | str
"""A size that is known, or the name of one that is not."""


def store_shapes(model: ModelProto) -> None:
    """Give each Reshape of `model` a stored shape, where sizes of its input say what it is.

    Nodes that only computed the shapes are taken away. A graph whose sizes cannot be found, or that has
    graphs in it, stays as it is.
    """
    if any(attribute.HasField("g") for node in model.graph.node for attribute in node.attribute):
        return
    sizes = _sizes(model)
    stored = {tensor.name for tensor in model.graph.initializer}
    stored |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[1] in stored or _allows_zero(node):
            continue
        shape = stored_shape(sizes.get(node.input[0]), sizes.get(node.output[0]))
        if shape is not None:
            name = f"{node.output[0]}_shape"
            model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
            node.input[1] = name
    _drop_unread(model)


def stored_shape(before: Sequence[Size] | None, after: Sequence[Size] | None) -> list[int] | None:
    """Return the shape that turns sizes into others at any size of the unknown ones.

    Args:
        before: sizes of the input of a Reshape; None where they are not known.
        after: sizes of its output.

    Returns:
        Sizes, 0 for that of the input at the same place, -1 for what is left, once at most; None where these
        do not say it.
    """
    if before is None or after is None:
        return None
    shape = [
        size if isinstance(size, int) else KEPT if place < len(before) and before[place] == size else INFERRED
        for place, size in enumerate(after)
    ]
    return shape if shape.count(INFERRED) <= 1 else None


def _allows_zero(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "allowzero" and attribute.i for attribute in node.attribute)


def _sizes(model: ModelProto) -> Mapping[str, Sequence[Size]]:
    try:
        with _elsewhere():
            inferred = SymbolicShapeInference.infer_shapes(_without_weights(model), auto_merge=True)
    except Exception:  # whatever it does not know: the graph is right as it is
        return {}
    values = (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    found = {value.name: _dimensions(value) for value in values}
    return {name: sizes for name, sizes in found.items() if all(size != "" for size in sizes)}


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Work in another folder: where ONNX Runtime finds no shapes it writes the graph into the current one."""
    here = os.getcwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def _dimensions(value: onnx.ValueInfoProto) -> list[Size]:
    dimensions = value.type.tensor_type.shape.dim
    return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in dimensions]


def _without_weights(model: ModelProto) -> ModelProto:
    """A copy of the graph whose large tensors are inputs: their sizes matter, their numbers do not."""
    tensors = model.graph.initializer
    small = [tensor for tensor in tensors if np.prod(tensor.dims) <= LARGEST]
    large = [tensor for tensor in tensors if np.prod(tensor.dims) > LARGEST]
    graph = helper.make_graph(
        list(model.graph.node),
        model.graph.name,
        [*model.graph.input, *map(_as_input, large)],
        list(model.graph.output),
        small,
    )
    return helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)


def _as_input(tensor: TensorProto) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))


def _drop_unread(model: ModelProto) -> None:
    """Take away nodes, and after them stored tensors, whose values nothing reads."""
    graph = model.graph
    read = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):  # a graph is sorted: readers come after what they read
        if read.isdisjoint(node.output):
            continue
        read.update(node.input)
        kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    tensors = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
