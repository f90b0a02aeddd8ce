"""Routes from a classifier in torch to an ONNX graph; the first whose graph agrees with the model is kept.

The TorchScript-based exporter comes first: it writes any opset from 14 on, and takes code that torch.export
refuses. The dynamo exporter comes second: it takes control flow that a trace would fix, from opset 18 on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime import InferenceSession
from transformers import PreTrainedModel

from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.heads import gives_tokens
from edgepress.core.inputs import input_names, longest_input
from edgepress.core.outputs import STATES, as_one, file_outputs, model_logits, model_outputs, output_names
from export.core.attention import plain_attention
from export.core.quiet import quiet
from export.core.traceable import Traceable, example_inputs
from export.onnx_graph.graph import inline_shared_constants
from export.onnx_graph.reshapes import store_shapes

AXES = {0: "batch_size", 1: "sequence_length"}
LEAST_DYNAMO_OPSET = 18
ATOL = 1e-3
"""Largest difference of a logit at which a graph is kept; parity is judged more strictly afterwards."""
SHAPES = ((1, 1), (3, 7), (2, 30))
"""Rows and tokens that a graph is tried on: others than those that it was traced with."""


@dataclass(frozen=True)
class Route:
    """Exporter and opset that a graph was written with."""

    name: str
    opset: int
    refused: dict[str, str] = field(default_factory=dict)
    """Route that was tried before -> why it was not kept."""

    @property
    def recorded(self) -> dict[str, object]:
        """Facts for the manifest."""
        refused = {"refused": self.refused} if self.refused else {}
        return {"exporter": self.name, "opset": self.opset, **refused}


def write_graph(model: PreTrainedModel, target: Path, opset: int) -> Route:
    """Write a classifier with free batch and sequence by the first route that agrees with it.

    Args:
        model: in torch, fp32, eval mode; inputs are `edgepress.core.inputs.input_names`, int64.
        target: ONNX file to write.
        opset: wanted; the dynamo route writes 18 at least.

    Raises:
        EdgepressError: no route can write it.
    """
    refused: dict[str, str] = {}
    for name, (write, least) in ROUTES.items():
        used = max(opset, least)
        try:
            with quiet(), plain_attention(model):
                write(model, target, used)
            _simplify(target)
            difference = _largest_difference(model, target)
        except Exception as error:  # exporters raise whatever they like
            refused[name] = first_line(error)
            continue
        if difference <= ATOL:
            return Route(name, used, refused)
        refused[name] = f"its logits differ by {difference:.1e}"
    target.unlink(missing_ok=True)
    reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
    raise EdgepressError(f"no ONNX export for {model.config.model_type}: {reasons}")


def _by_torchscript(model: PreTrainedModel, target: Path, opset: int) -> None:
    names, inputs = input_names(model), example_inputs(model)
    outputs, own = output_names(model), AXES if gives_tokens(model) else {0: AXES[0]}
    axes = {**dict.fromkeys(names, AXES), **dict.fromkeys(outputs, own)}
    axes |= dict.fromkeys({*outputs} & {STATES}, AXES)
    with _logits_alone(model, names), torch.no_grad():
        torch.onnx.export(
            model,
            inputs,
            str(target),
            input_names=list(names),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=opset,
            do_constant_folding=True,
            dynamo=False,
        )


@contextlib.contextmanager
def _logits_alone(model: PreTrainedModel, names: tuple[str, ...]) -> Iterator[None]:
    """Let the model take its inputs by position and give the logits alone.

    A module around it would do the same, and put its name before that of every node.
    """
    original = model.forward

    def forward(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return model_outputs(original(**dict(zip(names, inputs, strict=True))))

    model.forward = forward
    try:
        yield
    finally:
        del model.forward


def _by_dynamo(model: PreTrainedModel, target: Path, opset: int) -> None:
    names = input_names(model)
    free = dict.fromkeys(AXES, torch.export.Dim.DYNAMIC)
    with torch.no_grad():
        torch.onnx.export(
            Traceable(model).eval(),
            example_inputs(model),
            str(target),
            input_names=list(names),
            output_names=list(output_names(model)),
            dynamic_shapes=(tuple(free for _ in names),),
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    written = onnx.load(str(target))
    _name_axes(written)
    onnx.save(written, str(target))


def _name_axes(model: onnx.ModelProto) -> None:
    """Name the free axes as the other route does; the exporter calls them s0, s1."""
    for value in (*model.graph.input, *model.graph.output):
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_param and axis in AXES:
                dimension.dim_param = AXES[axis]


Write = Callable[[PreTrainedModel, Path, int], None]
ROUTES: dict[str, tuple[Write, int]] = {
    "torchscript": (_by_torchscript, 0),
    "dynamo": (_by_dynamo, LEAST_DYNAMO_OPSET),
}
"""Name -> exporter and the least opset that it writes."""


def _simplify(target: Path) -> None:
    exported = onnx.load(str(target))
    inline_shared_constants(exported)
    store_shapes(exported)
    onnx.save(exported, str(target))


def _largest_difference(model: PreTrainedModel, target: Path) -> float:
    """Largest difference of a logit between the graph in ONNX Runtime and the model, over some shapes."""
    session = InferenceSession(str(target), providers=["CPUExecutionProvider"])
    names, longest = input_names(model), longest_input(model)
    found = []
    for rows, length in SHAPES:
        inputs = example_inputs(model, rows, min(length, longest))
        named = dict(zip(names, inputs, strict=True))
        feeds = {name: value.numpy() for name, value in named.items()}
        ours = as_one(session.run(list(file_outputs(output_names(model), str(target))), feeds))
        with torch.no_grad():
            theirs = model_logits(model(**named)).numpy()
        if not np.isfinite(theirs).all():
            return 0.0  # no exporter's fault: comparing the file says so
        found.append(float(np.abs(ours - theirs).max()))
    return max(found)
