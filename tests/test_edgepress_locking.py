"""One process at a time, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepress.core.errors import EdgepressError
from edgepress.core.locking import exclusive_lock, noted

# Waits until a moment, and then for its end or so many seconds, in the block.
ENTER = """
import sys, time
from pathlib import Path
from edgepress.core.locking import exclusive_lock
folder, moment, seconds = Path(sys.argv[1]), *map(float, sys.argv[2:])
time.sleep(max(0.0, moment - time.time()))
with exclusive_lock(folder, "busy", "wait"):
    print("in", flush=True)
    time.sleep(seconds)
"""
BUSY = r"^busy \(process \d+\)$"

Enter = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def enter(tmp_path: Path) -> Enter:
    def start(moment: float = 0.0, seconds: float = 60.0) -> "subprocess.Popen[str]":
        typed = [sys.executable, "-c", ENTER, str(tmp_path), str(moment), str(seconds)]
        return subprocess.Popen(typed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    return start


def enter_here(folder: Path) -> None:
    with exclusive_lock(folder, "busy", "wait"):
        pass


def test_the_second_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path, "busy", "wait"):
        with pytest.raises(EdgepressError, match=rf"^busy \(process {os.getpid()}\)$") as refused:
            enter_here(tmp_path)
        assert refused.value.hint == "wait"
        with pytest.raises(EdgepressError, match=BUSY):  # and being refused frees nothing
            enter_here(tmp_path)
    enter_here(tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_process_is_named_and_once_killed_does_not_count(tmp_path: Path, enter: Enter) -> None:
    child = enter()
    assert child.stdout is not None
    assert child.stdout.readline() == "in\n"
    with pytest.raises(EdgepressError, match=rf"^busy \(process {child.pid}\)$"):
        enter_here(tmp_path)
    child.kill()
    # A zombie until it is waited for, which does not count either.
    while Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.01)
    enter_here(tmp_path)
    assert child.wait() == -signal.SIGKILL


def test_its_number_given_again_is_another_process(tmp_path: Path) -> None:
    (tmp_path / f"{os.getpid()}-1.0").touch()
    enter_here(tmp_path)


def test_never_two_at_once_that_begin_in_the_same_instant(enter: Enter) -> None:
    children = [enter(time.time() + 2.0, 1.0) for _ in range(4)]
    entered = sum(child.communicate(timeout=60)[0] == "in\n" for child in children)
    assert entered <= 1


def test_a_noted_process_counts_until_it_ends(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    with noted(tmp_path, child.pid):
        with pytest.raises(EdgepressError, match=BUSY):
            enter_here(tmp_path)
        child.kill()
        child.wait()
        enter_here(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_process_that_has_ended_already_can_be_noted(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    with noted(tmp_path, child.pid):
        enter_here(tmp_path)
