"""A training of `compress.finetune` that is stopped, and what tests of resuming look at."""

import json
import shutil

import pytest
import torch

# 15 steps an epoch, a checkpoint every 5.
TYPED = ("--epochs", 3, "--batch-size", 8)
CHECKPOINTS = ".out.training"


def typed_in(folder):
    """The command that trains a folder's model on its data."""
    return (
        *("compress.finetune", "--model", folder / "model", "--task", "verdicts"),
        *("--data", folder / "data", "--output", folder / "out", *TYPED),
    )


@pytest.fixture
def own_data(data_root, tmp_path):
    """Data that a test may change."""
    return shutil.copytree(data_root, tmp_path / "data")


@pytest.fixture
def own_model(model_folder, tmp_path):
    """A model that a test may change."""
    return shutil.copytree(model_folder, tmp_path / "model")


@pytest.fixture
def typed(own_data, own_model, tmp_path):
    return typed_in(tmp_path)


@pytest.fixture
def checkpoints(tmp_path):
    return tmp_path / CHECKPOINTS


@pytest.fixture(scope="module")
def interrupted(cli, model_folder, data_root, tmp_path_factory):
    """The checkpoints of the command that was stopped in a step, each made once."""
    from interrupting import stop

    made = {}

    def at(step):
        if step not in made:
            folder = tmp_path_factory.mktemp("stopped")
            shutil.copytree(data_root, folder / "data")
            shutil.copytree(model_folder, folder / "model")
            stop(cli, step, *typed_in(folder))
            made[step] = folder / CHECKPOINTS
        return made[step]

    return at


@pytest.fixture
def stopped(interrupted, checkpoints):
    """Leave the checkpoints that the command leaves when it is stopped in a step."""
    return lambda step: shutil.copytree(interrupted(step), checkpoints)


@pytest.fixture(scope="module")
def undisturbed():
    """The digest of the weights, once it is known."""
    return []


@pytest.fixture
def whole(cli, typed, undisturbed, tmp_path):
    """What the command leaves that nothing interrupts."""
    from interrupting import weights

    if not undisturbed:
        assert cli(*typed, "--output", tmp_path / "whole").code == 0
        undisturbed.append(weights(tmp_path / "whole"))
        shutil.rmtree(tmp_path / "whole")
    return undisturbed[0]


def steps(folder):
    return sorted(int(path.name.partition("-")[2]) for path in folder.glob("checkpoint-*"))


def refused(result, *words):
    assert result.code == 2, result.err
    assert "Traceback" not in result.err
    assert "--restart" in result.err
    assert "--output" in result.err
    for word in words:
        assert word in result.error


def resumed(result, step):
    assert result.code == 0, result.err
    assert f"resuming from step {step}" in result.err


def turned(split):
    """Corrects wrong labels."""
    from conftest import write_split

    rows = [json.loads(line) for line in split.read_text().splitlines()]
    other = {"positive": "negative", "negative": "positive"}
    write_split(split, [(row["text"], other[row["label"]]) for row in rows])


@pytest.fixture
def one_thread(monkeypatch):
    """Sums in one order, here and in processes that are started."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
