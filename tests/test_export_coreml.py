"""Core ML packages: parity of what was saved, shapes, labels, weights made smaller, and what is refused."""

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SENTENCES
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

pytest.importorskip("coremltools", reason="the extra 'coreml' is not installed")

from edgepress.core.errors import EdgepressError
from edgepress.core.inputs import input_names
from export.core.config import ExportConfig
from export.core.eager import EagerRunner
from export.core.registry import find_format, format_of, open_runner
from export.core.scheme import CPU_TARGETS, Options
from export.coreml import FORMAT
from export.mlprogram.config import CoreMlConfig
from export.mlprogram.package import load_spec, quiet
from export.validation.parity import Parity, compare, parity_batches

LONGEST = 64
CONFIG = CoreMlConfig(model="small-bert")
# Share of the largest logit that halves may cost these models, whose random weights are large on purpose.
HALF = 0.02


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """coremltools collects garbage with each conversion: spare it all that torch and transformers loaded."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, trained_bert: BertForSequenceClassification) -> Path:
    """The trained BERT as it is written by default: fp16, any length; it is left as it was."""
    before = {name: value.clone() for name, value in trained_bert.state_dict().items()}
    path = tmp_path_factory.mktemp("coreml") / "model.mlpackage"
    FORMAT.write(trained_bert, path, CONFIG)
    after = trained_bert.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not trained_bert.training
    return path


@pytest.fixture(scope="module")
def int8_weights(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with weights of 8 bits."""
    return quantized("int8-weights", package, tmp_path_factory.mktemp("int8"))


@pytest.fixture(scope="module")
def sentences(tokenizer: PreTrainedTokenizerFast) -> list[dict[str, np.ndarray]]:
    """Sentences that the model was trained on, one a batch."""
    rows = [tokenizer(text, return_tensors="np") for text, _ in SENTENCES[::3]]
    return [{name: row[name].astype(np.int64) for name in row} for row in rows]


