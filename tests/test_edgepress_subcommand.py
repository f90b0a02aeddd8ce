"""Commands that begin where libraries are imported already."""

import os
import signal
import threading
import time

import pytest

from edgepress.core.subcommand import Subcommand

SAYS = """
import os, random, sys
print(sys.argv[1:], os.environ.get("COLOUR"), os.getsid(0) == os.getpid(), "torch" in sys.modules)
print(random.random(), file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
WAITS = """
import pathlib, sys, time
pathlib.Path("begun").touch()
try:
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Two modules in the folder where commands are typed."""
    (tmp_path / "says.py").write_text(SAYS)
    (tmp_path / "waits.py").write_text(WAITS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def wait_for(file):
    while not file.exists():
        time.sleep(0.01)


@pytest.mark.slow
def test_it_is_a_process_as_if_started_by_hand(modules, monkeypatch, capfd):
    monkeypatch.setenv("COLOUR", "blue")
    assert Subcommand("says", ["3", "x y"]).wait() == 3
    assert capfd.readouterr().out == "['3', 'x y'] blue True True\n"


def test_none_knows_of_another(modules, monkeypatch, capfd):
    """Its random numbers are its own, and so are output and environment, which may change in between."""
    draws = []
    for colour in ("blue", "red"):
        monkeypatch.setenv("COLOUR", colour)
        assert Subcommand("says", ["0"]).wait() == 0
        said = capfd.readouterr()
        assert said.out == f"['0'] {colour} True True\n"
        draws.append(float(said.err))
    assert draws[0] != draws[1]


def test_a_module_that_is_not_there(modules, capfd):
    assert Subcommand("nowhere", []).wait() == 1
    assert "nowhere" in capfd.readouterr().err


def test_a_kill_is_a_negative_exit_code(modules):
    command = Subcommand("waits", [])
    wait_for(modules / "begun")
    os.kill(command.pid, signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL


def test_ctrl_c_is_passed_on_and_waited_for(modules):
    command = Subcommand("waits", [])
    wait_for(modules / "begun")
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            command.wait()
    finally:
        signal.signal(signal.SIGINT, deaf)
    assert command.wait() == 130
