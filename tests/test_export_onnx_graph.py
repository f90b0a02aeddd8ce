"""Graphs that are made shorter: stored shapes, and one product in place of several."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import small_bert
from onnx import TensorProto, helper
from transformers import AlbertConfig, AlbertForSequenceClassification

from export.onnx import OnnxRunner, export
from export.onnx_graph.graph import GraphEdit
from export.onnx_graph.products import merge_products
from export.onnx_graph.reshapes import store_shapes, stored_shape

QUERY, KEY = (f"bert.encoder.layer.0.attention.self.{name}" for name in ("query", "key"))


@pytest.mark.parametrize(
    ("before", "after", "shape"),
    [
        (["b", "s", 384], ["b", "s", 12, 32], [0, 0, 12, 32]),
        (["b", "s", 12, 32], ["b", "s", 384], [0, 0, 384]),
        (["b", "s", 8], ["b*s", 8], [-1, 8]),
        (["b*s", 8], ["b", "s", 8], None),  # two sizes that nothing says
        (["s", "b"], ["b", "s"], None),
        (["b", 4], ["b", 4], [0, 4]),
        (None, ["b", 4], None),
        (["b", 4], None, None),
    ],
)
def test_shape_that_holds_at_any_size(before: list | None, after: list | None, shape: list | None) -> None:
    assert stored_shape(before, after) == shape


def computed_reshape() -> onnx.ModelProto:
    """(batch, sequence, 6) to (batch, sequence, 2, 3), by sizes that are read at each run."""
    sizes = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("two", 2), ("three", 3))
    ]
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"], start=0, end=2),
        helper.make_node("Concat", ["sizes", "two", "three"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "reshape",
        [value("x", TensorProto.FLOAT, ["batch", "sequence", 6])],
        [value("y", TensorProto.FLOAT, None)],
        sizes,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_a_computed_shape_is_stored_and_nothing_unread_is_left() -> None:
    model = computed_reshape()
    store_shapes(model)
    assert [node.op_type for node in model.graph.node] == ["Reshape"]
    assert [tensor.name for tensor in model.graph.initializer] == ["y_shape"]


@pytest.mark.parametrize("shape", [(1, 1, 6), (3, 4, 6)])
def test_a_stored_shape_gives_the_same(shape: tuple[int, ...], tmp_path: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    before, after = computed_reshape(), computed_reshape()
    store_shapes(after)
    feeds = {"x": np.arange(np.prod(shape), dtype=np.float32).reshape(shape)}
    wanted, found = (ReferenceEvaluator(model).run(None, feeds)[0] for model in (before, after))
    assert np.array_equal(found, wanted)


def logits(path: Path) -> np.ndarray:
    ids = np.arange(1, 15, dtype=np.int64).reshape(2, 7)
    mask = np.ones_like(ids)
    mask[1, 4:] = 0
    with OnnxRunner(path) as runner:
        return runner({"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0})


def products_of(path: Path) -> list[str]:
    return [node.name for node in onnx.load(str(path)).graph.node if node.op_type == "MatMul"]


def merged(source: Path, kept: frozenset[str] = frozenset()) -> Path:
    target = source.with_name("merged.onnx")
    edit = GraphEdit(onnx.load(str(source)))
    merge_products(edit, kept)
    edit.save(target)
    return target


@pytest.fixture(scope="module")
def bert_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    target = tmp_path_factory.mktemp("graph") / "model.onnx"
    export(small_bert(300), target)
    return target


def test_query_key_and_value_are_one_product(bert_file: Path) -> None:
    target = merged(bert_file)
    assert len(products_of(target)) == len(products_of(bert_file)) - 2 * 2  # in each of two layers
    assert np.abs(logits(target) - logits(bert_file)).max() < 1e-6


def test_a_layer_that_is_kept_is_not_merged(bert_file: Path) -> None:
    target = merged(bert_file, frozenset({QUERY}))
    assert len(products_of(target)) == len(products_of(bert_file)) - 1 - 2
    assert np.abs(logits(target) - logits(bert_file)).max() < 1e-6


def test_two_of_three_that_are_kept_leave_all_as_they_are_in_their_layer(bert_file: Path) -> None:
    target = merged(bert_file, frozenset({QUERY, KEY}))
    assert len(products_of(target)) == len(products_of(bert_file)) - 2


def test_layers_that_share_weights_share_what_is_merged(tmp_path: Path) -> None:
    config = AlbertConfig(
        vocab_size=300,
        embedding_size=16,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=32,
        num_hidden_layers=4,
    )
    torch.manual_seed(0)
    export(AlbertForSequenceClassification(config).eval(), tmp_path / "model.onnx")
    target = merged(tmp_path / "model.onnx")
    assert target.stat().st_size <= (tmp_path / "model.onnx").stat().st_size
    assert np.abs(logits(target) - logits(tmp_path / "model.onnx")).max() < 1e-6


def test_shapes_that_are_not_found_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "sequence"])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("Strange", ["x"], ["a"], domain="own"), helper.make_node("Relu", ["a"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [given], [made]))
    before = model.SerializeToString()
    store_shapes(model)
    assert model.SerializeToString() == before
    assert Path.cwd() == tmp_path
    assert not list(tmp_path.iterdir())
