"""OpenVINO files: their inputs, their arithmetic next to torch's, what is quantized in them, damage."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SENTENCES, small_bert
from small_models import ARCHITECTURES, LONGEST, SIZES, VOCABULARY, WITH_TOKEN_TYPES
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from edgepress.core.errors import EdgepressError
from edgepress.core.pretrained import encode
from export.core.config import ExportConfig
from export.core.eager import EagerRunner
from export.core.registry import find_format, open_runner
from export.core.runner import Batch
from export.core.scheme import CPU_TARGETS, Options
from export.core.shapes import Shapes
from export.openvino import SCHEMES, OpenVinoRunner, coverage, export
from export.validation.parity import compare, compare_logits, parity_batches

# importorskip would import openvino before its usage reports are forbidden.
if find_spec("openvino") is None or find_spec("nncf") is None:
    pytest.skip("the extra 'openvino' is not installed", allow_module_level=True)

QUERY = "bert.encoder.layer.0.attention.self.query"
TABLE = "bert.embeddings.word_embeddings"
# Its quantizer is slow: tests of every format (test_export_command.py) have its file by default.
pytestmark = pytest.mark.slow
VNNI = Options(CPU_TARGETS["avx512_vnni"])
# Mean difference of a logit; the trained model's are some 10 apart.
LARGEST_DRIFT = {"int8-static": 1.0, "int8-weights": 0.1, "fp16": 0.01}


Quantize = Callable[..., Path]


@pytest.fixture(scope="module")
def sentences(tokenizer: PreTrainedTokenizerFast) -> list[Batch]:
    return encode(tokenizer, [(text,) for text, _ in SENTENCES], LONGEST)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory, trained_bert: PreTrainedModel) -> Path:
    """The fp32 file of a small BERT that was trained."""
    target = tmp_path_factory.mktemp("openvino") / "openvino_model.xml"
    export(trained_bert, target)
    return target


@pytest.fixture(scope="module")
def quantized(parent: Path, sentences: list[Batch], tmp_path_factory: pytest.TempPathFactory) -> Quantize:
    """Quantize the parent with a scheme; its sentences are there for those that calibrate."""

    @cache
    def run(name: str, options: Options = VNNI) -> Path:
        target = tmp_path_factory.mktemp(name) / SCHEMES[name].file_name
        SCHEMES[name].quantize(parent, target, replace(options, calibration_batches=sentences[::8]))
        return target

    return run


def stored_bytes(path: Path) -> int:
    return path.with_suffix(".bin").stat().st_size


def taken(kind: str, batch: Batch) -> Batch:
    return {name: v for name, v in batch.items() if name != "token_type_ids" or kind in WITH_TOKEN_TYPES}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_agrees_with_torch(kind: str, sentences: list[Batch], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ARCHITECTURES[kind]().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    export(model, tmp_path / "model.xml")
    batches = [taken(kind, batch) for batch in parity_batches(sentences, LONGEST)]
    with OpenVinoRunner(tmp_path / "model.xml") as runner:
        found = compare(EagerRunner(model), runner, batches, "single_label_classification")
    assert found.max_abs < 1e-4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_inputs_and_output(parent: Path) -> None:
    import openvino

    graph = openvino.Core().read_model(parent)
    assert [(value.get_names(), str(value.partial_shape)) for value in graph.inputs] == [
        ({name}, "[?,?]") for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    assert {value.get_element_type().get_type_name() for value in graph.inputs} == {"i64"}
    assert [value.get_names() for value in graph.outputs] == [{"logits"}]


def test_format_writes_and_opens(
    trained_bert: PreTrainedModel, sentences: list[Batch], tmp_path: Path
) -> None:
    form = find_format("openvino")
    target = tmp_path / form.file
    form.write(trained_bert, target, ExportConfig(model="x"))
    assert sorted(tmp_path.rglob("*.*")) == sorted(form.parts(target))
    with open_runner(target) as runner:
        assert runner.runtime.startswith("openvino 20")
        assert np.abs(runner(sentences[0]) - EagerRunner(trained_bert)(sentences[0])).max() < 1e-4


@pytest.mark.parametrize(("rows", "length"), [(1, None), (None, 32), (4, 32)])
def test_fixed_shapes(
    rows: int | None,
    length: int | None,
    trained_bert: PreTrainedModel,
    sentences: list[Batch],
    tmp_path: Path,
) -> None:
    target = tmp_path / "model.xml"
    shapes = Shapes(rows, (length,) if length else ())
    export(trained_bert, target, shapes)
    batches = [batch for batch in parity_batches(sentences, 32) if batch["input_ids"].shape[1] <= 32]
    with OpenVinoRunner(target) as runner:
        assert runner.shapes == shapes
        found = compare(EagerRunner(trained_bert), runner, batches, "single_label_classification")
    assert found.max_abs < 1e-4


def test_fixed_shapes_are_kept_by_calibration(
    trained_bert: PreTrainedModel, sentences: list[Batch], tmp_path: Path
) -> None:
    export(trained_bert, tmp_path / "fp32.xml", Shapes(2, (32,)))
    options = replace(VNNI, calibration_batches=sentences[::8])
    SCHEMES["int8-static"].quantize(tmp_path / "fp32.xml", tmp_path / "int8.xml", options)
    with OpenVinoRunner(tmp_path / "int8.xml") as runner:
        assert runner.shapes == Shapes(2, (32,))
        assert runner(sentences[0]).shape == (1, 2)


def test_input_that_is_missing_is_not_made_up(parent: Path, sentences: list[Batch]) -> None:
    with OpenVinoRunner(parent) as runner, pytest.raises(KeyError, match="attention_mask"):
        runner({"input_ids": sentences[0]["input_ids"]})


@pytest.mark.parametrize("threads", [1, 2])
def test_threads(parent: Path, threads: int) -> None:
    with OpenVinoRunner(parent, threads) as runner:
        assert runner.compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert runner.compiled.get_property("NUM_STREAMS") == 1
        assert runner.compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


@pytest.mark.parametrize("name", SCHEMES)
def test_decisions_are_kept(
    name: str, quantized: Quantize, trained_bert: PreTrainedModel, sentences: list[Batch]
) -> None:
    with OpenVinoRunner(quantized(name)) as runner:
        child = [runner(batch) for batch in sentences]
    parent = [EagerRunner(trained_bert)(batch) for batch in sentences]
    found = compare_logits(parent, child, sentences, "single_label_classification")
    assert found.agreement == 1.0
    assert 0 < found.mean_abs < LARGEST_DRIFT[name]


# 2 layers of 4 projections, 2 of the feed-forward network and 2 inside the attention; pooler, classifier.
@pytest.mark.parametrize(
    ("name", "expected", "share"),
    [("int8-static", "14/18", 0.35), ("int8-weights", "14/18", 0.35), ("fp16", "0/18", 0.55)],
)
def test_size_and_coverage(name: str, expected: str, share: float, quantized: Quantize, parent: Path) -> None:
    assert coverage(parent) == "0/18"
    path = quantized(name)
    assert coverage(path) == expected
    assert stored_bytes(path) < share * stored_bytes(parent)


def test_schemes_are_quiet(
    parent: Path, sentences: list[Batch], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for scheme in SCHEMES.values():
        scheme.quantize(parent, tmp_path / scheme.file_name, replace(VNNI, calibration_batches=sentences[:4]))
    assert capfd.readouterr() == ("", "")


def weight_type(path: Path, layer: str) -> str:
    """The type of a layer's stored matrix, looked for from the node that reads it."""
    import openvino

    graph = openvino.Core().read_model(path)
    node = next(
        node
        for node in graph.get_ops()
        if node.get_type_name() in ("MatMul", "Gather")
        and node.get_friendly_name().startswith(f"__module.{layer}/")
    )
    node = node.input_value(node.get_type_name() == "MatMul").get_node()
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return node.get_element_type().get_type_name()


