"""`compress.prune` as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from conftest import interruptible
from transformers import AutoModelForSequenceClassification

from compress.prune.report import Shape
from compress.step import refuse_quantized
from edgepress.core.artifact import Step, open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model


@pytest.fixture
def flags(data_root, tmp_path):
    return ("--data", data_root, "--task", "verdicts", "--output", tmp_path / "out")


def step_of(folder):
    return open_artifact(folder).manifest.steps[-1]


def test_an_even_cut(cli, model_folder, flags, tmp_path):
    done = cli("compress.prune", "--model", model_folder, *flags, "--ffn", 0.5)
    assert done.code == 0, done.err
    step, model = (
        step_of(tmp_path / "out"),
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "out"),
    )
    before, after = step.metrics["before"], step.metrics["after"]
    assert (before["shape"]["ffn"], after["shape"]["ffn"]) == ([128, 128], [64, 64])
    assert after["parameters"] == model.num_parameters() < before["parameters"]
    assert model.config.intermediate_size == 64
    assert before["score"] == 1.0
    assert 0 <= after["score"] <= 1
    assert "transformers opens it as it stands" in done.out
    card = (tmp_path / "out/README.md").read_text()
    assert "| pruned | 2 | 64 | 2 | 64 |" in card


@pytest.mark.parametrize("importance", ["taylor", "activation"])
def test_importance_of_the_task(cli, model_folder, flags, tmp_path, importance):
    done = cli("compress.prune", "--model", model_folder, *flags, "--heads", 0.5, "--importance", importance)
    assert done.code == 0, done.err
    opened = open_model(str(tmp_path / "out"), data=flags[1])
    assert Shape.of(opened.model).heads == (1, 1)
    assert "edgepress opens it" in done.out


def test_it_recovers_taught_by_the_unpruned_model(cli, model_folder, flags, tmp_path):
    cut = ("--ffn", 0.9, "--heads", 0.5, "--importance", "taylor", "--iterations", 2)
    schedule = ("--epochs", 8, "--learning-rate", 1e-3)
    assert cli("compress.prune", "--model", model_folder, *flags, *cut[:6]).code == 0
    at_once = step_of(tmp_path / "out").metrics["after"]
    done = cli("compress.prune", "--model", model_folder, *flags, *cut, *schedule, "--overwrite")
    assert done.code == 0, done.err
    step = step_of(tmp_path / "out")
    assert step.metrics["after"]["parameters"] == at_once["parameters"]
    assert step.metrics["after"]["score"] >= at_once["score"]
    assert step.metrics["after"]["score"] == step.metrics["accuracy"] > 0.9
    assert len(step.metrics["iterations"]) == 2
    assert step.metrics["history"]
    assert open_artifact(tmp_path / "out").manifest.model.weights == "trained"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_it_recovers_without_a_teacher(cli, model_folder, flags, tmp_path):
    alone = ("--response-weight", 0, "--label-weight", 1)
    done = cli("compress.prune", "--model", model_folder, *flags, "--ffn", 0.5, "--epochs", 1, *alone)
    assert done.code == 0, done.err
    assert step_of(tmp_path / "out").config["response_weight"] == 0


def test_it_recovers_by_hidden_states(cli, model_folder, flags, tmp_path):
    states = ("--hidden-weight", 1, "--cosine-weight", 1)
    done = cli("compress.prune", "--model", model_folder, *flags, "--ffn", 0.5, "--epochs", 1, *states)
    assert done.code == 0, done.err


def test_random_weights_need_no_data(cli, tmp_path):
    done = cli(
        *("compress.prune", "--model", "tinybert", "--weights", "random", "--ffn", 0.5),
        *("--output", tmp_path / "out"),
    )
    assert done.code == 0, done.err
    assert step_of(tmp_path / "out").metrics["after"]["score"] is None
    assert "Not for use" in (tmp_path / "out/README.md").read_text()


@pytest.mark.slow
def test_what_is_pruned_is_exported_and_quantized(cli, model_folder, flags, tmp_path):
    uneven = ("--heads", 0.5, "--ffn", 0.4, "--scope", "global")
    assert cli("compress.prune", "--model", model_folder, *flags, *uneven).code == 0
    quick = ("--time-budget", 0, "--output", tmp_path / "small")
    done = cli("compress.quantize", "--model", tmp_path / "out", "--data", flags[1], *quick)
    assert done.code == 0, done.err
    steps = open_artifact(tmp_path / "small").manifest.steps
    assert [step.technique for step in steps] == ["prune", "quantize"]
    formats = ("--formats", "onnx", "torchscript", "coreml", "--output", tmp_path / "files")
    assert cli("export", "--model", tmp_path / "out", "--data", flags[1], *formats).code == 0
    refused = cli("compress.prune", "--model", tmp_path / "small", *flags, "--ffn", 0.5, "--overwrite")
    assert refused.code == 2
    assert "is quantized already" in refused.error


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ((), "nothing to cut"),
        (("--ffn", 1), "--ffn is out of range: it is 0 to below 1, not 1"),
        (("--heads", -0.1), "--heads is out of range: it is 0 to below 1, not -0.1"),
        (("--heads", 0.9), "--heads leaves nothing of bert.encoder.layer.0.attention.self"),
        (("--layers", 0.9), "--layers leaves nothing of bert.encoder.layer"),
        (("--hidden", 0.95), "--hidden leaves nothing of hidden width"),
        (("--ffn", "0.5", "0.5", "0.5"), "--ffn names 3 shares, the model has 2 layers"),
        (("--ffn", "0.5", "0.2", "--scope", "global"), "--scope global shares a cut out itself"),
        (("--ffn", 0.5, "--iterations", 2), "--iterations without --epochs"),
        (("--ffn", 0.5, "--iterations", 0), "--iterations is out of range"),
        (("--ffn", 0.5, "--importance-samples", 0), "--importance-samples is out of range"),
        (("--ffn", 0.5, "--epochs", -1), "--epochs is out of range"),
        (("--ffn", 0.5, "--epochs", 1, "--temperature", 0), "--temperature is out of range: it is above 0"),
    ],
)
def test_bad_input(cli, model_folder, flags, tmp_path, bad, said):
    done = cli("compress.prune", "--model", model_folder, *flags, *bad)
    assert done.code == 2
    assert said in done.error
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_no_known_task(cli, model_folder, tmp_path):
    where = ("--output", tmp_path / "out")
    done = cli("compress.prune", "--model", model_folder, *where, "--ffn", 0.5, "--importance", "taylor")
    assert done.code == 2
    assert "nobody said what" in done.error


def test_a_model_without_layers(cli, data_root, flags, tmp_path):
    done = cli("compress.prune", "--model", "bilstm", *flags, "--ffn", 0.5)
    assert done.code == 2
    assert "has nothing that --ffn could cut" in done.error


def command(model_folder, data_root, output):
    return [
        *(sys.executable, "-m", "compress.prune", "--model", str(model_folder), "--data", str(data_root)),
        *("--task", "verdicts", "--output", str(output), "--ffn", "0.5", "--iterations", "2"),
        *("--epochs", "6", "--learning-rate", "1e-3", "--importance", "taylor"),
    ]


@pytest.mark.long  # finetune and distill do it as slow ones
def test_interrupted_it_resumes_to_the_same_numbers(model_folder, data_root, tmp_path):
    whole, again = (command(model_folder, data_root, tmp_path / name) for name in ("whole", "again"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(whole, check=True, capture_output=True, env=environment)
    stopped = subprocess.Popen(
        again, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=interruptible
    )
    second = tmp_path / ".again.training" / "cut-2"
    while not list(second.glob("checkpoint-*")):
        assert stopped.poll() is None
        time.sleep(0.02)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate()
    assert stopped.returncode in (0, 130), said
    if stopped.returncode:
        assert not (tmp_path / "again").exists()
        subprocess.run(again, check=True, capture_output=True, env=environment)
    first, other = (
        {file.path: file.sha256 for file in open_artifact(tmp_path / name).manifest.files}
        for name in ("whole", "again")
    )
    assert first["model.safetensors"] == other["model.safetensors"]
    scores = [json.dumps(step_of(tmp_path / name).metrics["after"]) for name in ("whole", "again")]
    assert scores[0] == scores[1]


@pytest.mark.long  # distill does it as a slow one
def test_two_processes_under_accelerate(model_folder, data_root, tmp_path):
    # With --cpu accelerate starts one process only; without a GPU, --multi_gpu starts them on the CPU.
    launch = (sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
    typed = [*launch, "--module", *command(model_folder, data_root, tmp_path / "out")[2:]]
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert step_of(tmp_path / "out").metrics["after"]["shape"]["ffn"] == [64, 64]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_student_of_a_quantized_teacher_is_not_quantized(model_folder):
    """Its files are new; of the teacher it has the steps alone."""
    opened = open_model(str(model_folder))
    quantize, distill = Step("quantize", {}, 0.0), Step("distill", {}, 0.0)
    refuse_quantized(replace(opened, applied=(quantize, distill)))
    with pytest.raises(EdgepressError, match="is quantized already"):
        refuse_quantized(replace(opened, applied=(distill, quantize)))
