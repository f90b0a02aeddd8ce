"""`compress.qat` as a user types it, and its rounding beside that of the file."""

import re

import numpy as np
import pytest
import torch
from small_models import ARCHITECTURES
from transformers import AutoModelForSequenceClassification

from compress.qat.rounding import RoundedRows, rounded, rounding
from edgepress.core.artifact import open_artifact
from export.core.eager import EagerRunner
from export.core.registry import open_runner
from export.core.scheme import CPU_TARGETS, Options, this_cpu
from export.onnx import export
from export.onnx_graph.schemes import SCHEMES


@pytest.fixture
def flags(data_root, tmp_path):
    return ("--data", data_root, "--task", "verdicts", "--output", tmp_path / "out")


def step_of(folder):
    return open_artifact(folder).manifest.steps[-1]


def test_activations_lie_on_a_grid_with_zero():
    values = torch.tensor([-1.0, 0.0, 0.3, 3.0], requires_grad=True)
    found = rounded(values)
    levels = found / (4 / 255)
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert found[1] == 0
    assert (found - values).abs().max() <= 4 / 255
    found.sum().backward()
    assert values.grad is not None
    assert values.grad[1:3].tolist() == [1, 1]


def test_each_row_of_a_matrix_has_its_own_grid():
    weight = torch.tensor([[1.27, 0.013], [0.0127, 0.00013]])
    torch.testing.assert_close(RoundedRows()(weight), torch.tensor([[1.27, 0.01], [0.0127, 0.0001]]))


def test_zeros_stay_zeros():
    assert not rounded(torch.zeros(3)).any()
    assert not RoundedRows()(torch.zeros(2, 3)).any()


@pytest.mark.skipif(
    this_cpu().reduce_range, reason="without VNNI sums of 8-bit products saturate in the file"
)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_rounds_as_the_file_does(name, tmp_path):
    """Logits with rounding in torch are as near to the int8 file's as to nothing else."""
    model = ARCHITECTURES[name]().eval()
    parent, target = tmp_path / "model.onnx", tmp_path / "model_quantized.onnx"
    export(model, parent)
    SCHEMES["int8-dynamic"].quantize(parent, target, Options(CPU_TARGETS["avx512_vnni"]))
    ids = np.random.default_rng(0).integers(5, 200, (8, 12))
    batch = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    with EagerRunner(model) as eager:
        plain = eager(batch)
        with rounding(model):
            ours = eager(batch)
    extra = {"token_type_ids": np.zeros_like(ids)}
    with open_runner(target) as runner:
        file = runner({**batch, **extra})
    assert np.abs(ours - file).mean() < 0.5 * np.abs(plain - file).mean()


def test_the_weights_are_as_they_were_afterwards():
    model = ARCHITECTURES["bert"]()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with rounding(model):
        assert not torch.equal(
            model.bert.encoder.layer[0].intermediate.dense.weight,
            before["bert.encoder.layer.0.intermediate.dense.weight"],
        )
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(weight, before[name]) for name, weight in after.items())


def test_it_trains_with_rounding_in_the_way(cli, model_folder, flags, tmp_path):
    force = ("--max-drop", 0, "--epochs", 2, "--learning-rate", 1e-4)
    spoilt = tmp_path / "spoilt"
    model = AutoModelForSequenceClassification.from_pretrained(model_folder)
    with torch.no_grad():  # one far weight a row: the others share a few levels, and rounding costs much
        for layer in model.bert.encoder.layer:
            layer.intermediate.dense.weight[:, 0] = 25.0
            layer.attention.self.value.weight[:, 0] = 25.0
    model.save_pretrained(spoilt)
    for file in model_folder.glob("*token*"):
        (spoilt / file.name).write_bytes(file.read_bytes())
    done = cli("compress.qat", "--model", spoilt, *flags, *force)
    assert done.code == 0, done.err
    metrics = step_of(tmp_path / "out").metrics
    assert {"before", "rounded", "after"} <= metrics.keys()
    if metrics["rounded"]["score"] < metrics["before"]["score"]:
        assert metrics["history"]
        assert metrics["after"]["score"] >= metrics["rounded"]["score"]


def test_nothing_is_trained_where_rounding_costs_little(cli, model_folder, flags, tmp_path):
    done = cli("compress.qat", "--model", model_folder, *flags, "--max-drop", 0.5)
    assert done.code == 0, done.err
    said = r"rounding alone loses 0\.00 points \[-\d+\.\d, \d+\.\d\], of 0\.5 that it may: nothing to train"
    assert re.search(said, " ".join(done.err.split()))
    step = step_of(tmp_path / "out")
    assert "history" not in step.metrics
    assert step.seconds == 0
    files = {file.path: file.sha256 for file in open_artifact(tmp_path / "out").manifest.files}
    ours, theirs = (
        AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
        for folder in (tmp_path / "out", model_folder)
    )
    assert files["model.safetensors"]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_then_it_is_quantized(cli, model_folder, flags, tmp_path):
    assert cli("compress.qat", "--model", model_folder, *flags).code == 0
    quick = ("--time-budget", 0, "--output", tmp_path / "small")
    done = cli("compress.quantize", "--model", tmp_path / "out", "--data", flags[1], *quick)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (("--max-drop", -1), "--max-drop is out of range"),
        (("--epochs", 0), "--epochs is out of range"),
        (("--weights", "random"), "--weights random: rounding costs random weights nothing"),
    ],
)
def test_bad_input(cli, model_folder, flags, tmp_path, bad, said):
    done = cli("compress.qat", "--model", model_folder, *flags, *bad)
    assert done.code == 2
    assert said in done.error
    assert list(tmp_path.iterdir()) == []
