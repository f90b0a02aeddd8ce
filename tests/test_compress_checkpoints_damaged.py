"""Checkpoints that are damaged, half written, or another process's: never do they lead to other weights."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import first_slow
from interrupting import killed_writing, stop, weights
from resuming import refused, resumed, steps, turned

from edgepress.core.artifact import open_artifact

pytestmark = pytest.mark.usefixtures("one_thread", "own_cache")


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "flipped": flip,
    "gone": lambda p: p.unlink(),
}


@pytest.mark.slow
def test_a_damaged_checkpoint_is_one_line_each_time(cli, typed, stopped, checkpoints, whole, tmp_path):
    stopped(7)
    for name in ("pytorch_model.bin", "optimizer.pt", "rng_state.pth", "trainer_state.json"):
        content = (checkpoints / "checkpoint-5" / name).read_bytes()
        for damage in DAMAGES.values():
            damage(checkpoints / "checkpoint-5" / name)
            refused(cli(*typed), "no whole checkpoint", f"checkpoint-5: {name} is missing or damaged")
            (checkpoints / "checkpoint-5" / name).write_bytes(content)
    resumed(cli(*typed), 5)
    assert weights(tmp_path / "out") == whole


def test_the_newest_whole_checkpoint_is_taken(cli, typed, stopped, checkpoints, whole, tmp_path):
    stopped(7)
    shutil.copytree(checkpoints / "checkpoint-5", tmp_path / "kept")
    stop(cli, 7, *typed)
    assert steps(checkpoints) == [10]
    shutil.copytree(tmp_path / "kept", checkpoints / "checkpoint-5")
    cut(checkpoints / "checkpoint-10" / "optimizer.pt")
    again = cli(*typed)
    resumed(again, 5)
    assert "checkpoint-10 is not whole and left out: optimizer.pt is missing or damaged" in again.err
    assert weights(tmp_path / "out") == whole


# It knows all by heart, and goes on: the first look is the best.
GENTLE = ("--learning-rate", 1e-6, "--keep", "best")


@pytest.mark.slow
def test_the_best_weights_are_found_where_the_folder_was_moved(cli, typed, checkpoints, tmp_path):
    typed = (*typed, *GENTLE)
    assert cli(*typed, "--output", tmp_path / "whole").code == 0
    stop(cli, 22, *typed)
    assert steps(checkpoints) == [5, 20]
    checkpoints.rename(tmp_path / ".moved.training")
    resumed(cli(*typed, "--output", tmp_path / "moved"), 20)
    assert weights(tmp_path / "moved") == weights(tmp_path / "whole")
    assert open_artifact(tmp_path / "moved").manifest.steps[-1].metrics["kept_epoch"] < 1


def test_damaged_best_weights_are_not_replaced_by_the_last(cli, typed, checkpoints):
    typed = (*typed, *GENTLE)
    stop(cli, 22, *typed)
    cut(checkpoints / "checkpoint-5" / "pytorch_model.bin")
    refused(cli(*typed), "no whole checkpoint", "the best weights, checkpoint-5, are missing or damaged")


class Planted:
    """Runs a command where it is unpickled by anything but torch's weights_only."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["optimizer.pt", "rng_state.pth"])
def test_code_in_a_checkpoint_is_not_run(cli, typed, stopped, checkpoints, tmp_path, name):
    stopped(22)
    torch.save({"state": Planted(tmp_path / "run")}, checkpoints / "checkpoint-20" / name)
    refused(cli(*typed), "checkpoint-20 holds more than tensors")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_at_once_do_not_share_checkpoints(cli, typed, checkpoints):
    long = [str(part) for part in (*typed, "--epochs", 300)]
    process = subprocess.Popen(
        [sys.executable, "-m", *long], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not steps(checkpoints):
            assert process.poll() is None
            time.sleep(0.05)
        for flags in ((), ("--restart",), ("--seed", 1)):
            second = cli(*typed, *flags)
            assert second.code == 2
            assert f"still at work (process {process.pid})" in second.error
        assert process.poll() is None
        assert steps(checkpoints)
    finally:
        process.kill()
        process.wait()
    refused(cli(*typed), "--epochs was 300.0, is 3.0")
    assert cli(*typed, "--restart").code == 0


@pytest.mark.parametrize("number", [24, pytest.param(26, marks=pytest.mark.slow)])
def test_killed_in_the_middle_of_a_file_it_ends_with_the_same_weights(cli, typed, whole, tmp_path, number):
    killed_writing(number, *typed)
    assert not (tmp_path / "out").exists()
    again = cli(*typed)
    assert again.code == 0, again.err
    assert "resuming from step" in again.err
    assert weights(tmp_path / "out") == whole
    assert {path.name for path in tmp_path.iterdir()} == {"data", "model", "out"}


@pytest.mark.slow
def test_killed_in_its_first_checkpoint_it_begins_again(cli, typed, whole, checkpoints, tmp_path):
    killed_writing(2, *typed)
    assert steps(checkpoints) == [5]
    again = cli(*typed)
    assert again.code == 0, again.err
    assert weights(tmp_path / "out") == whole


@pytest.mark.slow
def test_killed_in_its_first_checkpoint_there_is_nothing_to_lose(cli, typed, checkpoints):
    killed_writing(2, *typed)
    assert cli(*typed, "--learning-rate", 1e-4).code == 0
    assert not checkpoints.exists()


@pytest.mark.parametrize("number", first_slow(random.Random(1).sample(range(36), 3), 1))
def test_killed_in_the_middle_of_a_file_it_keeps_the_best(cli, typed, tmp_path, number):
    typed = (*typed, "--keep", "best", "--learning-rate", 1e-3)
    assert cli(*typed, "--output", tmp_path / "whole").code == 0
    killed_writing(number, *typed)
    assert cli(*typed).code == 0
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")


@pytest.mark.parametrize("seed", first_slow(range(6), 1))
def test_killed_at_any_moment_it_ends_with_the_same_weights(cli, typed, whole, tmp_path, seed):
    started = [sys.executable, "-m", *map(str, typed)]
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / ".out.training"
    while process.poll() is None and not checkpoints.exists():
        time.sleep(0.01)
    time.sleep(random.Random(seed).uniform(0, 2))
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = cli(*typed, "--overwrite")
    assert done.code == 0, done.err
    assert weights(tmp_path / "out") == whole


@pytest.mark.long  # distill trains in two processes as a slow one
def test_processes_of_one_launch_decide_together(cli, typed, own_data, tmp_path):
    launch = (
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--module",
    )
    started = [*launch, *map(str, (*typed, "--epochs", 25))]
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / ".out.training"
    while not list(checkpoints.glob("checkpoint-*/finished")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait()
    refused(cli(*typed, "--epochs", 25), "processes was 2, is 1")
    turned(own_data / "verdicts" / "train.jsonl")
    other = subprocess.run(started, capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert "train labels differ" in other.stderr
    turned(own_data / "verdicts" / "train.jsonl")
    again = subprocess.run(started, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "resuming from step" in again.stderr
    assert not checkpoints.exists()
