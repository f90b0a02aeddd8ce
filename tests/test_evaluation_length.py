"""Scores that stand side by side are of the same tokens of the same texts."""

import re
import shutil

import numpy as np
import pytest
import torch
from conftest import SENTENCES, write_split
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
)

import edgepress
from edgepress.core.artifact import open_artifact
from edgepress.core.evaluation import EVALUATION_SET

LENGTH = 16
OTHER = {"positive": " is dull and far too long", "negative": " moves and surprises"}
# As long as IMDb's: the first tokens say what is right, some say nothing, and the other 600 the opposite.
LONG = [(text + ", all things considered" * 4 + OTHER[label] * 120, label) for text, label in SENTENCES]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("long")
    write_split(root / "reviews" / "train.jsonl", SENTENCES)
    write_split(root / "reviews" / "validation.jsonl", LONG[::3])
    return root


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, tokenizer):
    """A small BERT that reads 512 tokens."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "long-bert"
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    loaded = AutoTokenizer.from_pretrained(folder, model_max_length=512)
    loaded.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(encoder, root, tmp_path_factory):
    options = {"head": "new", "epochs": 10, "learning_rate": 1e-3, "max_length": LENGTH}
    made = edgepress.finetune(encoder, "reviews", data=root, **options)
    return made.save(tmp_path_factory.mktemp("trained") / "tuned")


@pytest.fixture
def tuned(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "tuned")


def accuracy(folder, length):
    """By transformers alone."""
    model, tokenizer = (
        kind.from_pretrained(folder) for kind in (AutoModelForSequenceClassification, AutoTokenizer)
    )
    texts = [text for text, _ in LONG[::3]]
    with torch.no_grad():
        inputs = tokenizer(texts, truncation=True, max_length=length, padding=True, return_tensors="pt")
        decided = model(**inputs).logits.argmax(dim=1)
    return np.mean(
        [model.config.id2label[int(own)] == label for own, (_, label) in zip(decided, LONG[::3], strict=True)]
    )


def last_step(folder):
    return open_artifact(folder).manifest.steps[-1].metrics


COMMANDS = {
    "prune": ("--ffn", 0.02),
    "sparsify": ("--sparsity", 0.01, "--formats"),
    "qat": ("--max-drop", 0.0),
    "trim_vocab": (),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_scores_before_and_after_are_of_the_same_tokens(cli, tuned, root, tmp_path, command):
    assert accuracy(tuned, 512) < accuracy(tuned, LENGTH)
    typed = ("--model", tuned, "--data", root, "--epochs", 1, "--learning-rate", 1e-9)
    done = cli(f"compress.{command}", *typed, *COMMANDS[command], "--output", tmp_path / "out")
    assert done.code == 0, done.err
    found = last_step(tmp_path / "out")
    assert found["before"]["score"] == pytest.approx(accuracy(tuned, LENGTH))
    assert found["after"]["score"] == pytest.approx(found["before"]["score"], abs=0.1)
    sets = [found[state][EVALUATION_SET] for state in ("before", "after")]
    assert sets[0] == sets[1]
    assert len(sets[0].pop("texts_sha256")) == 64
    assert sets[0] == {
        "task": "reviews",
        "split": "validation",
        "texts": len(LONG[::3]),
        "max_length": LENGTH,
    }
    assert f"{len(LONG[::3])} texts of at most {LENGTH} tokens" in done.out
    said = " ".join(done.out.split())
    assert re.search(r"It loses -?\d+\.\d\d points \[-\d+\.\d, \d+\.\d\] against the model as it was", said)


def test_files_are_scored_at_the_length_of_the_training(cli, tuned, root, tmp_path):
    typed = ("--model", tuned, "--data", root, "--output", tmp_path / "out")
    for command in ("export.onnx", "compress.quantize"):
        more = ("--time-budget", 0) if "quantize" in command else ()
        done = cli(command, *typed, *more, "--overwrite")
        assert done.code == 0, done.err
        assert last_step(tmp_path / "out")["parent_score"] == pytest.approx(accuracy(tuned, LENGTH))
        assert f"at most {LENGTH} tokens" in done.out


def test_a_model_of_others_is_scored_at_its_full_length(cli, tuned, root, tmp_path):
    (tuned / "manifest.json").unlink()
    done = cli(
        "export.onnx", "--model", tuned, "--task", "reviews", "--data", root, "--output", tmp_path / "out"
    )
    assert done.code == 0, done.err
    assert last_step(tmp_path / "out")["parent_score"] == pytest.approx(accuracy(tuned, 512))
