"""The library as its users have it."""

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SENTENCES
from datasets import Dataset, DatasetDict
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import edgepress
from edgepress.core.artifact import open_artifact

NAMES = {
    *("finetune", "pretrain", "distill", "prune", "sparsify", "qat", "trim_vocab", "quantize", "export"),
    *("evaluate", "benchmark", "compare", "load", "Model", "ExportedModel", "Evaluation", "Prediction"),
    *("EdgepressError", "EdgepressWarning", "Entity", "EntityPrediction", "ExpectationError", "__version__"),
    *("AnswerPrediction", "EmbeddingPrediction", "Filling", "FillingPrediction", "RankPrediction"),
}


def test_the_exported_names():
    assert set(edgepress.__all__) == NAMES == set(dir(edgepress))
    assert all(getattr(edgepress, name) is not None for name in NAMES)
    assert (Path(edgepress.__file__).parent / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        edgepress.quantise  # noqa: B018


def test_importing_it_loads_no_library():
    heavy = "{'torch', 'transformers', 'numpy', 'datasets', 'rich'}"
    program = f"import sys, edgepress; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def model(model_folder, data_root):
    return edgepress.load(model_folder, task="verdicts", data=data_root)


def accuracy(folder, rows):
    """By transformers alone."""
    own, tokenizer = (
        kind.from_pretrained(folder) for kind in (AutoModelForSequenceClassification, AutoTokenizer)
    )
    with torch.no_grad():
        inputs = tokenizer([text for text, _ in rows], padding=True, truncation=True, return_tensors="pt")
        decided = own(**inputs).logits.argmax(dim=1)
    names = [own.config.id2label[int(each)] for each in decided]
    return np.mean([name == label for name, (_, label) in zip(names, rows, strict=True)])


def test_the_whole_way(model, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    student = edgepress.distill(model, student="half", epochs=3, learning_rate=1e-3, progress=said.append)
    small = edgepress.quantize(student, scheme="int8-dynamic")
    found = small.evaluate()
    assert found.evaluation_set.texts == len(SENTENCES[::5])
    assert f"on verdicts/validation, {len(SENTENCES[::5])} texts of at most 64 tokens" in str(found)
    (answer,) = small.predict(["the film is a quiet delight"])
    assert answer.label in ("negative", "positive")
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert [file.name for file in small.files] == ["fp32", "int8-dynamic"]
    assert any("distilling for 3 epochs" in line for line in said)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    folder = small.save("small")
    manifest = open_artifact(folder).manifest
    assert [step.technique for step in manifest.steps] == ["distill", "quantize"]
    assert manifest.name == "small"
    assert manifest.steps[-1].metrics["variants"][0]["score"] == pytest.approx(found.score)
    assert accuracy(folder, SENTENCES[::5]) == pytest.approx(student.evaluate().score)
    again = edgepress.load(folder, data=model.opened.data)
    assert again.evaluate() == student.evaluate()
    with pytest.raises(edgepress.EdgepressError, match="exists"):
        small.save("small")


def test_a_model_stays_as_it_was(model):
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    edgepress.prune(model, ffn=0.5, heads=[0.5, 0.0], epochs=1)
    edgepress.trim_vocab(model, min_count=2)
    edgepress.sparsify(model, sparsity=0.5, formats=())
    after = model.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert model.steps == ()


@pytest.mark.parametrize(
    ("technique", "options"),
    [
        ("prune", {"ffn": 0.5}),
        ("sparsify", {"sparsity": 0.5, "formats": ()}),
        ("qat", {"epochs": 1.0}),
        ("trim_vocab", {"min_count": 2}),
    ],
)
def test_as_the_command(cli, model, model_folder, data_root, tmp_path, technique, options):
    made = getattr(edgepress, technique)(model, **options)
    typed = []
    for name, value in options.items():
        typed += [f"--{name.replace('_', '-')}", *(value if isinstance(value, tuple) else [value])]
    own = ("--model", model_folder, "--task", "verdicts", "--data", data_root, "--output", tmp_path / "out")
    assert cli(f"compress.{technique}", *own, *typed).code == 0
    theirs = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
    assert made.metrics["after"]["score"] == pytest.approx(theirs["after"]["score"], abs=0.1)
    assert made.metrics["after"]["parameters"] == theirs["after"]["parameters"]
    assert json.loads(json.dumps(made.metrics["before"])) == theirs["before"]
    assert made.report


def test_objects_of_transformers(trained_bert, tokenizer, data_root):
    opened = edgepress.load(trained_bert, tokenizer, task="verdicts", data=data_root)
    assert opened.labels == ("negative", "positive")
    assert opened.evaluate().score > 0.9
    assert opened.model is not trained_bert
    with pytest.raises(edgepress.EdgepressError, match="no tokenizer"):
        edgepress.load(trained_bert)


def frames():
    rows = pd.DataFrame(SENTENCES, columns=["text", "label"])
    return {"train": rows[rows.index % 5 > 0], "validation": rows[::5]}


def dataset_dict():
    """With classes that the data declare."""
    parts = {name: Dataset.from_pandas(rows, preserve_index=False) for name, rows in frames().items()}
    return DatasetDict(parts).class_encode_column("label")


@pytest.mark.parametrize("data", [frames, dataset_dict])
def test_data_in_memory(model_folder, bare_encoder, data, capfd):
    model = edgepress.load(model_folder, task=data())
    assert capfd.readouterr() == ("", "")
    assert str(model.evaluate().evaluation_set).startswith("in_memory/validation")
    assert model.evaluate().score > 0.9
    assert model.evaluate("train", samples=10).metric == "accuracy_on_train"
    tuned = edgepress.finetune(bare_encoder, data(), epochs=20, learning_rate=1e-3, seed=1)
    assert tuned.labels == ("negative", "positive")
    assert tuned.evaluate().score > 0.6


@pytest.mark.slow
def test_libraries_that_come_with_it_are_quiet(model_folder):
    """torchao warns as transformers imports it; loggers are as they were afterwards."""
    code = f"""
import logging, edgepress
edgepress.load({str(model_folder)!r})
print(logging.getLogger("torchao").level, logging.getLogger("matplotlib").level)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0 0\n", "")


def test_errors_and_warnings_speak_of_the_call(model, model_folder, bare_encoder, data_root):
    with pytest.raises(edgepress.EdgepressError) as refused:
        edgepress.prune(model, fnn=0.5)
    assert "did you mean 'ffn'" in refused.value.hint
    with pytest.raises(edgepress.EdgepressError) as refused:
        edgepress.load(model_folder, task={"train": frames()["train"].rename(columns={"text": "prose"})})
    assert str(refused.value).startswith("split 'train' has no column 'text'")
    assert refused.value.hint.startswith("name it by text_columns")
    with pytest.warns(edgepress.EdgepressWarning) as caught:
        edgepress.quantize(edgepress.load(bare_encoder, task="verdicts", data=data_root))
    assert {own.filename for own in caught if own.category is edgepress.EdgepressWarning} == {__file__}


def test_one_table_is_refused(model_folder):
    with pytest.raises(edgepress.EdgepressError, match="does not say which rows are judged on"):
        edgepress.load(model_folder, task=frames()["train"])


def test_an_interrupted_training_goes_on(model, tmp_path):
    seen: list[str] = []

    def stop(text):
        seen.append(text)
        if sum(own.startswith("step ") for own in seen) == 2:
            raise InterruptedError

    typed = {"ffn": 0.5, "epochs": 5, "batch_size": 8, "checkpoints": tmp_path / "kept"}
    whole = edgepress.prune(model, **{**typed, "checkpoints": None})
    with pytest.raises(InterruptedError):
        edgepress.prune(model, **typed, progress=stop)
    said: list[str] = []
    again = edgepress.prune(model, **typed, progress=said.append)
    assert any(text.startswith("resuming from step") for text in said)
    assert not (tmp_path / "kept").exists()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])


def test_several_formats(model, tmp_path):
    made = edgepress.export(model, ["onnx", "torchscript"], eval_samples=10)
    assert [file.format.name for file in made.files] == ["onnx", "torchscript"]
    assert made.predict(["the film is a quiet delight"])[0].label == "positive"
    assert made.predict("the film is a quiet delight") == made.predict(["the film is a quiet delight"])
    for wrong in ([None], ["fine", 3], [("a", None)]):
        with pytest.raises(edgepress.EdgepressError, match=r"row \d is no text"):
            made.predict(wrong)
    assert {path.name for path in made.save(tmp_path / "out").iterdir()} >= {
        "onnx",
        "torchscript",
        "README.md",
    }


@pytest.mark.slow
def test_what_it_costs(model):
    small = edgepress.quantize(model)
    records = edgepress.benchmark([model, small], lengths=(8,), time_budget=1)
    assert [record.format for record in records] == ["safetensors", "onnx", "onnx"]
    assert len({record.run for record in records}) == 1
    assert edgepress.compare(records, records) == []
    grown = [replace(record, size_bytes=2 * record.size_bytes) for record in records]
    changes = edgepress.compare(records, grown)
    assert {(change.figure, change.worse) for change in changes} == {("size [MB]", True)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda model: edgepress.prune(model, fnn=0.5), "unknown option 'fnn'"),
        (edgepress.prune, "nothing to cut"),
        (lambda model: edgepress.prune(model, ffn=1.5), "ffn is out of range: it is 0 to below 1"),
        (lambda model: edgepress.quantize(model, scheme="int9"), "unknown scheme 'int9'"),
        (lambda model: edgepress.export(model, "onxx"), "unknown format 'onxx'"),
        (lambda model: edgepress.distill(model, epochs=-1), "^epochs is out of range"),
        (lambda model: edgepress.benchmark(model, lengths=(0,)), "above 0"),
        (lambda model: model.benchmark(lengths=(16, 128)), "reads 64 tokens at most"),
        (lambda _: edgepress.load("./nothing"), "nothing"),
        (lambda _: edgepress.finetune("minilm", 3), "int is no task"),
    ],
)
def test_wrong_use_is_one_error(model, wrong, message):
    with pytest.raises(edgepress.EdgepressError, match=message) as raised:
        wrong(model)
    assert "--" not in f"{raised.value} {raised.value.hint}"


def test_an_untrained_model_answers_nothing(bare_encoder, data_root):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bare = edgepress.load(bare_encoder, task="verdicts", data=data_root)
        edgepress.quantize(bare)
    assert any(issubclass(own.category, edgepress.EdgepressWarning) for own in caught)
    for ask in (lambda: bare.predict(["a"]), bare.evaluate):
        with pytest.raises(edgepress.EdgepressError, match="not trained"):
            ask()


@pytest.mark.long  # the command does it as a slow one
def test_the_file_to_ship_is_looked_for_among_several_formats(model, tmp_path):
    made = edgepress.quantize(
        model, format=["onnx", "torchscript"], time_budget=0.5, sequence_lengths=(8,), max_drop=50
    )
    assert [file.format.name for file in made.files] == ["onnx", "onnx", "torchscript", "torchscript"]
    assert made.chosen in made.files
    assert f"Ship {made.chosen.format.name} {made.chosen.name}: of 4 files the fastest" in made.report
    assert made.predict(["the film is a quiet delight"])[0].label == "positive"
    chosen = open_artifact(made.save(tmp_path / "out")).manifest.steps[-1].metrics["chosen"]
    assert chosen.endswith(made.chosen.path.name)
    with pytest.raises(edgepress.EdgepressError, match="'time_budget' would have no effect here"):
        edgepress.quantize(model, time_budget=1)
