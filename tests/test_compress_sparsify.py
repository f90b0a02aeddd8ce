"""`compress.sparsify` as a user types it, and the masks behind it."""

import pytest
import torch
from small_models import ARCHITECTURES
from torch import nn
from torch.nn.utils import parametrize
from transformers import AutoModelForSequenceClassification, TrainerControl, TrainerState, TrainingArguments

from compress.sparsify.masks import Sparsity, chosen, matrices, share_of_zeros
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError

QUICK = ("--time-budget", 1, "--sequence-length", 8)


@pytest.fixture
def flags(data_root, tmp_path):
    return ("--data", data_root, "--task", "verdicts", "--output", tmp_path / "out")


def step_of(folder):
    return open_artifact(folder).manifest.steps[-1]


def trainer_state(step, steps):
    return TrainingArguments(), TrainerState(global_step=step, max_steps=steps), TrainerControl()


def test_the_largest_stay():
    values = torch.tensor([[1.0, 4, 3, 2], [8, 7, 6, 5]])
    assert chosen(values, 0.5, "any").tolist() == [[False] * 4, [True] * 4]
    assert chosen(values, 0.5, "2:4").tolist() == [[False, True, True, False], [True, True, False, False]]


@pytest.mark.parametrize("pattern", ["any", "2:4"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_matrix_of_a_layer_is_as_sparse(name, pattern):
    model = ARCHITECTURES[name]()
    before = {key: weight.clone() for key, weight in model.state_dict().items()}
    masks = Sparsity(model, "magnitude", pattern, 0.5, 0.0)
    masks.to(0.5)
    masks.settle()
    assert {share_of_zeros([own]) for own in matrices(model)} == {0.5}
    assert model.state_dict().keys() == before.keys()
    changed = {key for key, weight in model.state_dict().items() if not torch.equal(weight, before[key])}
    assert len(changed) == len(matrices(model))
    assert not any(word in key for key in changed for word in ("embedding", "classifier", "pooler"))
    assert not any(parametrize.is_parametrized(module) for module in model.modules())


def test_sparsity_rises_fast_at_first():
    model = ARCHITECTURES["bert"]()
    masks = Sparsity(model, "magnitude", "any", 0.8, 0.5)
    assert [masks.at(way) for way in (0.0, 0.5, 1.0)] == pytest.approx([0.0, 0.7, 0.8])
    found = []
    for step in range(40):
        masks.on_step_begin(*trainer_state(step, 40))
        found.append(share_of_zeros(matrices(model)))
    assert found == sorted(found)
    assert found[0] == 0
    assert found[10] == pytest.approx(0.7, abs=1e-3)
    assert found[20] == pytest.approx(0.8, abs=1e-3)
    assert set(found[20:]) == {found[20]}


def test_without_a_cooldown_the_last_choice_is_at_the_end():
    model = ARCHITECTURES["bert"]()
    masks = Sparsity(model, "magnitude", "any", 0.8, 0.0)
    masks.on_step_begin(*trainer_state(9, 10))
    masks.on_train_end(*trainer_state(10, 10))
    assert share_of_zeros(matrices(model)) == pytest.approx(0.8, abs=1e-3)


def test_movement_keeps_what_moves_away_from_zero():
    """A regression whose weights are to be (1, 0, -1, 0), from where all are 0.5 or -0.5."""
    model = ARCHITECTURES["bert"]()
    masks = Sparsity(model, "movement", "any", 0.5, 0.0)
    own = matrices(model)[0]
    rows, columns = own.weight.shape
    target = torch.zeros(rows, columns)
    target[:, ::2] = 1.0
    with torch.no_grad():
        own.parametrizations.weight.original.fill_(0.5)
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        (own.weight - target).pow(2).sum().backward()
        optimizer.step()
    masks.to(0.5)
    assert (own.weight[:, 1::2] == 0).all()
    assert (own.weight[:, ::2] > 0.5).all()


def test_a_masked_weight_can_come_back():
    model = ARCHITECTURES["bert"]()
    masks = Sparsity(model, "magnitude", "any", 0.5, 0.0)
    own = matrices(model)[0]
    masks.to(0.5)
    gone = (own.weight == 0).nonzero()[0].tolist()
    with torch.no_grad():
        own.parametrizations.weight.original[tuple(gone)] = 10.0
    masks.to(0.5)
    assert own.weight[tuple(gone)] == 10.0


@pytest.mark.slow
def test_at_once(cli, model_folder, flags, tmp_path):
    done = cli("compress.sparsify", "--model", model_folder, *flags, *QUICK, "--sparsity", 0.8)
    assert done.code == 0, done.err
    step = step_of(tmp_path / "out")
    assert step.metrics["zeros"] == pytest.approx(0.8, abs=1e-3)
    assert step.metrics["before"]["parameters"] == step.metrics["after"]["parameters"]
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert share_of_zeros(matrices(model)) == step.metrics["zeros"]
    for file in step.metrics["files"]:
        assert file["compressed_bytes"] < 0.8 * file["size_bytes"]
    assert [file["format"] for file in step.metrics["files"]] == ["ONNX", "TorchScript"]
    assert "MB compressed" in done.out
    assert "what zeros buy" in done.out


def test_two_of_four(cli, model_folder, flags, tmp_path):
    done = cli("compress.sparsify", "--model", model_folder, *flags, "--pattern", "2:4", "--formats")
    assert done.code == 0, done.err
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    for own in matrices(model):
        assert ((own.weight.reshape(-1, 4) != 0).sum(1) <= 2).all()
    assert "sparse tensor cores" in done.out


@pytest.mark.parametrize(
    ("method", "epochs"), [("magnitude", 6), pytest.param("movement", 80, marks=pytest.mark.slow)]
)
def test_while_it_learns(cli, model_folder, flags, tmp_path, method, epochs):
    schedule = ("--epochs", epochs, "--learning-rate", 1e-3, "--formats")
    done = cli(
        *("compress.sparsify", "--model", model_folder, *flags, *schedule),
        *("--sparsity", 0.7, "--method", method),
    )
    assert done.code == 0, done.err
    step = step_of(tmp_path / "out")
    assert step.metrics["zeros"] == pytest.approx(0.7, abs=1e-3)
    assert step.metrics["after"]["score"] == step.metrics["accuracy"] > 0.9
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert share_of_zeros(matrices(model)) == step.metrics["zeros"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (("--sparsity", 0), "--sparsity is out of range"),
        (("--sparsity", 1), "--sparsity is out of range"),
        (("--cooldown", 1), "--cooldown is out of range"),
        (("--pattern", "2:4", "--sparsity", 0.8), "--pattern 2:4 is a sparsity of 0.5"),
        (("--method", "movement"), "--method movement learns what to keep"),
        (("--method", "movement", "--epochs", 1, "--pattern", "2:4"), "--pattern 2:4 goes by magnitude"),
        (("--formats", "onxx"), "unknown format 'onxx'"),
    ],
)
def test_bad_input(cli, model_folder, flags, tmp_path, bad, said):
    done = cli("compress.sparsify", "--model", model_folder, *flags, *bad)
    assert done.code == 2
    assert said in done.error
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_layers(cli, flags):
    done = cli("compress.sparsify", "--model", "cnn", *flags, "--formats")
    assert done.code == 2
    assert "has no layers whose weights could be zero" in done.error


def test_a_matrix_without_fours():
    model = ARCHITECTURES["bert"]()
    model.bert.encoder.layer[0].attention.self.query = nn.Linear(66, 64)
    with pytest.raises(EdgepressError, match="a matrix of 66 inputs has no fours"):
        Sparsity(model, "magnitude", "2:4", 0.5, 0.0)
