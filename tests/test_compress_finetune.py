"""`compress.finetune` as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import SENTENCES, interruptible
from transformers import AutoModelForSequenceClassification

from edgepress.core.artifact import open_artifact
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.metrics import set_thresholds
from edgepress.core.tasks import TASKS, Task
from export.core.eager import EagerRunner
from export.validation.sentences import evaluation_sentences
from export.validation.validator import Validator


@pytest.fixture
def flags(data_root, tmp_path):
    return ("--task", "verdicts", "--data", data_root, "--output", tmp_path / "out")


def test_learns_the_task(cli, bare_encoder, flags, tmp_path):
    result = cli(
        "compress.finetune", "--model", bare_encoder, *flags, "--epochs", 20, "--learning-rate", 1e-3
    )
    assert result.code == 0, result.err
    manifest = open_artifact(tmp_path / "out").manifest
    assert manifest.steps[-1].metrics["accuracy"] > 0.8
    assert manifest.model.weights == "trained"
    assert manifest.model.head_trained
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")


def test_same_seed_same_weights(cli, model_folder, flags, tmp_path):
    hashes = []
    for _ in range(2):
        assert (
            cli("compress.finetune", "--model", model_folder, *flags, "--epochs", 1, "--overwrite").code == 0
        )
        files = open_artifact(tmp_path / "out").manifest.files
        hashes.append(next(f.sha256 for f in files if f.path == "model.safetensors"))
    assert hashes[0] == hashes[1]


def test_other_labels_get_a_new_head(cli, bare_encoder, flags, tmp_path):
    assert cli("compress.finetune", "--model", bare_encoder, *flags, "--epochs", 1).code == 0
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.config.id2label == {0: "negative", 1: "positive"}


@pytest.mark.parametrize(("flag", "value"), [("epochs", 0), ("batch-size", 0), ("learning-rate", -1)])
def test_value_out_of_range(cli, model_folder, flags, flag, value):
    result = cli("compress.finetune", "--model", model_folder, *flags, f"--{flag}", value)
    assert result.code == 2
    assert flag in result.error


def command(model_folder, flags):
    return [sys.executable, "-m", "compress.finetune", "--model", model_folder, *flags]


@pytest.mark.slow
def test_an_interrupted_run_resumes(model_folder, flags, tmp_path):
    typed = [str(part) for part in (*command(model_folder, flags), "--epochs", 100)]
    process = subprocess.Popen(
        typed, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=interruptible
    )
    checkpoints = tmp_path / ".out.training"
    while process.poll() is None and not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "resumes" in err
    assert not (tmp_path / "out").exists()
    first = max(int(p.name.split("-")[1]) for p in checkpoints.glob("checkpoint-*"))
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert first > 0
    assert f"resuming from step {first}" in done.stderr
    assert open_artifact(tmp_path / "out")
    assert not checkpoints.exists()


@pytest.mark.long  # distill does it as a slow one
def test_two_processes_under_accelerate(model_folder, flags, tmp_path):
    # With --cpu accelerate starts one process only; without a GPU, --multi_gpu starts them on the CPU.
    launch = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--module", "compress.finetune"]
    typed = [sys.executable, "-m", *launch, "--model", model_folder, *flags, "--epochs", "2"]
    done = subprocess.run(
        [str(part) for part in typed],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    step = open_artifact(tmp_path / "out").manifest.steps[-1]
    assert step.technique == "finetune"
    assert step.metrics["history"][-1]["step"] == 4  # 115 texts, 64 a step, 2 epochs


def test_training_again_keeps_the_lineage(cli, model_folder, flags, data_root, tmp_path):
    assert cli("compress.finetune", "--model", model_folder, *flags, "--epochs", 1).code == 0
    again = ("--task", "verdicts", "--data", data_root, "--output", tmp_path / "again", "--epochs", 1)
    assert cli("compress.finetune", "--model", tmp_path / "out", *again).code == 0
    manifest = open_artifact(tmp_path / "again").manifest
    assert [step.technique for step in manifest.steps] == ["finetune", "finetune"]
    assert manifest.parent is not None


@pytest.mark.parametrize("name", ["bilstm", "bilstm_attention", "cnn", "static"])
def test_from_scratch_with_a_vocabulary_of_its_own(cli, flags, data_root, tmp_path, name):
    result = cli("compress.finetune", "--model", name, *flags, "--vocabulary", 150, "--epochs", 30)
    assert result.code == 0, result.err
    assert "vocabulary: 150 entries, built from the train split" in result.err
    manifest = open_artifact(tmp_path / "out").manifest
    step = manifest.steps[-1]
    assert step.metrics["accuracy"] > 0.8
    assert (step.config["vocabulary"], step.config["learning_rate"]) == (150, 1e-3)
    record = manifest.model
    assert (record.name, record.weights, record.head_trained) == (name, "trained", True)
    opened = open_model(str(tmp_path / "out"), data=data_root)
    assert opened.model.config.vocab_size == len(opened.tokenizer) == 150
    assert opened.model.num_parameters() < 100_000


def test_trained_vocabulary_is_not_replaced(cli, bare_encoder, flags):
    result = cli("compress.finetune", "--model", bare_encoder, *flags, "--vocabulary", 100)
    assert result.code == 2
    assert "was trained with a vocabulary" in result.error
    assert "bilstm, bilstm_attention, cnn, static" in result.err


def test_pretrained_weights_of_a_model_that_has_none(cli, flags):
    result = cli("compress.finetune", "--model", "cnn", *flags, "--weights", "pretrained")
    assert result.code == 2
    assert "trained from scratch" in result.error


def shades(root: Path) -> Task:
    """A task of several labels with three splits; in validation the second label is mostly turned."""
    for split, turned in (("train", False), ("validation", True), ("test", False)):
        rows = [
            {
                "text": text,
                "film": "film" in text,
                "good": (label == "positive") != (turned and number % 4 > 0),
            }
            for number, (text, label) in enumerate(SENTENCES if split == "train" else SENTENCES[::5])
        ]
        path = root / "shades" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(json.dumps({**row, "film": int(row["film"])}) for row in rows) + "\n")
    columns = ("film", "good")
    kind = {"problem_type": "multi_label_classification", "metric": "f1_micro"}
    splits = {"evaluation_split": "test", "selection_split": "validation"}
    return Task("shades", ("text",), columns, columns, **kind, **splits)


def judged(opened: OpenedModel, data: Path) -> float | None:
    """What whoever measures an exported file says of the model."""
    with EagerRunner(opened.model) as runner:
        return Validator(runner, evaluation_sentences(opened, 1000, 0)).parent_score


def test_thresholds_are_chosen_on_one_split_and_judged_on_another(cli, bare_encoder, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "shades", shades(tmp_path / "data"))
    common = ("--task", "shades", "--data", tmp_path / "data", "--learning-rate", 1e-3)
    flags = ("--model", bare_encoder, *common, "--epochs", 15, "--output", tmp_path / "out")
    result = cli("compress.finetune", *flags, "--thresholds", "gmean")
    assert "thresholds from" in result.out, result.err
    metrics = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
    table = metrics["thresholds"]
    assert set(table) == {"0.5", "test", "validation"}
    assert table["0.5"]["values"] == {"film": 0.5, "good": 0.5}
    assert table["test"]["values"]["good"] != table["validation"]["values"]["good"]
    assert table["test"]["hamming_labelwise"] > table["validation"]["hamming_labelwise"]  # it was misled
    assert metrics["f1_micro"] == table["validation"]["f1_micro"]
    opened = open_model(str(tmp_path / "out"), data=tmp_path / "data")
    assert opened.thresholds == list(table["validation"]["values"].values())
    assert judged(opened, tmp_path / "data") == pytest.approx(metrics["f1_micro"])
    set_thresholds(opened.model, [1.1, 1.1])
    assert judged(opened, tmp_path / "data") == 0
    again = ("--model", tmp_path / "out", *common, "--epochs", 1, "--output", tmp_path / "half")
    assert cli("compress.finetune", *again).code == 0
    assert open_model(str(tmp_path / "half"), data=tmp_path / "data").thresholds is None


def test_the_best_weights_on_the_way_are_kept(cli, model_folder, flags, tmp_path):
    """A learning rate that spoils a trained model: the first look at it is the best."""
    spoiling = ("--epochs", 3, "--learning-rate", 3e-2, "--warmup-ratio", 0)
    for name in ("last", "best"):
        done = cli(
            "compress.finetune", "--model", model_folder, *flags, *spoiling, "--keep", name, "--overwrite"
        )
        assert done.code == 0, done.err
        metrics = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
        way = [entry["accuracy"] for entry in metrics["history"]]
        if name == "last":
            assert metrics["accuracy"] == way[-1]
            assert "kept_epoch" not in metrics
    best = max(way)
    assert metrics["accuracy"] == best
    assert metrics["kept_epoch"] == metrics["history"][way.index(best)]["epoch"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
