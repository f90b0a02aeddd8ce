"""ONNX files: their inputs and outputs, their arithmetic next to torch's, and what is int8 in them."""

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import transformers
from conftest import small_bert
from onnxruntime.quantization import quantize_dynamic
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    masking_utils,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from edgepress.core.errors import EdgepressError
from export.core.attention import plain_attention
from export.core.eager import EagerRunner
from export.core.registry import open_runner
from export.core.shapes import Shapes
from export.onnx import DEFAULT_OPSET, OnnxRunner, check_opset, export, fix_shapes
from export.onnx_graph.layers import coverage

VOCABULARY = 100
SHAPES = [(1, 1), (1, 7), (2, 16), (5, 33), (1, 64)]


def tiny_distilbert() -> PreTrainedModel:
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=VOCABULARY, dim=32, n_layers=1, n_heads=2, hidden_dim=64, initializer_range=0.2
    )
    return DistilBertForSequenceClassification(config).eval()


def tiny_roberta() -> PreTrainedModel:
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
        type_vocab_size=1,
        initializer_range=0.2,
    )
    return RobertaForSequenceClassification(config).eval()


def batch(rows: int, length: int, padded: bool = False) -> dict[str, np.ndarray]:
    """Ids above the special ones; with `padded`, the second half of the first row is not attended to."""
    ids = np.random.default_rng(length).integers(5, VOCABULARY, size=(rows, length), dtype=np.int64)
    mask = np.ones_like(ids)
    if padded:
        mask[0, (length + 1) // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def axes(value: onnx.ValueInfoProto) -> list[str | int]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def signature(path: Path) -> dict[str, list[str | int]]:
    graph = onnx.load(str(path)).graph
    return {value.name: axes(value) for value in (*graph.input, *graph.output)}


def largest_difference(model: PreTrainedModel, path: Path, inputs: set[str]) -> float:
    torch_runner = EagerRunner(model)
    differences = []
    with OnnxRunner(path) as runner:
        for shape in SHAPES:
            for padded in (False, True):
                both = {name: v for name, v in batch(*shape, padded=padded).items() if name in inputs}
                differences.append(np.abs(runner(both) - torch_runner(both)).max())
    return float(max(differences))


def test_bert_signature(onnx_file: Path) -> None:
    dynamic = ["batch_size", "sequence_length"]
    assert signature(onnx_file) == {
        "input_ids": dynamic,
        "attention_mask": dynamic,
        "token_type_ids": dynamic,
        "logits": ["batch_size", 2],
    }


def test_bert_inputs_are_int64_and_the_model_is_valid(onnx_file: Path) -> None:
    model = onnx.load(str(onnx_file))
    onnx.checker.check_model(model)
    assert {entry.type.tensor_type.elem_type for entry in model.graph.input} == {onnx.TensorProto.INT64}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", DEFAULT_OPSET)]


def test_bert_parity_with_torch(onnx_file: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    inputs = {"input_ids", "attention_mask", "token_type_ids"}
    assert largest_difference(small_bert(len(tokenizer)), onnx_file, inputs) < 1e-4


@pytest.mark.parametrize("build", [tiny_distilbert, tiny_roberta])
def test_models_without_token_types(build: type, tmp_path: Path) -> None:
    model, path = build(), tmp_path / "deeper" / "model.onnx"
    export(model, path)
    assert list(signature(path)) == ["input_ids", "attention_mask", "logits"]
    assert largest_difference(model, path, {"input_ids", "attention_mask"}) < 1e-4


def test_another_opset(tmp_path: Path) -> None:
    model, path = tiny_distilbert(), tmp_path / "model.onnx"
    export(model, path, opset=14)
    assert onnx.load(str(path)).opset_import[0].version == 14
    assert largest_difference(model, path, {"input_ids", "attention_mask"}) < 1e-4


@pytest.mark.parametrize("opset", [0, 13, 21, 99])
def test_opset_out_of_range_is_refused(opset: int, tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=f"opset {opset} cannot be written") as refused:
        export(tiny_distilbert(), tmp_path / "model.onnx", opset)
    assert "14 to 20" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opset", [14, 17, 20])
def test_opset_in_range_is_accepted(opset: int) -> None:
    assert check_opset(opset) is None


class Untraceable(DistilBertForSequenceClassification):
    """Refuses one exporter, or both."""

    exporters: ClassVar[set[str]] = set()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        found = {"torchscript": torch.jit.is_tracing(), "dynamo": torch.compiler.is_exporting()}
        if any(found[name] for name in self.exporters):
            raise RuntimeError("not by this exporter")
        return super().forward(input_ids=input_ids, attention_mask=attention_mask)


class Forgetful(Untraceable):
    """Has a constant in its graph where its length should be."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        found = super().forward(input_ids=input_ids, attention_mask=attention_mask)
        length = int(input_ids.shape[1]) if torch.jit.is_tracing() else input_ids.shape[1]
        return SequenceClassifierOutput(logits=found.logits * length)


def test_the_first_exporter_that_agrees_is_kept(tmp_path: Path) -> None:
    assert export(tiny_distilbert(), tmp_path / "model.onnx").recorded == {
        "exporter": "torchscript",
        "opset": 17,
    }
    model = Untraceable(tiny_distilbert().config).eval()
    model.exporters = {"torchscript"}
    route = export(model, tmp_path / "model.onnx")
    assert route.recorded == {
        "exporter": "dynamo",
        "opset": 18,
        "refused": {"torchscript": "not by this exporter"},
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx"]
    with OnnxRunner(tmp_path / "model.onnx") as runner:
        inputs = {name: value for name, value in batch(3, 9).items() if name != "token_type_ids"}
        wanted = model(**{name: torch.from_numpy(value) for name, value in inputs.items()}).logits
        assert np.abs(runner(inputs) - wanted.detach().numpy()).max() < 1e-5
    axes = {d.dim_param for d in onnx.load(tmp_path / "model.onnx").graph.input[0].type.tensor_type.shape.dim}
    assert axes == {"batch_size", "sequence_length"}


def test_attention_is_written_as_products_and_a_softmax(tmp_path: Path) -> None:
    model = small_bert(300)
    before = model.config._attn_implementation
    export(model, tmp_path / "model.onnx")
    kinds = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert "Softmax" in kinds
    assert "IsNaN" not in kinds
    assert model.config._attn_implementation == before


@pytest.mark.skipif(transformers.__version__ < "5", reason="BERT of transformers 4 makes masks of its own")
def test_no_shape_is_computed_at_each_run_but_that_of_the_positions(onnx_file: Path) -> None:
    kinds = Counter(node.op_type for node in onnx.load(onnx_file).graph.node)
    assert kinds["Shape"] == 1
    assert kinds.keys().isdisjoint({"Range", "Expand", "Where", "ConstantOfShape"})


def test_masks_of_users_are_as_before() -> None:
    model = small_bert(300)
    usual = masking_utils.ALL_MASK_ATTENTION_FUNCTIONS["eager"]
    with plain_attention(model):
        pass
    assert masking_utils.ALL_MASK_ATTENTION_FUNCTIONS["eager"] is usual


def test_a_graph_that_is_right_for_one_length_only_is_not_kept(tmp_path: Path) -> None:
    model = Forgetful(tiny_distilbert().config).eval()
    model.exporters = {"dynamo"}
    with pytest.raises(EdgepressError, match="torchscript: its logits differ by"):
        export(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_architecture_without_export_is_refused(tmp_path: Path) -> None:
    model = Untraceable(tiny_distilbert().config).eval()
    model.exporters = {"torchscript", "dynamo"}
    with pytest.raises(
        EdgepressError, match="no ONNX export for distilbert: torchscript: not by this exporter"
    ):
        export(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_runner_ignores_inputs_that_the_file_does_not_take(tmp_path: Path) -> None:
    export(tiny_distilbert(), tmp_path / "model.onnx")
    with open_runner(tmp_path / "model.onnx") as runner:
        assert runner(batch(3, 9)).shape == (3, 2)


def test_padding_does_not_change_logits(onnx_file: Path) -> None:
    long = batch(1, 20, padded=True)
    short = {name: values[:, :10] for name, values in long.items()}
    with OnnxRunner(onnx_file) as runner:
        assert np.abs(runner(long) - runner(short)).max() < 1e-4


def test_runner_says_what_runs(onnx_file: Path) -> None:
    with OnnxRunner(onnx_file) as runner:
        assert runner.runtime.startswith("onnxruntime 1.")


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_runner_refuses_a_truncated_file(onnx_file: Path, tmp_path: Path, kept: float) -> None:
    data = onnx_file.read_bytes()
    path = tmp_path / "model.onnx"
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(EdgepressError, match="ONNX Runtime cannot open it: it is damaged") as refused:
        OnnxRunner(path)
    assert "export it again" in refused.value.hint
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_runner_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=r"nowhere\.onnx"):
        OnnxRunner(tmp_path / "nowhere.onnx")


def test_file_that_no_runtime_reads(tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=r"no runtime here reads model\.gguf") as refused:
        open_runner(tmp_path / "model.gguf")
    assert ".onnx" in refused.value.hint


def test_coverage_before_and_after_quantization(onnx_file: Path, tmp_path: Path) -> None:
    before = coverage(onnx_file)
    # Each of 2 layers: query, key, value, output, two of the feed-forward network, two of the
    # attention itself; then the pooler and the classifier.
    assert (before.quantized, before.total, str(before)) == (0, 18, "0/18")
    quantize_dynamic(str(onnx_file), str(tmp_path / "int8.onnx"))
    after = coverage(tmp_path / "int8.onnx")
    assert (after.quantized, after.total) == (14, 18)


def qdq_graph(path: Path, both: bool) -> None:
    """One MatMul whose weight, and with `both` also whose input, comes out of a DequantizeLinear."""
    node, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    weight = tensor(np.ones((4, 4), dtype=np.int8), "w")
    scale = tensor(np.float32(0.1), "s")
    nodes = [
        node("QuantizeLinear", ["x", "s"], ["xq"]),
        node("DequantizeLinear", ["xq", "s"], ["xd"]),
        node("DequantizeLinear", ["w", "s"], ["wd"]),
        node("MatMul", ["xd" if both else "x", "wd"], ["y"]),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes, "g", [value("x", 1, [1, 4])], [value("y", 1, [1, 4])], [weight, scale]
    )
    onnx.save(onnx.helper.make_model(graph), str(path))


@pytest.mark.parametrize(("both", "expected"), [(True, "1/1"), (False, "0/1")])
def test_coverage_of_qdq_needs_both_operands(tmp_path: Path, both: bool, expected: str) -> None:
    qdq_graph(tmp_path / "qdq.onnx", both)
    assert str(coverage(tmp_path / "qdq.onnx")) == expected


def test_fixed_sizes_leave_norms_to_themselves(onnx_file, tmp_path):
    """ONNX Runtime's kernel for an addition and a norm at once is slower on the CPU than the two."""
    fixed = tmp_path / "fixed.onnx"
    fixed.write_bytes(onnx_file.read_bytes())
    fix_shapes(fixed, Shapes(batch=1, lengths=(24,)))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(str(fixed), options, providers=["CPUExecutionProvider"])
    operators = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert "LayerNormalization" in operators
    assert "SkipLayerNormalization" not in operators
