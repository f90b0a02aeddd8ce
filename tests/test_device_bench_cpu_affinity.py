"""Cores that rounds are bound to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import pytest

from device_bench import cpu_affinity as cores
from device_bench.cpu_affinity import CpuAffinity, bind, idlest

OWN = psutil.Process()
pytestmark = pytest.mark.skipif(not hasattr(OWN, "cpu_affinity"), reason="the system binds no process")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def loaded(monkeypatch: pytest.MonkeyPatch, load: list[float]) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda *_, **__: load)


def test_the_idlest_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, [90.0, 3.0, 50.0, 0.0])
    usable = [0, 1, 2, 3].copy
    assert set(idlest(2, usable)) == {1, 3}
    assert idlest(3, usable)[2] == 2
    assert 0 not in idlest(3, usable)


def test_all_that_are_alike_may_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, [2.0, 100.0, 0.0])
    usable = [0, 1, 2].copy
    assert set(idlest(1, usable)) == {0, 2}
    assert {CpuAffinity(1, usable).draw() for _ in range(100)} == {(0,), (2,)}


def test_cores_that_this_process_may_not_use_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, [0.0, 0.0, 99.0, 50.0])
    assert idlest(1, [2, 3].copy) == [3]


@pytest.mark.parametrize("usable", [[], [0], [0, 1]])
def test_nothing_to_choose(monkeypatch: pytest.MonkeyPatch, usable: list[int]) -> None:
    loaded(monkeypatch, [0.0, 0.0])
    assert CpuAffinity(2, usable.copy).draw() == ()
    assert CpuAffinity(2, usable.copy).undisturbed() == ()


@dataclass
class Machine:
    """A machine of three cores with given loops of arithmetic."""

    loops_s: dict[int, float] = field(default_factory=lambda: dict.fromkeys(range(3), 1.0))

    def cores(self, count: int) -> CpuAffinity:
        return CpuAffinity(count, [0, 1, 2].copy, lambda core: self.loops_s[core])


def test_a_core_is_kept_while_it_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, [0.0] * 3)
    machine = Machine()
    own = machine.cores(1)
    drawn = own.draw()
    assert own.undisturbed() == drawn
    machine.loops_s = {core: 1.05 if (core,) == drawn else 1.0 for core in range(3)}
    assert own.undisturbed() == drawn


def test_a_core_is_left_while_it_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, [0.0, 0.0, 99.0])
    machine = Machine()
    own = machine.cores(1)
    (drawn,) = own.draw()
    own.undisturbed()
    machine.loops_s = {drawn: 1.7, 1 - drawn: 1.0, 2: 1.0}
    assert own.undisturbed() == (1 - drawn,)  # not the third, which this machine itself keeps busy
    machine.loops_s = {drawn: 1.7, 1 - drawn: 1.8, 2: 1.0}
    assert own.undisturbed() == (drawn,)


def test_of_several_cores_the_slow_one_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, [0.0] * 3)
    machine = Machine()
    own = machine.cores(2)
    first, second = own.draw()
    (third,) = {0, 1, 2} - {first, second}
    own.undisturbed()
    machine.loops_s = {first: 1.7, second: 1.0, third: 1.0}
    assert own.undisturbed() == tuple(sorted((second, third)))


def test_looking_at_cores_leaves_this_process_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    before = OWN.cpu_affinity()
    own = CpuAffinity(1)
    own.draw()
    monkeypatch.setattr(cores, "SLOW", 0.0)  # so that it looks at all of them
    own.undisturbed()
    assert OWN.cpu_affinity() == before


def test_a_process_is_bound(child: subprocess.Popen[bytes]) -> None:
    last = OWN.cpu_affinity()[-1]
    bind(child.pid, (last,))
    assert psutil.Process(child.pid).cpu_affinity() == [last]


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere a process is bound as a whole")
def test_threads_are_moved_with_their_process() -> None:
    code = (
        "import threading; threading.Thread(target=input, daemon=False).start(); print(flush=True); input()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = OWN.cpu_affinity()[0]
        bind(process.pid, (first,))
        threads = [thread.id for thread in psutil.Process(process.pid).threads()]
        assert [os.sched_getaffinity(thread) for thread in threads] == [{first}] * 2
        process.kill()


def test_a_process_is_left_free(child: subprocess.Popen[bytes]) -> None:
    bind(child.pid, ())
    assert psutil.Process(child.pid).cpu_affinity() == OWN.cpu_affinity()


def test_a_process_that_is_gone_is_no_error(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    bind(child.pid, (OWN.cpu_affinity()[0],))
