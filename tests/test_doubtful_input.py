"""What looks right and is not: refused in one line, before anything is written."""

import json
import shutil

import pytest
import torch
from conftest import SENTENCES, write_split
from safetensors.torch import load_file
from transformers import BertForSequenceClassification

from edgepress.core.artifact import open_artifact

TUNE = ("--epochs", 1, "--train-samples", 20, "--eval-samples", 10)
OTHER = {"positive": "negative", "negative": "positive"}


@pytest.fixture
def finetune(cli, model_folder, data_root, tmp_path):
    def run(*flags, model=model_folder, task="verdicts"):
        own = ("--model", model, "--task", task, "--data", data_root, "--output", tmp_path / "out")
        return cli("compress.finetune", *own, *TUNE, *flags)

    return run


def refused(result, *words):
    assert result.code == 2, result.err
    for word in words:
        assert word in result.error
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--learning-rate", "inf"), ("--learning-rate is out of range",)),
        (("--learning-rate", "nan"), ("--learning-rate is out of range",)),
        (("--weight-decay", "inf"), ("--weight-decay is out of range",)),
        (("--epochs", "inf"), ("--epochs is out of range",)),
        (("--seed", -1), ("--seed is out of range",)),
        (("--seed", 99_999_999_999), ("--seed is out of range",)),
        (("--max-length", 1), ("--max-length 1 has no room for a text beside 2 special tokens",)),
        (("--max-length", 2), ("--max-length 2 has no room",)),
        (("--thresholds", "gmean"), ("--thresholds gmean is of tasks with several labels at once",)),
        (("--text-columns", "label"), ("column 'label' is the text and the label at once",)),
    ],
)
def test_flags(finetune, tmp_path, flags, words):
    refused(finetune(*flags), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_ran_away_writes_nothing(finetune, tmp_path):
    refused(finetune("--learning-rate", 1e30, "--epochs", 3), "the training ran away")
    assert not (tmp_path / "out").exists()


def test_another_folder_of_the_same_name(cli, finetune, data_root, model_folder, tmp_path, monkeypatch):
    own = tmp_path / "here" / "tickets"
    shutil.copytree(data_root / "verdicts", own)
    assert finetune(task=own).code == 0
    turned = [(text, OTHER[label]) for text, label in SENTENCES[::5]]
    other = tmp_path / "other" / "tickets"
    write_split(other / "train.jsonl", SENTENCES)
    write_split(other / "validation.jsonl", turned)
    typed = ("--model", tmp_path / "out", "--eval-samples", 20)
    monkeypatch.chdir(tmp_path / "other")
    refused(
        cli("export.onnx", *typed, "--output", tmp_path / "file"),
        "is another folder of that name",
        "validation",
    )
    refused(
        cli(
            "compress.prune", *typed, "--data", tmp_path / "other", "--ffn", 0.5, "--output", tmp_path / "cut"
        ),
        "is another folder of that name",
    )
    meant = cli("export.onnx", *typed, "--task", "tickets", "--output", tmp_path / "file")
    assert meant.code == 0, meant.err
    monkeypatch.chdir(tmp_path / "here")
    assert cli("export.onnx", *typed, "--output", tmp_path / "file", "--overwrite").code == 0
    write_split(own / "validation.jsonl", turned)
    changed = cli("export.onnx", *typed, "--output", tmp_path / "file", "--overwrite")
    refused(changed, "was changed since", "validation")
    found = open_artifact(tmp_path / "file").manifest.steps[-1].metrics
    right = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
    assert found["parent_score"] >= right["accuracy"] - 0.2


@pytest.mark.parametrize("name", ["data", "model"])
def test_what_the_command_reads_is_not_its_output(finetune, model_folder, data_root, tmp_path, name):
    copies = {"data": data_root / "verdicts", "model": model_folder}
    copy = shutil.copytree(copies[name], tmp_path / name)
    (copy / "manifest.json").write_text("{}") if name == "data" else None
    before = sorted(path.name for path in copy.iterdir())
    flags = {"task": copy} if name == "data" else {"model": copy}
    refused(finetune("--output", copy, "--overwrite", **flags))
    assert sorted(path.name for path in copy.iterdir()) == before


def test_a_model_is_no_data(finetune, model_folder):
    refused(finetune(task=model_folder), "is a model, not a data folder")


def test_a_folder_that_is_not_there(finetune):
    refused(finetune(task="./nowhere"), "no such data folder or file: ./nowhere")


def test_a_number_that_is_not_finite(finetune, bare_encoder, tmp_path):
    rows = ["text,label", *(f"text {number},{number / 10 + 0.05}" for number in range(30))]
    folder = tmp_path / "scores"
    folder.mkdir()
    (folder / "validation.csv").write_text("\n".join(rows))
    (folder / "train.csv").write_text("\n".join([*rows, "one,inf"]))
    refused(finetune(model=bare_encoder, task=folder), "'inf', which is no finite one")


def test_two_train_files_have_no_hint_that_leads_nowhere(finetune, data_root, tmp_path):
    folder = shutil.copytree(data_root / "verdicts", tmp_path / "twice")
    shutil.copy(folder / "train.jsonl", folder / "train.csv")
    result = finetune(task=folder)
    refused(result, "both could be the train split")
    assert "--split" not in result.err


@pytest.mark.parametrize("names", [{}, {"0": "negative"}, {"0": "a", "1": "b", "2": "c"}])
def test_classes_that_are_not_the_classifiers(cli, model_folder, data_root, tmp_path, names):
    folder = shutil.copytree(model_folder, tmp_path / "model")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.pop("label2id")
    config["id2label"] = names
    if not names:
        config.pop("id2label")
        three = BertForSequenceClassification.from_pretrained(model_folder)
        three.classifier = torch.nn.Linear(three.config.hidden_size, 3)
        three.save_pretrained(folder)
        assert load_file(folder / "model.safetensors")["classifier.bias"].shape == (3,)
    path.write_text(json.dumps(config))
    own = ("--task", "verdicts", "--data", data_root, "--output", tmp_path / "out")
    result = cli("export.onnx", "--model", folder, *own)
    refused(result)
    # One label alone is refused by transformers 5 itself.
    assert "and the classifier gives" in result.error or "num_labels=2" in result.error


def test_a_tokenizer_that_cuts_at_the_beginning(cli, model_folder, data_root, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "model")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "truncation_side": "left"}))
    own = ("--task", "verdicts", "--data", data_root, "--output", tmp_path / "out")
    refused(cli("export.onnx", "--model", folder, *own), "cuts long texts at their beginning")
