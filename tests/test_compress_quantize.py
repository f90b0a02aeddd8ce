"""`compress.quantize` as a user types it."""

import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from shutil import copytree

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import SENTENCES, Result, run_well, write_split
from quantizing import TIMED, UNTIMED, asked, flat
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from device_bench import records
from device_bench.losses import loss
from edgepress.core.artifact import open_artifact
from export.core.scheme import this_cpu
from export.onnx_graph.schemes import SCHEMES


@dataclass(frozen=True)
class Made:
    """What one command left, for the tests that look at it."""

    result: Result
    folder: Path

    @property
    def variants(self):
        return open_artifact(self.folder).manifest.steps[-1].metrics["variants"]


def made(model_folder, data_root, folder, *flags):
    common = ("--model", model_folder, "--task", "verdicts", "--data", data_root, "--output", folder / "out")
    return Made(run_well("compress.quantize", *common, *flags), folder / "out")


@pytest.fixture(scope="module")
def default(model_folder, data_root, tmp_path_factory) -> Made:
    return made(model_folder, data_root, tmp_path_factory.mktemp("default"), *TIMED)


@pytest.fixture(scope="module")
def every_scheme(model_folder, data_root, tmp_path_factory) -> Made:
    return made(model_folder, data_root, tmp_path_factory.mktemp("every"), *UNTIMED, "--scheme", *SCHEMES)


@pytest.fixture(scope="module")
def static(model_folder, data_root, tmp_path_factory) -> Made:
    flags = (*UNTIMED, "--cpu", "arm64", "--scheme", "int8-static")
    return made(model_folder, data_root, tmp_path_factory.mktemp("static"), *flags)


def test_default_leaves_a_whole_artifact(default):
    artifact = open_artifact(default.folder)
    names = {record.path for record in artifact.manifest.files}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "README.md", "chart.png"}
    assert names >= {"onnx/model.onnx", "onnx/model_quantized.onnx", "measurements.jsonl"}
    assert artifact.file("int8").stat().st_size < artifact.file("fp32").stat().st_size
    assert [p.name for p in default.folder.parent.iterdir()] == ["out"]
    facts = {entry.key: entry.value for entry in onnx.load(artifact.file("int8")).metadata_props}
    assert (facts["precision"], facts["weights"]) == ("int8", "local")


def test_table_has_a_row_for_the_parent_and_each_variant(default, every_scheme):
    out = every_scheme.result.out
    rows = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert {"fp32", *SCHEMES} <= set(rows)
    for heading in ("MB", "params", "accuracy", "agreement", "int MatMuls"):
        assert heading in out
    assert "ms at 8" in default.result.out


def test_nothing_is_timed_where_the_budget_is_0(static):
    assert "not timed: --time-budget 0" in static.result.out
    assert "ms at" not in static.result.out
    card = (static.folder / "README.md").read_text()
    assert ("not timed: --time-budget 0" in card, "chart.png" in card) == (True, False)
    assert not (static.folder / "measurements.jsonl").exists()
    step = open_artifact(static.folder).manifest.steps[-1]
    assert all(variant["score"] is not None for variant in step.metrics["variants"])


def test_the_last_line_asks_the_file_to_ship(default, static):
    assert "Ship int8-dynamic: of 2 files the fastest and smallest" in flat(default.result) or (
        "Ship fp32: of 2 files the fastest" in flat(default.result)  # so small a model may be no faster
    )
    if "Ship int8-dynamic" in flat(default.result):  # of so few texts one more is more than a point
        assert "texts cannot show a loss of at most" in " ".join(default.result.err.split())
    best = asked(default.result)
    assert best.is_file()
    step = open_artifact(default.folder).manifest.steps[-1]
    assert default.folder / step.metrics["chosen"] == best
    assert step.metrics["chosen_because"][0] in flat(default.result)


def test_size_decides_for_another_cpu_than_this_one(static):
    if this_cpu().name == "arm64":
        pytest.skip("it is this one")
    assert "Size decides: the latency on arm64 cannot be measured on this" in flat(static.result)
    assert asked(static.result).name == "model_int8.onnx"


def logits_of(session, tokenizer, text):
    """Logits (1, labels) of a file, by ONNX Runtime alone."""
    [logits] = session.run(None, dict(tokenizer(text, return_tensors="np")))
    return logits


def test_scores_are_those_of_the_exported_file(default, data_root):
    rows = [json.loads(line) for line in (data_root / "verdicts" / "validation.jsonl").open()]
    session = onnxruntime.InferenceSession(default.folder / "onnx" / "model_quantized.onnx")
    tokenizer = AutoTokenizer.from_pretrained(default.folder)
    names = AutoConfig.from_pretrained(default.folder).id2label
    right = [names[int(logits_of(session, tokenizer, row["text"]).argmax())] == row["label"] for row in rows]
    assert default.variants[0]["score"] == pytest.approx(np.mean(right))