@pytest.fixture(scope="module")
def batches(sentences: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Batches of several shapes, padded and not."""
    return parity_batches(sentences, LONGEST)


def parity(model: PreTrainedModel, path: Path, batches: list[dict[str, np.ndarray]]) -> Parity:
    """The package next to the model in torch, on the inputs that it takes."""
    wanted = input_names(model)
    own = [{name: batch[name] for name in wanted} for batch in batches]
    with open_runner(path) as runner:
        return compare(EagerRunner(model), runner, own, "single_label_classification")


def drift(model: PreTrainedModel, path: Path, batches: list[dict[str, np.ndarray]]) -> float:
    """Largest difference of a logit, as a share of the largest logit."""
    wanted = input_names(model)
    eager = EagerRunner(model)
    largest = max(np.abs(eager({name: batch[name] for name in wanted})).max() for batch in batches)
    return parity(model, path, batches).max_abs / float(largest)


def quantized(
    name: str, source: Path, target: Path, model: PreTrainedModel | None = None, **options: Any
) -> Path:
    path = target / FORMAT.schemes()[name].file_name
    given = Options(CPU_TARGETS["arm64"], model=model, export=CONFIG, **options)
    FORMAT.schemes()[name].quantize(source, path, given)
    return path


def weight_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def operations(path: Path) -> set[str]:
    function = load_spec(path).mlProgram.functions["main"]
    return {one.type for one in function.block_specializations[function.opset].operations}


def test_found_by_its_name_and_by_its_file() -> None:
    assert find_format("coreml") is FORMAT
    assert format_of(Path("model.mlpackage")) is FORMAT


def test_parity_of_fp16(
    package: Path, trained_bert: BertForSequenceClassification, batches: list[dict[str, np.ndarray]]
) -> None:
    assert drift(trained_bert, package, batches) < HALF


def test_parity_of_fp32(
    package: Path,
    trained_bert: BertForSequenceClassification,
    batches: list[dict[str, np.ndarray]],
    tmp_path: Path,
) -> None:
    path = quantized("fp32", package, tmp_path, trained_bert)
    assert parity(trained_bert, path, batches).max_abs < 1e-4


# Scheme -> least agreement with the parent, largest share of the fp16 package, what is in it.
COMPRESSED = {
    "int8-weights": (0.95, 0.75, "constexpr_affine_dequantize"),
    "palette6": (0.95, 0.7, "constexpr_lut_to_dense"),
    "palette4": (0.9, 0.6, "constexpr_lut_to_dense"),
    "pruned": (0.7, 0.8, "constexpr_sparse_to_dense"),
}


@pytest.mark.parametrize("scheme", COMPRESSED)
def test_compressed_weights(
    scheme: str,
    package: Path,
    int8_weights: Path,
    trained_bert: BertForSequenceClassification,
    sentences: list[dict[str, np.ndarray]],
    tmp_path: Path,
) -> None:
    path = int8_weights if scheme == "int8-weights" else quantized(scheme, package, tmp_path)
    agreement, share, operation = COMPRESSED[scheme]
    found = parity(trained_bert, path, sentences)
    assert found.agreement >= agreement
    assert found.max_abs != parity(trained_bert, package, sentences).max_abs  # something was rounded
    assert weight_bytes(path) < share * weight_bytes(package)
    assert operation in operations(path)
    assert load_spec(path).description.metadata.userDefined["labels"] == '["negative", "positive"]'


def test_every_scheme_is_tested() -> None:
    assert set(FORMAT.schemes()) == {"fp32", *COMPRESSED}


def test_pruned_leaves_the_share_that_was_asked_for(package: Path, tmp_path: Path) -> None:
    from coremltools.optimize.coreml import get_weights_metadata

    path = quantized("pruned", package, tmp_path)
    with quiet():
        import coremltools

        model = coremltools.models.MLModel(str(path), skip_model_load=True)
        dense = coremltools.optimize.coreml.decompress_weights(model)
        weights = [one.val for one in get_weights_metadata(dense).values() if one.val.ndim > 1]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    assert zeros / sum(weight.size for weight in weights) == pytest.approx(CONFIG.sparsity, abs=0.01)


def test_layers_that_stay_float(package: Path, int8_weights: Path, tmp_path: Path) -> None:
    layers = frozenset({"bert.embeddings.word_embeddings", "bert.encoder.layer.0.intermediate.dense"})
    kept = quantized("int8-weights", package, tmp_path, keep_float=layers)
    assert weight_bytes(kept) > weight_bytes(int8_weights)


def test_unknown_layer_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=r"unknown layer 'bert\.embedding'"):
        quantized("int8-weights", package, tmp_path, keep_float=frozenset({"bert.embedding"}))
    assert list(tmp_path.iterdir()) == []


def inputs(path: Path) -> dict[str, Any]:
    return {feature.name: feature.type.multiArrayType for feature in load_spec(path).description.input}


def test_signature_of_a_range(package: Path) -> None:
    taken = inputs(package)
    assert list(taken) == ["input_ids", "attention_mask", "token_type_ids"]
    for kind in taken.values():
        sizes = kind.shapeRange.sizeRanges
        assert [(size.lowerBound, size.upperBound) for size in sizes] == [(1, 1), (1, LONGEST)]
        assert kind.dataType == kind.INT32
    (output,) = load_spec(package).description.output
    assert (output.name, list(output.type.multiArrayType.shape)) == ("logits", [1, 2])
    assert output.type.multiArrayType.dataType == output.type.multiArrayType.FLOAT32


SHAPES: dict[str, tuple[dict[str, Any], list[int], str]] = {
    "fixed": ({"sequence_length": 40}, [1, 40], "iOS16"),
    "fixed with a batch": ({"sequence_length": 40, "batch_size": 2}, [2, 40], "iOS16"),
    "narrow range": ({"min_length": 8, "max_length": 40, "batch_size": 3}, [3, 40], "iOS16"),
    "enumerated": ({"sequence_lengths": (40, 8, 16)}, [1, 8], "iOS18"),
    "iOS 17": ({"minimum_deployment_target": "iOS17"}, [1, 64], "iOS17"),
    "iOS 18": ({"minimum_deployment_target": "iOS18"}, [1, 64], "iOS18"),
}
VERSIONS = {"iOS16": 7, "iOS17": 8, "iOS18": 9}


SLOW_SHAPES = ("fixed", "iOS 17", "iOS 18")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (case in SLOW_SHAPES)) for case in SHAPES]
)
def test_parity_of_other_shapes(
    case: str,
    trained_bert: BertForSequenceClassification,
    batches: list[dict[str, np.ndarray]],
    tmp_path: Path,
) -> None:
    flags, shape, target = SHAPES[case]
    path = tmp_path / "model.mlpackage"
    config = CoreMlConfig(model="small-bert", **flags)
    FORMAT.check(config)
    FORMAT.write(trained_bert, path, config)
    assert list(inputs(path)["input_ids"].shape) == shape
    assert load_spec(path).specificationVersion == VERSIONS[target]
    lengths = sorted(flags.get("sequence_lengths", ()))
    listed = inputs(path)["attention_mask"].enumeratedShapes.shapes
    assert sorted(list(size.shape) for size in listed) == [[1, length] for length in lengths]
    fitting = [batch for batch in batches if batch["input_ids"].shape[1] <= 40]
    assert drift(trained_bert, path, fitting) < HALF


def test_several_lengths_warn_of_the_system_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    FORMAT.check(CoreMlConfig(model="small-bert", sequence_lengths=(8, 32)))
    assert "will not run on iOS16" in capsys.readouterr().err
    FORMAT.check(
        CoreMlConfig(model="small-bert", sequence_lengths=(8, 32), minimum_deployment_target="iOS18")
    )
    FORMAT.check(CoreMlConfig(model="small-bert", sequence_lengths=(8,)))
    assert capsys.readouterr().err == ""


def test_shared_flags_alone_are_enough(trained_bert: BertForSequenceClassification, tmp_path: Path) -> None:
    path = tmp_path / "model.mlpackage"
    FORMAT.write(trained_bert, path, ExportConfig(model="small-bert", sequence_length=16))
    assert list(inputs(path)["input_ids"].shape) == [1, 16]


def test_labels_and_facts_are_in_the_package(package: Path) -> None:
    metadata = load_spec(package).description.metadata
    assert json.loads(metadata.userDefined["labels"]) == ["negative", "positive"]
    assert metadata.shortDescription == "bert text classifier: negative, positive"


def test_more_facts_can_be_added(
    int8_weights: Path,
    trained_bert: BertForSequenceClassification,
    batches: list[dict[str, np.ndarray]],
    tmp_path: Path,
) -> None:
    path = shutil.copytree(int8_weights, tmp_path / int8_weights.name)
    before = parity(trained_bert, path, batches)
    FORMAT.describe(path, {"license": "Apache-2.0", "weights": "random"})
    metadata = load_spec(path).description.metadata
    assert (metadata.license, metadata.userDefined["weights"]) == ("Apache-2.0", "random")
    assert metadata.userDefined["labels"] == '["negative", "positive"]'
    assert parity(trained_bert, path, batches) == before


def test_coremltools_opens_it(package: Path) -> None:
    with quiet():
        import coremltools

        model = coremltools.models.MLModel(str(package), skip_model_load=True)
    assert [feature.name for feature in model.get_spec().description.output] == ["logits"]


SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 100,
    "max_position_embeddings": LONGEST,
    "initializer_range": 0.2,
}
FAMILY: dict[str, dict[str, Any]] = {
    "distilbert": {
        "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "vocab_size": 100, "initializer_range": 0.2,
    },
    "roberta": {**SMALL, "max_position_embeddings": LONGEST + 2, "type_vocab_size": 1},
    "mpnet": {**SMALL, "max_position_embeddings": LONGEST + 2},
    "albert": {**SMALL, "embedding_size": 16},
    "mobilebert": {**SMALL, "embedding_size": 16, "intra_bottleneck_size": 32},
}  # fmt: skip


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(
    "architecture", [pytest.param(name, marks=() if name == "bert" else pytest.mark.slow) for name in FAMILY]
)
def test_parity_of_the_family(architecture: str, precision: str, tmp_path: Path) -> None:
    from export.mlprogram.convert import write

    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **FAMILY[architecture])
    model = AutoModelForSequenceClassification.from_config(config).eval()
    path = tmp_path / "model.mlpackage"
    write(model, path, CONFIG, precision)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    rows = [{name: rng.integers(5, 100, size=(1, 12)) for name in input_names(model)} for _ in range(9)]
    for row in rows:
        row.update({name: np.zeros_like(row[name]) for name in row if name == "token_type_ids"})
        row["attention_mask"] = np.ones_like(row["input_ids"])
    own = parity_batches(rows, LONGEST)
    # MobileBERT does not normalize: with random weights it has the largest values to round.
    assert drift(model, path, own) < (1e-4 if precision == "fp32" else 0.1)


def test_half_precision_does_not_turn_masks_into_nan(package: Path) -> None:
    """A whole row of padding is all the same to softmax: finite, where -inf would give NaN."""
    ids = np.full((1, 9), 7)
    with open_runner(package) as runner:
        nothing = {"input_ids": ids, "attention_mask": 0 * ids, "token_type_ids": 0 * ids}
        assert np.isfinite(runner(nothing)).all()


def test_runner_says_what_runs(package: Path) -> None:
    with open_runner(package) as runner:
        assert runner.runtime.startswith(("coremltools 9", "Core ML"))


BAD_FLAGS: dict[str, tuple[dict[str, Any], str]] = {
    "no length": ({"sequence_lengths": (0, 8)}, "--sequence-lengths is out of range"),
    "minimum of zero": ({"min_length": 0}, "--min-length is out of range"),
    "empty range": ({"min_length": 9, "max_length": 8}, "--max-length is out of range"),
    "everything pruned": ({"sparsity": 1.0}, "--sparsity is out of range"),
    "listed and fixed": ({"sequence_lengths": (8,), "sequence_length": 9}, "exclude each other"),
    "range and fixed": ({"max_length": 9, "sequence_length": 9}, "are for a range"),
}


@pytest.mark.parametrize("case", BAD_FLAGS)
def test_bad_flags_are_refused(case: str) -> None:
    flags, message = BAD_FLAGS[case]
    with pytest.raises(EdgepressError, match=message):
        FORMAT.check(CoreMlConfig(model="small-bert", **flags))


@pytest.mark.parametrize(
    "flags", [{"sequence_length": 65}, {"sequence_lengths": (8, 65)}, {"max_length": 65}]
)
def test_length_beyond_the_positions_is_refused(
    flags: dict[str, Any], trained_bert: BertForSequenceClassification, tmp_path: Path
) -> None:
    with pytest.raises(EdgepressError, match="a sequence length of 65 is beyond the model's 64 positions"):
        FORMAT.write(trained_bert, tmp_path / "model.mlpackage", CoreMlConfig(model="small-bert", **flags))
    assert list(tmp_path.iterdir()) == []


def test_model_that_cannot_be_converted_is_refused(
    trained_bert: BertForSequenceClassification, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown_to_coremltools(**inputs: torch.Tensor) -> Any:
        found = torch.special.bessel_j0(inputs["input_ids"].float())
        return type("Output", (), {"logits": found})

    monkeypatch.setattr(trained_bert, "forward", unknown_to_coremltools)
    for module in ("export.mlprogram.convert", "export.core.traceable"):
        monkeypatch.setattr(f"{module}.input_names", lambda _: ("input_ids",))
    with pytest.raises(EdgepressError, match=r"coremltools cannot convert bert: .*bessel_j0") as refused:
        FORMAT.write(trained_bert, tmp_path / "model.mlpackage", CONFIG)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_input_longer_than_the_package_takes_is_refused(package: Path) -> None:
    ids = np.ones((1, LONGEST + 1), dtype=np.int64)
    with (
        open_runner(package) as runner,
        pytest.raises(EdgepressError, match="takes a batch of 1 rows of 65 tokens"),
    ):
        runner({"input_ids": ids, "attention_mask": ids, "token_type_ids": 0 * ids})


@pytest.mark.parametrize("lost", ["model.mlmodel", "weight.bin", "Manifest.json"])
def test_damaged_package_is_refused(lost: str, package: Path, tmp_path: Path) -> None:
    import shutil

    path = tmp_path / "model.mlpackage"
    shutil.copytree(package, path)
    (damaged,) = path.rglob(lost)
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(EdgepressError, match="coremltools cannot") as refused:
        open_runner(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=r"nowhere\.mlpackage"):
        open_runner(tmp_path / "nowhere.mlpackage")


def test_fp32_needs_the_model(package: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match="written from the model in torch"):
        quantized("fp32", package, tmp_path)


def test_nothing_is_said_about_other_versions(
    trained_bert: BertForSequenceClassification, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.mlpackage"
    FORMAT.write(trained_bert, path, CONFIG)
    quantized("palette4", path, tmp_path)
    open_runner(path).close()
    assert capfd.readouterr().err == ""


def test_missing_coremltools_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.core.format.find_spec", lambda _: None)
    with pytest.raises(EdgepressError, match="Core ML needs coremltools, which is not installed") as refused:
        find_format("coreml")
    assert refused.value.hint == "pip install 'edgepress[coreml]'"
