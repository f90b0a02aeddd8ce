"""Cores that launches are bound to."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from device_bench import cores
from device_bench.cores import bind, idlest

OWN = psutil.Process()
pytestmark = pytest.mark.skipif(not hasattr(OWN, "cpu_affinity"), reason="the system binds no process")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def loaded(monkeypatch: pytest.MonkeyPatch, usable: list[int], load: list[float]) -> None:
    monkeypatch.setattr(cores, "_usable", lambda: list(usable))
    monkeypatch.setattr(psutil, "cpu_percent", lambda *_, **__: load)


def test_the_idlest_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, [0, 1, 2, 3], [90.0, 3.0, 50.0, 0.0])
    assert idlest(2) == (1, 3)
    assert idlest(3) == (1, 2, 3)


def test_among_alike_cores_each_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, [0, 1, 2], [2.0, 100.0, 0.0])
    assert {idlest(1) for _ in range(100)} == {(0,), (2,)}


def test_cores_that_this_process_may_not_use_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, [2, 3], [0.0, 0.0, 99.0, 50.0])
    assert idlest(1) == (3,)


@pytest.mark.parametrize("usable", [[], [0], [0, 1]])
def test_nothing_to_choose(monkeypatch: pytest.MonkeyPatch, usable: list[int]) -> None:
    loaded(monkeypatch, usable, [0.0, 0.0])
    assert idlest(2) == ()


def test_a_process_is_bound(child: subprocess.Popen[bytes]) -> None:
    last = OWN.cpu_affinity()[-1]
    bind(child.pid, (last,))
    assert psutil.Process(child.pid).cpu_affinity() == [last]


def test_a_process_is_left_free(child: subprocess.Popen[bytes]) -> None:
    bind(child.pid, ())
    assert psutil.Process(child.pid).cpu_affinity() == OWN.cpu_affinity()


def test_a_process_that_is_gone_is_no_error(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    bind(child.pid, (OWN.cpu_affinity()[0],))