def test_other_loaders_read_the_folder(default):
    model = AutoModelForSequenceClassification.from_pretrained(default.folder)
    session = onnxruntime.InferenceSession(default.folder / "onnx" / "model.onnx")
    tokenizer, text = AutoTokenizer.from_pretrained(default.folder), "the film moves and surprises."
    logits = model(**tokenizer(text, return_tensors="pt")).logits.detach().numpy()
    assert np.abs(logits - logits_of(session, tokenizer, text)).max() < 1e-4
    assert model.config.id2label == {0: "negative", 1: "positive"}


AGREEMENT = {"fp16": 0.95, "int8": 0.9, "int4": 0.8}


def test_every_scheme_agrees_with_the_model(every_scheme):
    assert [variant["scheme"] for variant in every_scheme.variants] == list(SCHEMES)
    for variant in every_scheme.variants:
        assert variant["agreement"] > AGREEMENT[SCHEMES[variant["scheme"]].precision], variant["scheme"]


def test_a_file_for_another_cpu(static):
    step = open_artifact(static.folder).manifest.steps[-1]
    assert step.config["cpu"] == ["arm64"]
    assert [variant["cpus"] for variant in step.metrics["variants"]] == [["arm64"]]
    if this_cpu().name != "arm64":
        said = "model_int8.onnx is for arm64: other bytes than this CPU's"
        assert said in static.result.err
        assert said in (static.folder / "README.md").read_text()


def test_one_file_for_the_cpus_that_take_the_same_bytes(model_folder, data_root, tmp_path):
    schemes = ("--scheme", "int8-dynamic", "int8-static")
    flags = ("--cpu", "avx512_vnni", "arm64", "avx2", "avx512", *schemes, *UNTIMED)
    several = made(model_folder, data_root, tmp_path, *flags)
    found = [(own["scheme"], own["cpus"]) for own in several.variants]
    assert found == [
        ("int8-dynamic", ["avx512_vnni", "arm64"]),
        ("int8-dynamic", ["avx2", "avx512"]),
        ("int8-static", ["avx512_vnni"]),
        ("int8-static", ["arm64"]),
        ("int8-static", ["avx2", "avx512"]),
    ]
    files = {path.name for path in (several.folder / "onnx").iterdir()}
    assert files == {
        "model.onnx",
        *("model_quantized.onnx", "model_quantized_avx2.onnx"),
        *("model_int8.onnx", "model_int8_arm64.onnx", "model_int8_avx2.onnx"),
    }
    digests = [
        record.sha256 for record in open_artifact(several.folder).manifest.files if record.format == "onnx"
    ]
    assert len(set(digests)) == len(digests) == 6
    assert "int8-dynamic for avx512_vnni, arm64" in several.result.out


def test_a_size_of_blocks_needs_a_scheme_that_has_them(quantize):
    result = quantize("--block-size", 32)
    assert (result.code, "name --scheme int8-weights or int4-weights" in result.err) == (2, True)


def test_auto_is_for_one_cpu(quantize, tmp_path):
    result = quantize("--scheme", "auto", "--cpu", "avx2", "arm64")
    assert (result.code, "name one --cpu" in result.err) == (2, True)


def test_auto_keeps_the_smallest_where_size_is_sought(quantize, tmp_path):
    result = quantize("--scheme", "auto", "--minimize", "size", "--max-drop", 100)
    assert result.code == 0, result.err
    said = "Ship int4-weights: of 2 files the smallest that loses at most 100 points of accuracy"
    assert said in flat(result)
    metrics = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
    assert [v["scheme"] for v in metrics["variants"]] == ["int4-weights"]
    assert [t["name"] for t in metrics["tried"]] == ["int4-weights"]
    assert sorted(p.name for p in (tmp_path / "out" / "onnx").iterdir()) == ["model.onnx", "model_q4.onnx"]


@pytest.mark.slow
def test_auto_tries_smaller_blocks_before_layers_in_float(quantize, tmp_path, monkeypatch):
    small = [name for name in SCHEMES if name != "fp16"]  # which is larger, and tried last
    allowed = chain([False] * len(small), [True])
    monkeypatch.setattr("compress.quantize.checks.Limits.allow", lambda *_: next(allowed, True))
    result = quantize("--scheme", "auto", "--minimize", "size", "--eval-samples", 10)
    assert result.code == 0, result.err
    metrics = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
    assert [(v["scheme"], v["block_size"]) for v in metrics["variants"]] == [("int8-weights", 32)]
    assert [t["name"] for t in metrics["tried"]][-1] == "int8-weights, blocks of 32"


def test_keep_float_leaves_layers_alone(quantize, tmp_path):
    layer = "bert.encoder.layer.0.output.dense"
    assert quantize("--keep-float", layer).code == 0
    kept = open_artifact(tmp_path / "out").manifest.steps[-1].metrics["variants"][0]
    assert kept["kept_float"] == [layer]