@pytest.mark.parametrize("name", SCHEMES)
def test_keep_float_is_honoured(name: str, quantized: Quantize) -> None:
    layers = (QUERY, TABLE, "classifier")
    kept = quantized(name, replace(VNNI, keep_float=frozenset(layers)))
    small = {"int8-static": "i8", "int8-weights": "u8", "fp16": "f16"}[name]
    assert {weight_type(quantized(name), layer) for layer in layers} == {small}
    assert {weight_type(kept, layer) for layer in layers} == {"f32"}
    assert weight_type(kept, QUERY.replace(".0.", ".1.")) == small


@pytest.mark.parametrize("name", SCHEMES)
def test_unknown_layer_is_refused(name: str, quantized: Quantize) -> None:
    with pytest.raises(EdgepressError, match="unknown layer 'querry'"):
        quantized(name, replace(VNNI, keep_float=frozenset({"querry"})))


def test_static_takes_its_options(quantized: Quantize) -> None:
    usual = quantized("int8-static").with_suffix(".bin").read_bytes()
    narrow = quantized("int8-static", Options(CPU_TARGETS["avx2"])).with_suffix(".bin").read_bytes()
    unsmoothed = quantized("int8-static", replace(VNNI, smooth_quant=0)).with_suffix(".bin").read_bytes()
    assert len({usual, narrow, unsmoothed}) == 3


