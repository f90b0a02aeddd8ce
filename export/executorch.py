"""ExecuTorch: the .pte program that PyTorch's runtime for phones runs, on XNNPACK's CPU kernels.

`python -m export.executorch --model MODEL` writes it.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepress.core import console
from edgepress.core.errors import EdgepressError, first_line, unknown_name
from edgepress.core.memory import LONG, gigabytes
from edgepress.core.outputs import as_one
from export.core.config import ExportConfig
from export.core.format import Format
from export.core.quiet import quiet
from export.core.runner import Batch, Runner
from export.core.scheme import Options, Scheme
from export.core.shapes import ShapedRunner, Shapes

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram
    from torch.fx import GraphModule, Node
    from transformers import PreTrainedModel

# Rows of a file that takes any number of tokens: a phone asks about one text at a time, and memory is
# planned for the largest input.
ROWS = 1
EXAMPLE_LENGTH = 8
# Fact of the manifest.
PLANNED = "planned_memory_bytes"
# torch.export makes constants of 0 and 1, and MobileBERT looks one token ahead and one back. The
# program that it writes runs shorter inputs all the same.
SHORTEST = 3
LEVELS = 127
TINY = 1e-8


class ExecuTorchFormat(Format):
    """ExecuTorch programs, lowered to XNNPACK and run by ExecuTorch's Python bindings."""

    name = "executorch"
    title = "ExecuTorch"
    file = "executorch/model.pte"
    modules = ("executorch",)
    runtime = ("executorch",)
    extra = "executorch"

    def write(self, model: PreTrainedModel, target: Path, config: ExportConfig) -> Mapping[str, object]:
        return {PLANNED: export(model, target, config.shapes)}

    def open(self, path: Path, threads: int) -> Runner:
        return ExecuTorchRunner(path, threads)

    def schemes(self) -> Mapping[str, Scheme]:
        return SCHEMES


def export(model: PreTrainedModel, target: Path, shapes: Shapes | None = None) -> int:
    """Write `model` in fp32 to `target`; one row of any length unless `shapes` says otherwise.

    Returns:
        the memory that is planned for the longest input, and taken when the file is opened [bytes].

    Raises:
        EdgepressError: torch.export or ExecuTorch cannot follow the model.
    """
    with quiet(), _failing(model):
        captured = _Capture(model, shapes or Shapes())
        planned = _save(captured, captured.program(model), target)
    longest = captured.lengths[1]
    if longest > LONG:
        said = f"memory is planned for {longest:,} tokens: {gigabytes(planned)}"
        console.step(f"ExecuTorch: {said}; --max-length N plans for less")
    return planned


@contextlib.contextmanager
def _failing(model: PreTrainedModel) -> Iterator[None]:
    try:
        yield
    except EdgepressError:
        raise
    except Exception as error:  # the exporters raise whatever the model's code and their passes do
        kind = model.config.model_type
        raise EdgepressError(
            f"ExecuTorch cannot hold {kind}: {first_line(error)}",
            "a fixed --sequence-length asks less of its exporter",
        ) from error


class _Capture:
    """How a model is captured: example inputs, and which of their axes may change."""

    def __init__(self, model: PreTrainedModel, shapes: Shapes) -> None:
        import torch

        from edgepress.core.inputs import input_names, longest_input

        fixed = shapes.fixed_length
        longest = longest_input(model)
        self.lengths = (fixed, fixed) if fixed else (1, min(longest, shapes.longest or longest))
        size = (shapes.batch or ROWS, fixed or EXAMPLE_LENGTH)
        self.inputs = {name: torch.ones(size, dtype=torch.int64) for name in input_names(model)}

    def program(self, model: Any) -> ExportedProgram:
        """The graph of a module that takes the inputs by name."""
        from torch.export import Dim, export

        free = {1: Dim("length", min=SHORTEST, max=self.lengths[1])}
        axes = None if self.lengths[0] == self.lengths[1] else dict.fromkeys(self.inputs, free)
        return export(model, (), self.inputs, dynamic_shapes=axes, strict=False)