def test_unknown_layer_is_named(quantize):
    result = quantize("--keep-float", "bert.encoder.layer.0.output.dens")
    assert result.code == 2
    assert "did you mean 'bert.encoder.layer.0.output.dense'" in result.err


def test_parity_beyond_atol_fails_and_writes_nothing(quantize, tmp_path):
    result = quantize("--atol", "1e-12")
    assert result.code == 1
    assert "at batch" in result.error
    assert not list(tmp_path.iterdir())


def test_losses_of_records_are_paired(default):
    fp32, int8 = records.read(default.folder / "measurements.jsonl")
    own, step = loss(fp32, int8), open_artifact(default.folder).manifest.steps[-1]
    assert (own.unpaired, own.texts) == ("", step.metrics["evaluation_set"]["texts"])
    assert int8.texts_sha256 == step.metrics["evaluation_set"]["texts_sha256"]
    assert step.metrics["variants"][0]["loss_interval"] == own.bounds.recorded  # fp32 decides as torch does
    assert "loss [points]" in flat(default.result)


def test_records_hold_raw_interleaved_samples(default):
    found = records.read(default.folder / "measurements.jsonl")
    assert {(m.name, m.sequence_length) for m in found} == {("fp32", 8), ("int8-dynamic", 8)}
    assert len({len(m.samples_ms) for m in found}) == 1
    assert min(len(m.all_samples_ms) for m in found) >= 30


def test_untrained_weights_show_no_accuracy(cli, bare_encoder, data_root, tmp_path):
    flags = ("--task", "verdicts", "--data", data_root, "--output", tmp_path / "out", *UNTIMED)
    result = cli("compress.quantize", "--model", bare_encoder, *flags)
    assert result.code == 0, result.err
    assert "no trained classifier" in result.err
    manifest = open_artifact(tmp_path / "out").manifest
    assert manifest.steps[-1].metrics["parent_score"] is None
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Not for use" in card
    assert "model-index" not in card


def test_a_quantized_artifact_remembers_its_parent(cli, quantize, model_folder, data_root, tmp_path):
    flags = ("--task", "verdicts", "--data", data_root, "--epochs", 1, "--output", tmp_path / "tuned")
    assert cli("compress.finetune", "--model", model_folder, *flags).code == 0
    assert quantize(model=tmp_path / "tuned").code == 0
    manifest = open_artifact(tmp_path / "out").manifest
    assert [step.technique for step in manifest.steps] == ["finetune", "quantize"]
    assert manifest.parent is not None


def test_static_says_what_it_is_slowed_by(static):
    said = "int8-static is not everywhere faster than int8-dynamic: ONNX Runtime fuses the bias"
    assert said in static.result.err


@pytest.mark.slow
def test_static_is_compared_with_dynamic(model_folder, data_root, tmp_path):
    both = made(model_folder, data_root, tmp_path, *TIMED, "--scheme", "int8-dynamic", "int8-static")
    assert "int8-static against int8-dynamic: " in both.result.err
    assert "at 8" in both.result.err


def test_an_untrained_head_stays_untrained_when_its_artifact_is_opened_again(
    cli, bare_encoder, data_root, tmp_path
):
    flags = ("--task", "verdicts", "--data", data_root, *UNTIMED)
    assert cli("compress.quantize", "--model", bare_encoder, "--output", tmp_path / "once", *flags).code == 0
    again = ("--model", tmp_path / "once", "--output", tmp_path / "twice")
    assert cli("compress.quantize", *again, *flags).code == 0
    manifest = open_artifact(tmp_path / "twice").manifest
    assert not manifest.model.head_trained
    assert manifest.steps[-1].metrics["parent_score"] is None


def test_random_weights_are_for_the_zoo(quantize):
    result = quantize("--weights", "random")
    assert result.code == 2
    assert "--weights random needs a zoo name" in result.error


def test_texts_that_are_not_the_models_own_are_named(cli, model_folder, tmp_path):
    model = tmp_path / "theirs"
    copytree(model_folder, model)
    config = json.loads((model / "config.json").read_text())
    config |= {"id2label": {"0": "billing", "1": "outage"}, "label2id": {"billing": 0, "outage": 1}}
    (model / "config.json").write_text(json.dumps(config))
    write_split(tmp_path / "data" / "movie_reviews" / "validation.jsonl", SENTENCES)
    flags = ("--model", model, "--data", tmp_path / "data", "--output", tmp_path / "out", *UNTIMED)
    result = cli("compress.quantize", *flags)
    assert result.code == 0, result.err
    said = " ".join(result.err.split())
    assert "warning: nobody says what" in said
    assert "its classes are billing, outage" in said
    assert "--task FILE.csv" in said
    for text in (" ".join(result.out.split()), (tmp_path / "out" / "README.md").read_text()):
        assert "agreement on movie_reviews" in text
        assert "nothing is scored" in text
        assert f"these texts, one by one, and {173 - len(SENTENCES)} rows cut from them" in text