def test_calibration_that_nncf_has_not(quantized: Quantize) -> None:
    with pytest.raises(EdgepressError, match="nncf does not calibrate by entropy"):
        quantized("int8-static", replace(VNNI, calibration="entropy"))


def test_albert_keeps_a_layer_that_it_shares(sentences: list[Batch], tmp_path: Path) -> None:
    torch.manual_seed(0)
    two_layers = AlbertConfig(**{**SIZES, "num_hidden_layers": 2}, embedding_size=16)
    export(AlbertForSequenceClassification(two_layers).eval(), tmp_path / "fp32.xml")
    layer = "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query"
    options = replace(VNNI, calibration_batches=sentences[:4])
    for name, keep, expected in (("all", (), "15/19"), ("kept", (layer,), "13/19")):
        target = tmp_path / f"{name}.xml"
        SCHEMES["int8-static"].quantize(
            tmp_path / "fp32.xml", target, replace(options, keep_float=frozenset(keep))
        )
        assert coverage(target) == expected


@pytest.mark.parametrize("part", [".xml", ".bin"])
@pytest.mark.parametrize("kept", [None, 0.0, 0.01, 0.5, 0.99])
def test_damaged_file_is_refused(parent: Path, tmp_path: Path, part: str, kept: float | None) -> None:
    for whole in find_format("openvino").parts(parent):
        (tmp_path / whole.name).write_bytes(whole.read_bytes())
    broken = (tmp_path / parent.name).with_suffix(part)
    data = broken.read_bytes()
    broken.unlink() if kept is None else broken.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(EdgepressError, match="OpenVINO cannot open it") as refused:
        OpenVinoRunner(tmp_path / parent.name)
    assert parent.name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_model_that_cannot_be_traced_is_refused(tmp_path: Path) -> None:
    class Untraceable(BertForSequenceClassification):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            raise ValueError("not with me\nnor with you", input_ids)

    model = Untraceable(small_bert(VOCABULARY).config)
    with pytest.raises(EdgepressError, match="OpenVINO cannot convert bert") as refused:
        export(model, tmp_path / "model.xml")
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_reports_usage(parent: Path) -> None:
    """And whoever imports the library that reports finds it as before."""
    assert parent.exists()
    assert not any(name.partition(".")[0] == "openvino_telemetry" for name in sys.modules)
