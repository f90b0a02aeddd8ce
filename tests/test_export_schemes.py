"""Quantization schemes on a small BERT that was taught to tell good verdicts from bad ones."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import SENTENCES
from onnx import numpy_helper
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from edgepress.core.environment import environment
from edgepress.core.errors import EdgepressError
from edgepress.core.pretrained import encode
from export.core.runner import Batch
from export.core.scheme import CPU_TARGETS, Options
from export.onnx import OnnxRunner, export
from export.onnx_graph.layers import Coverage, coverage, layer_name, weight_layers
from export.onnx_graph.schemes import SCHEMES
from export.validation.parity import compare_logits

QUERY = "bert.encoder.layer.0.attention.self.query"
TABLE = "bert.embeddings.word_embeddings"
VNNI = Options(CPU_TARGETS["avx512_vnni"])

# What is quantized of 18 products: 12 with stored matrices on all tokens, and by int8-dynamic the
# pooler and the classifier as well, where query, key and value are one product.
COVERAGE = {
    "fp16": "0/18",
    "int4-weights": "12/18",
    "int8-dynamic": "10/14",
    "int8-static": "12/18",
    "int8-weights": "12/18",
}
# Share of the fp32 file; biases, positions and the graph itself weigh much in so small a model.
LARGEST_SHARE = {
    "fp16": 0.65,
    "int4-weights": 0.35,
    "int8-dynamic": 0.45,
    "int8-static": 0.5,
    "int8-weights": 0.55,
}

Quantize = Callable[..., Path]


@pytest.fixture(scope="module")
def sentences(tokenizer: PreTrainedTokenizerFast) -> list[Batch]:
    return encode(tokenizer, [(text,) for text, _ in SENTENCES], 64)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory, trained_bert: PreTrainedModel) -> Path:
    """The fp32 file of a small BERT that was trained."""
    target = tmp_path_factory.mktemp("schemes") / "model.onnx"
    export(trained_bert, target)
    return target


@pytest.fixture
def quantized(parent: Path, sentences: list[Batch], tmp_path: Path) -> Quantize:
    """Quantize the parent with a scheme; its sentences are there for those that calibrate."""

    def run(name: str, options: Options = VNNI) -> Path:
        target = tmp_path / SCHEMES[name].file_name
        SCHEMES[name].quantize(parent, target, replace(options, calibration_batches=sentences[::4]))
        return target

    return run


def logits(path: Path, batches: list[Batch]) -> list[np.ndarray]:
    with OnnxRunner(path) as runner:
        return [runner(batch) for batch in batches]


def graph_of(path: Path) -> onnx.GraphProto:
    return onnx.load(str(path)).graph


def constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def product_of(graph: onnx.GraphProto, layer: str) -> onnx.NodeProto:
    return next(n for n in graph.node if layer_name(n) == layer and n.op_type.startswith("MatMul"))


def float_tables(path: Path, vocabulary: int) -> list[str]:
    """Names of fp32 constants as large as the embedding table."""
    return [
        name
        for name, value in constants(graph_of(path)).items()
        if value.dtype == np.float32 and value.shape == (vocabulary, 64)
    ]


def counts(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in graph_of(path).node)


def test_parent_decides_clearly(parent: Path, sentences: list[Batch]) -> None:
    found = np.concatenate(logits(parent, sentences))
    expected = [label == "positive" for _, label in SENTENCES]
    assert (found.argmax(axis=1) == expected).all()


def test_every_scheme_is_judged_here() -> None:
    assert set(COVERAGE) == set(LARGEST_SHARE) == set(SCHEMES)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("target", CPU_TARGETS)
def test_decisions_are_kept(
    name: str, target: str, quantized: Quantize, parent: Path, sentences: list[Batch]
) -> None:
    if environment().vnni is False and not CPU_TARGETS[target].reduce_range:
        pytest.skip("8-bit weights saturate on this CPU")
    path = quantized(name, Options(CPU_TARGETS[target]))
    found = logits(path, sentences)
    assert all(np.isfinite(one).all() for one in found)
    parity = compare_logits(logits(parent, sentences), found, sentences, "single_label_classification")
    assert parity.agreement >= 0.98
    assert 0 < parity.mean_abs < 1


@pytest.mark.parametrize("name", SCHEMES)
def test_file_is_smaller(name: str, quantized: Quantize, parent: Path) -> None:
    size = quantized(name).stat().st_size
    assert size < LARGEST_SHARE[name] * parent.stat().st_size


@pytest.mark.parametrize("name", SCHEMES)
def test_coverage(name: str, quantized: Quantize) -> None:
    assert str(coverage(quantized(name))) == COVERAGE[name]


@pytest.mark.parametrize("name", SCHEMES)
def test_parent_is_not_touched(name: str, quantized: Quantize, parent: Path) -> None:
    before = parent.read_bytes()
    quantized(name)
    assert parent.read_bytes() == before


@pytest.mark.parametrize("name", SCHEMES)
def test_inputs_and_output_stay_as_they_are(name: str, quantized: Quantize, parent: Path) -> None:
    before, after = graph_of(parent), graph_of(quantized(name))
    assert list(after.input) == list(before.input)
    assert list(after.output) == list(before.output)


@pytest.mark.parametrize("name", SCHEMES)
def test_any_batch_and_length_runs(name: str, quantized: Quantize) -> None:
    with OnnxRunner(quantized(name)) as runner:
        for shape in [(1, 1), (3, 17), (2, 64)]:
            ids = np.full(shape, 7, dtype=np.int64)
            batch = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
            assert np.isfinite(runner(batch)).all()


@pytest.mark.parametrize("name", SCHEMES)
def test_kept_product_stays_in_float(name: str, quantized: Quantize) -> None:
    graph = graph_of(quantized(name, replace(VNNI, keep_float=frozenset({QUERY}))))
    product = product_of(graph, QUERY)
    weight = constants(graph)[product.input[1]]
    assert product.op_type == "MatMul"
    assert (weight.dtype, weight.shape) == (np.float32, (64, 64))
    producers = {output: node.op_type for node in graph.node for output in node.output}
    assert producers[product.input[0]] != "DequantizeLinear"


@pytest.mark.parametrize("name", sorted(set(SCHEMES) - {"fp16"}))
def test_kept_product_is_one_more_in_float(name: str, quantized: Quantize) -> None:
    kept = coverage(quantized(name, replace(VNNI, keep_float=frozenset({QUERY}))))
    before = Coverage(*map(int, COVERAGE[name].split("/")))
    assert kept.total - kept.quantized == before.total - before.quantized + 1


def test_kept_head_stays_in_float(quantized: Quantize) -> None:
    everything, kept = (
        coverage(quantized("int8-dynamic", replace(VNNI, keep_float=frozenset(layers))))
        for layers in ((), ("classifier",))
    )
    assert kept.quantized == everything.quantized - 1


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-static", "int8-weights"])
def test_the_few_token_types_stay_in_float(name: str, quantized: Quantize) -> None:
    graph = graph_of(quantized(name))
    stored = constants(graph)
    tables = [stored[n.input[0]] for n in graph.node if n.op_type == "Gather" and n.input[0] in stored]
    assert [t.dtype for t in tables if t.shape == (2, 64)] == [np.float32]


@pytest.mark.parametrize("name", ["int4-weights", "int8-weights"])
def test_smaller_blocks_have_more_scales(name: str, quantized: Quantize) -> None:
    large, small = (quantized(name, replace(VNNI, block_size=size)).stat().st_size for size in (64, 16))
    assert large < small


@pytest.mark.parametrize("name", SCHEMES)
def test_embedding_table_is_quantized(
    name: str, quantized: Quantize, parent: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    assert float_tables(parent, len(tokenizer)) == ["bert.embeddings.word_embeddings.weight"]
    assert float_tables(quantized(name), len(tokenizer)) == []


@pytest.mark.parametrize("name", SCHEMES)
def test_kept_embedding_table_stays_in_float(
    name: str, quantized: Quantize, tokenizer: PreTrainedTokenizerFast
) -> None:
    path = quantized(name, replace(VNNI, keep_float=frozenset({TABLE})))
    assert len(float_tables(path, len(tokenizer))) == 1


@pytest.mark.parametrize("name", SCHEMES)
def test_unknown_layer_is_refused(name: str, quantized: Quantize) -> None:
    options = replace(VNNI, keep_float=frozenset({QUERY.replace("query", "qeury")}))
    with pytest.raises(EdgepressError, match="unknown layer") as refused:
        quantized(name, options)
    assert f"did you mean '{QUERY}'?" in refused.value.hint


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-static", "int4-weights", "int8-weights"])
def test_shapes_of_inner_tensors_are_forgotten(
    name: str, parent: Path, sentences: list[Batch], tmp_path: Path
) -> None:
    shaped, target = tmp_path / "shaped.onnx", tmp_path / "quantized.onnx"
    onnx.shape_inference.infer_shapes_path(str(parent), str(shaped))
    assert len(graph_of(shaped).value_info) > 0
    SCHEMES[name].quantize(shaped, target, replace(VNNI, calibration_batches=sentences[:4]))
    assert len(graph_of(target).value_info) == 0


@pytest.mark.parametrize(("target", "limit"), [("avx2", 64), ("avx512", 64), ("avx512_vnni", 128)])
def test_range_of_dynamic_weights(target: str, limit: int, quantized: Quantize) -> None:
    graph = graph_of(quantized("int8-dynamic", Options(CPU_TARGETS[target])))
    stored = constants(graph)
    weights = [stored[node.input[1]] for node in graph.node if node.op_type == "MatMulInteger"]
    largest = max(int(np.abs(weight.astype(int)).max()) for weight in weights)
    assert {weight.dtype for weight in weights} == {np.dtype(np.int8)}
    assert limit / 2 < largest <= limit


@pytest.mark.parametrize(("target", "limit"), [("avx2", 64), ("avx512", 64), ("avx512_vnni", 127)])
def test_range_of_static_weights(target: str, limit: int, quantized: Quantize) -> None:
    graph = graph_of(quantized("int8-static", Options(CPU_TARGETS[target])))
    stored = constants(graph)
    sources = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    read = [n.input[1] for n in graph.node if n.op_type == "MatMul" and n.input[1] in sources]
    weights = [stored[sources[name]] for name in read]
    assert len(weights) == 12
    assert {weight.dtype for weight in weights} == {np.dtype(np.int8)}
    # Symmetric per channel: each output channel's largest weight takes the last level.
    assert all((np.abs(weight.astype(int)).max(axis=0) == limit).all() for weight in weights)


@pytest.mark.parametrize(("target", "dtype"), [("avx512_vnni", np.uint8), ("arm64", np.int8)])
def test_type_of_static_activations(target: str, dtype: type, quantized: Quantize) -> None:
    graph = graph_of(quantized("int8-static", Options(CPU_TARGETS[target])))
    stored = constants(graph)
    zeros = [stored[node.input[2]].dtype for node in graph.node if node.op_type == "QuantizeLinear"]
    assert zeros == [np.dtype(dtype)] * 8


def grid(path: Path) -> list[tuple[float, int]]:
    """Scale and zero point of each quantized activation."""
    graph = graph_of(path)
    stored = constants(graph)
    pairs = [node.input[1:] for node in graph.node if node.op_type == "QuantizeLinear"]
    return [(float(stored[scale]), int(stored[zero])) for scale, zero in pairs]


def test_arm_and_x86_activations_are_the_same_grid(quantized: Quantize) -> None:
    x86 = grid(quantized("int8-static", VNNI))
    arm = grid(quantized("int8-static", Options(CPU_TARGETS["arm64"])))
    assert [(scale, zero - 128) for scale, zero in x86] == arm


def test_static_quantizes_nothing_but_products_and_tables(quantized: Quantize) -> None:
    graph = graph_of(quantized("int8-static"))
    quantized_names = {node.output[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    activations = {
        node.output[0]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in quantized_names
    }
    readers = Counter(node.op_type for node in graph.node if activations & set(node.input))
    assert len(activations) == 8  # query, key and value read the same one
    assert readers == {"MatMul": 12}


def test_static_leaves_float_operators_between_no_pair(quantized: Quantize, parent: Path) -> None:
    graph = graph_of(quantized("int8-static"))
    dequantized = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    into = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    between = {
        node.op_type for node in graph.node if dequantized & set(node.input) and into & set(node.output)
    }
    assert between == set()
    for op in ("Softmax", "LayerNormalization", "Erf", "Add", "Tanh", "Gemm"):
        assert counts(parent)[op] == Counter(node.op_type for node in graph.node)[op]


@pytest.mark.parametrize(
    "calibration",
    [
        "minmax",
        "percentile",
        "entropy",
    ],
)
def test_calibration_on_variable_lengths(
    calibration: str, quantized: Quantize, parent: Path, sentences: list[Batch]
) -> None:
    assert len({batch["input_ids"].shape for batch in sentences[::4]}) > 3
    options = Options(CPU_TARGETS["avx2"], calibration=calibration)
    found = logits(quantized("int8-static", options), sentences)
    parity = compare_logits(logits(parent, sentences), found, sentences, "single_label_classification")
    assert parity.agreement >= 0.98
    assert 0 < parity.mean_abs < 1


def test_percentile_clips_what_minmax_keeps(quantized: Quantize) -> None:
    plain = replace(VNNI, smooth_quant=0.0)
    paths = (quantized("int8-static", replace(plain, calibration=name)) for name in ("minmax", "percentile"))
    minmax, percentile = (np.array([scale for scale, _ in grid(path)]) for path in paths)
    assert (percentile <= minmax * 1.01).all()
    assert (percentile < minmax * 0.99).any()


@pytest.mark.parametrize(("strength", "added"), [(0.0, 0), (0.5, 8), (1.0, 8)])
def test_smoothing_multiplies_each_site_once(
    strength: float, added: int, quantized: Quantize, parent: Path
) -> None:
    tables = frozenset(layer for layer in weight_layers(graph_of(parent)) if "embeddings" in layer)
    path = quantized("int8-static", replace(VNNI, smooth_quant=strength, keep_float=tables))
    assert counts(path)["Mul"] == counts(parent)["Mul"] + added


def test_static_file_depends_on_its_input_alone(quantized: Quantize) -> None:
    first = quantized("int8-static").read_bytes()
    assert quantized("int8-static").read_bytes() == first
