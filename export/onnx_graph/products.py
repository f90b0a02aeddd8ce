"""One product in place of several that read the same activation: query, key and value of attention.

The numbers stay the same, as each output channel keeps its own weights and its own scale. One call of the
int8 kernel packs the activation once, three do it three times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper

from export.onnx_graph.graph import GraphEdit, node
from export.onnx_graph.layers import layer_name


@dataclass(frozen=True)
class _Linear:
    """A product with a stored matrix, and the stored bias that is added to it."""

    product: NodeProto
    addition: NodeProto
    bias: str

    @property
    def weight(self) -> str:
        return str(self.product.input[1])


def merge_products(edit: GraphEdit, keep_float: frozenset[str]) -> None:
    """Let products with a bias that read one activation be one product, split afterwards.

    Args:
        edit: graph in fp32.
        keep_float: names of layers that are to stay as they are.
    """
    for activation, layers in _groups(edit, keep_float).items():
        _merge(edit, activation, layers)


def _groups(edit: GraphEdit, keep_float: frozenset[str]) -> Mapping[str, Sequence[_Linear]]:
    """Activation -> the layers that read it, where there are several."""
    groups: dict[str, list[_Linear]] = {}
    for linear in _linears(edit):
        if layer_name(linear.product) not in keep_float:
            groups.setdefault(linear.product.input[0], []).append(linear)
    return {activation: layers for activation, layers in groups.items() if len(layers) > 1}


def _linears(edit: GraphEdit) -> Iterator[_Linear]:
    readers: dict[str, list[NodeProto]] = {}
    for reader in edit.nodes:
        for name in reader.input:
            readers.setdefault(name, []).append(reader)
    for product in edit.nodes:
        if product.op_type != "MatMul" or not edit.is_constant(product.input[1]):
            continue
        additions = readers.get(product.output[0], [])
        biases = [name for reader in additions for name in reader.input if edit.is_constant(name)]
        if [reader.op_type for reader in additions] == ["Add"] and biases:
            yield _Linear(product, additions[0], biases[0])


def _merge(edit: GraphEdit, activation: str, layers: Sequence[_Linear]) -> None:
    # Layers that share their weights, as ALBERT's do, share what is made of them by its name.
    name = "+".join(layer.weight for layer in layers)
    weights = [edit.constant(layer.weight) for layer in layers]
    biases = [edit.constant(layer.bias) for layer in layers]
    stored = {
        "weight": np.concatenate(weights, axis=1),
        "bias": np.concatenate(biases),
        "widths": np.array([weight.shape[1] for weight in weights], np.int64),
    }
    names = {part: edit.add_constant(f"{name}_{part}", value) for part, value in stored.items()}
    first = layers[0].product
    product = node("MatMul", [activation, names["weight"]], f"{first.output[0]}_merged")
    product.name = first.name
    added = node("Add", [product.output[0], names["bias"]], f"{first.output[0]}_biased")
    outputs = [layer.addition.output[0] for layer in layers]
    split = helper.make_node(
        "Split", [added.output[0], names["widths"]], outputs, f"{first.name}_split", axis=-1
    )
    for layer in layers:
        edit.replace(layer.product, [])
        edit.replace(layer.addition, [])
    edit.replace(first, [product, added, split])
