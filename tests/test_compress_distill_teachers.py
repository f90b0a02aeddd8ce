"""Several teachers of one student: what is averaged, and what is refused."""

import numpy as np
import pytest
import torch
from conftest import SENTENCES, small_bert
from refusing import refused
from transformers import AutoModelForSequenceClassification

import edgepress
from compress.distill.config import DistillOptions
from compress.distill.teachers import Teachers
from compress.training.data import load_text
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model

ORDERS = {"alike": ("negative", "positive"), "turned": ("positive", "negative")}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def another(tokenizer, tmp_path):
    """Writes a second teacher: other weights, and labels in any order."""

    def write(labels: tuple[str, ...], words: int = 0):
        folder = tmp_path / "-".join(labels)
        model = small_bert(len(tokenizer) + words, labels)
        with torch.no_grad():
            model.classifier.weight.mul_(3.0)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        own = type(tokenizer).from_pretrained(folder)
        own.add_tokens([f"splendid{at}" for at in range(words)])
        own.save_pretrained(folder)
        return folder

    return write


@pytest.fixture
def flags(data_root, tmp_path):
    return (
        *("--task", "verdicts", "--data", data_root, "--epochs", 1, "--no-train-baseline"),
        *("--output", tmp_path / "work" / "out"),
    )


def logits(folder, labels) -> np.ndarray:
    """Logits of the evaluation texts, one by one, in the order of these labels."""
    opened = open_model(str(folder), without_task=True)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    rows = []
    for text, _ in SENTENCES[::5]:
        with torch.inference_mode():
            rows.append(model(**opened.tokenizer(text, return_tensors="pt")).logits[0].numpy())
    return np.stack(rows)[:, [opened.labels.index(label) for label in labels]]


@pytest.mark.parametrize("order", ORDERS)
def test_logits_are_averaged_by_the_names_of_labels(model_folder, data_root, another, order):
    other = another(ORDERS[order])
    first = open_model(str(model_folder), task="verdicts", data=data_root)
    second = open_model(str(other), without_task=True)
    options = DistillOptions(epochs=1, learning_rate=1e-3, max_length=64)
    teachers = Teachers.of(options, [first, second])
    said = teachers.read(options, load_text(options, first.text_task), [first])
    wanted = (logits(model_folder, first.labels) + logits(other, first.labels)) / 2
    np.testing.assert_allclose(said.outputs, wanted, atol=1e-4)
    assert said.splits["train"].shape == (len(SENTENCES) - len(wanted), 2)


def test_two_teachers_of_two_vocabularies(cli, flags, model_folder, another, tmp_path):
    """No flag says so: logits are of whole texts."""
    other = another(("positive", "negative"), words=3)
    result = cli("compress.distill", "--teacher", model_folder, other, *flags, "--student", "cnn")
    assert result.code == 0, result.err
    assert "2 teachers, averaged" in result.out
    step = open_artifact(tmp_path / "work" / "out").manifest.steps[-1]
    assert step.config["teacher"] == [str(model_folder), str(other)]
    assert step.metrics["teacher"]["accuracy"] > 0.5
    assert "and" in (tmp_path / "work" / "out" / "README.md").read_text()


def test_a_teacher_twice_is_that_teacher(cli, flags, model_folder, tmp_path):
    for name, teachers in (("once", [model_folder]), ("twice", [model_folder] * 2)):
        result = cli("compress.distill", "--teacher", *teachers, *flags, "--output", tmp_path / name)
        assert result.code == 0, result.err
    once, twice = (open_artifact(tmp_path / name).manifest.steps[-1].metrics for name in ("once", "twice"))
    assert [entry.get("loss") for entry in once["history"]] == [
        entry.get("loss") for entry in twice["history"]
    ]


def test_other_labels_are_refused(cli, flags, model_folder, another, tmp_path):
    result = cli("compress.distill", "--teacher", model_folder, another(("good", "bad")), *flags)
    refused(result, tmp_path, "have different labels: negative, positive; good, bad")


def test_hidden_states_of_two_are_refused(cli, flags, model_folder, another, tmp_path):
    both = ("--teacher", model_folder, another(ORDERS["alike"]))
    refused(cli("compress.distill", *both, *flags, "--hidden-weight", 1), tmp_path, "those of one teacher")


def test_files_of_some_teachers_only_are_refused(cli, flags, model_folder, another, tmp_path):
    teachers = ("--teacher", model_folder, another(ORDERS["alike"]), "--augment", 1)
    result = cli("compress.distill", *teachers, "--label-with", "onnx/model.onnx", *flags)
    refused(result, tmp_path / "work", "2 models teach, and --label-with names files of 1")


def test_a_second_teacher_without_a_trained_head_is_refused(cli, flags, model_folder, bare_encoder, tmp_path):
    result = cli("compress.distill", "--teacher", model_folder, bare_encoder, *flags)
    refused(result, tmp_path, "nothing to teach")


def test_two_teachers_of_entities_are_refused(entity_model):
    models = [open_model(str(entity_model)) for _ in range(2)]
    with pytest.raises(EdgepressError, match="answers of token_classification are not averaged"):
        Teachers.of(DistillOptions(), models)


def test_the_library_takes_several(model_folder, data_root, another):
    models = [
        edgepress.load(folder, task="verdicts", data=data_root)
        for folder in (model_folder, another(ORDERS["alike"]))
    ]
    student = edgepress.distill(models, epochs=1, train_baseline=False)
    assert student.opened.model.config.num_hidden_layers == 1