def _save(captured: _Capture, program: ExportedProgram, target: Path) -> int:
    """Lower a graph to XNNPACK and write it, with the names and lengths of its inputs as its methods.

    Returns:
        the size of its planned memory [bytes].
    """
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = program.run_decompositions({torch.ops.aten.scaled_dot_product_attention.default: _attention})
    facts = {"input_names": list(captured.inputs), "lengths": list(captured.lengths)}
    partitioner = [XnnpackPartitioner()]
    lowered = to_edge_transform_and_lower(program, partitioner=partitioner, constant_methods=facts)
    target.parent.mkdir(parents=True, exist_ok=True)
    written = lowered.to_executorch()
    target.write_bytes(written.buffer)
    plans = written.executorch_program.execution_plan
    return max(sum(plan.non_const_buffer_sizes) for plan in plans)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001  # the model is in eval mode
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention as XNNPACK has it: (batch, heads, length, width) each.

    torch's own decomposition looks for rows that attend to nothing, in operators that XNNPACK has not:
    without that MiniLM takes half the time at 128 tokens. Masks of encoders are finite.
    """
    import torch

    if is_causal or enable_gqa:
        raise NotImplementedError("attention of a decoder")
    scores = torch.matmul(query * (scale or query.shape[-1] ** -0.5), key.transpose(-2, -1))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(attn_mask.logical_not(), torch.finfo(scores.dtype).min)
    elif attn_mask is not None:
        scores = scores + attn_mask
    attended = torch.matmul(torch.softmax(scores, dim=-1), value)
    # In memory the heads of a token lie together, as in torch's own: DistilBERT takes a view of that.
    return attended.transpose(1, 2).contiguous().transpose(1, 2)


class ExecuTorchRunner(ShapedRunner):
    """A .pte program in this process; ExecuTorch's thread pool is the process's, so the last `threads` holds.

    Its bindings take torch tensors, so that a process that measures it has torch in its memory.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        if not path.is_file():
            raise EdgepressError(f"{path}: ExecuTorch cannot open it: no such file")
        with quiet():
            import executorch.kernels.quantized  # noqa: F401  # what looks up rows of int8 tables
            from executorch.extension.pybindings import portable_lib
            from executorch.runtime import Runtime
            from executorch.version import __version__

        self.runtime = f"executorch {__version__.split('+')[0]}"
        try:
            with contextlib.redirect_stderr(
                io.StringIO()
            ):  # its C++ logs there; what fails is raised as well
                portable_lib._unsafe_reset_threadpool(threads)
                program = Runtime.get().load_program(path)
                self.names: list[str] = program.load_method("input_names").execute([])
                low, high = program.load_method("lengths").execute([])
                self._method = program.load_method("forward")
        except (RuntimeError, KeyError) as error:
            raise EdgepressError(f"{path}: ExecuTorch cannot open it: {first_line(error)}") from error
        rows = self._method.metadata.input_tensor_meta(0).sizes()[0]
        self.shapes = Shapes(rows, (low,) if low == high else ())

    def run(self, batch: Batch) -> np.ndarray:
        import torch

        found: list[Tensor] = self._method.execute([torch.from_numpy(value) for value in batch.values()])
        return as_one([own.numpy() for own in found])

    def close(self) -> None:
        """Release the program and its weights."""
        del self._method


def quantize_dynamic(source: Path, target: Path, options: Options) -> None:  # noqa: ARG001
    """Weights and embedding tables in int8 per channel, activations in int8 with a range found at each run.

    Quantization precedes lowering, so this starts from `options.model`, not from the fp32 file.

    Raises:
        EdgepressError: there is no `options.model`, or a layer of `options.keep_float` is unknown.
    """
    model = options.model
    if model is None:
        raise EdgepressError("ExecuTorch quantizes the torch model, and there is none", "name a model")
    with quiet(), _failing(model):
        captured = _Capture(model, options.export.shapes if options.export else Shapes())
        quantized = _quantized(captured, model, options.keep_float)
        _save(captured, captured.program(quantized), target)


def _quantized(captured: _Capture, model: PreTrainedModel, keep_float: frozenset[str]) -> GraphModule:
    """The captured graph with int8 layers, made with torchao's PT2E flow; `model` stays as it is."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    graph = captured.program(model).module()
    known = {layer for node in graph.graph.nodes if (layer := _layer(node))}
    for layer in keep_float - known:
        raise unknown_name("layer", layer, known)
    quantizer = XNNPACKQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True))
    quantizer.set_filter_function(lambda node: _layer(node) not in keep_float)
    # It would make float tensors of all numbers, also of the 1 that RoBERTa's positions begin with.
    quantizer.transform_for_annotation = lambda graph: graph
    prepared = prepare_pt2e(graph, quantizer)
    prepared(**captured.inputs)
    converted: GraphModule = convert_pt2e(prepared)
    _quantize_tables(converted, keep_float)
    return converted


def _layer(node: Node) -> str:
    """The path in the torch model of the linear or embedding layer that a node computes, or nothing."""
    import torch

    if node.target not in (torch.ops.aten.linear.default, torch.ops.aten.embedding.default):
        return ""
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack", {})
    return list(stack.values())[-1][0] if stack else ""


def _quantize_tables(graph: GraphModule, keep_float: frozenset[str]) -> None:
    """Give embeddings int8 tables with one scale a row, which ExecuTorch's kernel looks rows up in.

    PT2E quantizers leave embeddings alone, and they are a third of DistilBERT.
    """
    import executorch.exir.passes._quant_patterns_and_replacements  # noqa: F401  # brings the operator
    import torch

    lookups = [node for node in graph.graph.nodes if node.target == torch.ops.aten.embedding.default]
    for number, node in enumerate(lookups):
        if _layer(node) in keep_float:
            continue
        stored = _stored(graph, f"table_{number}", graph.get_parameter(node.args[0].target).detach())
        with graph.graph.inserting_before(node):
            operands = [graph.graph.get_attr(name) for name in stored]
            quantized = graph.graph.call_function(
                torch.ops.quantized_decomposed.embedding_byte.default,
                (*operands, -LEVELS, LEVELS, node.args[1]),
            )
        node.replace_all_uses_with(quantized)
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _stored(graph: GraphModule, name: str, table: Tensor) -> tuple[str, ...]:
    """Store a table (rows, width) in int8; the names of its values, scales and zero points (rows,)."""
    import torch

    scales = table.abs().amax(dim=1).clamp_min(TINY) / LEVELS
    values = torch.round(table / scales[:, None]).to(torch.int8)
    stored = {name: values, f"{name}_scales": scales, f"{name}_zeros": torch.zeros_like(scales)}
    for key, value in stored.items():
        graph.register_buffer(key, value)
    return tuple(stored)


SCHEMES = {"int8-dynamic": Scheme("int8-dynamic", "int8", "model_int8.pte", quantize_dynamic)}

FORMAT = ExecuTorchFormat()

if __name__ == "__main__":
    from export.command.run import run_format

    run_format(FORMAT.name)
