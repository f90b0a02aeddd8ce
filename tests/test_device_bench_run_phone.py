"""`device_bench run --device phone`, as typed, on an artifact that was exported; against a real adbd."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Result
from phone_stand_in import Phone

from device_bench.phone import run as phone_run
from device_bench.phone.device import CoolDown
from device_bench.phone.grouping import Protocol
from device_bench.records import read

pytestmark = pytest.mark.android

MODULE = "device_bench.run"
FLAGS = ("--device", "phone", "--sequence-lengths", "4", "16")


@pytest.fixture
def artifact(cli: Callable[..., Result], model_folder: Path, data_root: Path, tmp_path: Path) -> Path:
    target = tmp_path / "small-onnx"
    flags = ("--task", "verdicts", "--data", data_root, "--scheme", "fp32", "--output", target)
    assert cli("export.onnx", "--model", model_folder, *flags).code == 0
    return target


SHORT = Protocol(warm_up_runs=2, runs=20, min_time_ms=10.0, cool_down=CoolDown(budget_s=0.0))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same protocol in less time."""
    monkeypatch.setattr(phone_run, "Protocol", lambda: SHORT)


@pytest.mark.usefixtures("quick")
def test_measured_scored_and_kept(
    phone: Phone, cli: Callable[..., Result], artifact: Path, data_root: Path, tmp_path: Path
) -> None:
    output = tmp_path / "records.jsonl"
    done = cli(MODULE, "--artifacts", artifact, *FLAGS, "--data", data_root, "--output", output)
    assert done.code == 0, done.err
    records = read(output)
    assert [one.sequence_length for one in records] == [4, 16]
    for one in records:
        assert (one.device, one.artifact, one.precision, one.task) == (
            "phone",
            "small-onnx",
            "fp32",
            "verdicts",
        )
        assert one.score == 1.0  # it was trained until it had them all
        assert one.scored_rows == len((data_root / "verdicts" / "validation.jsonl").read_text().splitlines())
        assert one.state["emulated"] is True
        assert one.environment["phone"] == "Edgepress Stand-in"
    assert "emulated device: its times are not a phone's" in done.err.replace("\n", " ")


@contextmanager
def hanging(phone: Phone, flags: list[object]) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own, in its second case; killed at the end of the block."""
    phone.write("fault", "hang 1-0-1")
    program = f"import runpy, {__name__} as own; own.phone_run.Protocol = lambda: own.SHORT; "
    program += f"runpy.run_module('{MODULE}', run_name='__main__')"
    child = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, flags)],
        env=phone.environment,
        cwd=Path(__file__).parent,
        stderr=subprocess.DEVNULL,  # its adb outlives it
    )
    until = time.monotonic() + 60
    while not (phone.state / "hanging").exists() and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield child
    finally:
        child.kill()
        assert child.wait(timeout=60) == -signal.SIGKILL
        phone.write("fault", "")


@pytest.mark.usefixtures("quick")
def test_a_killed_run_continues(
    phone: Phone, cli: Callable[..., Result], artifact: Path, data_root: Path, tmp_path: Path
) -> None:
    before, output = phone.changes, tmp_path / "records.jsonl"
    flags = ["--artifacts", artifact, *FLAGS, "--passes", 2, "--data", data_root, "--output", output]
    with hanging(phone, flags):
        first = read(output)
    assert [(one.kind, one.sequence_length) for one in first] == [("latency", 4)]
    assert phone.changes != before

    done = cli(MODULE, *flags)
    assert done.code == 0, done.err
    assert phone.changes == before
    found = read(output)
    assert found[:1] == first
    assert [(one.kind, one.sequence_length) for one in found[1:]] == [("latency", 16), ("pass", 0)]
    assert {one.score for one in found} == {1.0}
    assert found[-1].rows == found[-1].scored_rows

    launched = sum("am instrument" in line for line in phone.calls)
    assert "not repeated" in cli(MODULE, *flags).err
    assert sum("am instrument" in line for line in phone.calls) == launched


@pytest.mark.usefixtures("quick")
def test_a_second_command_leaves_the_phone_alone_while_the_first_lives(
    phone: Phone, cli: Callable[..., Result], artifact: Path, tmp_path: Path
) -> None:
    flags = ["--artifacts", artifact, *FLAGS, "--no-accuracy", "--output", tmp_path / "records.jsonl"]
    before = phone.changes
    with hanging(phone, flags) as first:
        changed, calls = phone.changes, phone.calls
        refused = cli(MODULE, *flags)
        where = f"phone {phone.serials[0]} already (process {first.pid})"
        assert (refused.code, refused.error) == (2, f"error: another measurement runs on {where}")
        assert "wait for it or end it" in refused.err
        assert (phone.changes, phone.calls) == (changed, calls)

    assert cli(MODULE, *flags).code == 0
    assert phone.changes == before


@pytest.mark.usefixtures("quick")
def test_another_phone_has_everything_to_measure(
    phone: Phone, cli: Callable[..., Result], artifact: Path, tmp_path: Path
) -> None:
    output = tmp_path / "records.jsonl"
    flags = ("--artifacts", artifact, *FLAGS, "--no-accuracy", "--output", output)
    assert cli(MODULE, *flags).code == 0
    phone.write("properties", phone.read("properties").replace("[Stand-in]", "[Another]") + "\n")
    assert cli(MODULE, *flags).code == 0
    measured = [one.environment["phone"] for one in read(output)]
    assert measured == ["Edgepress Stand-in"] * 2 + ["Edgepress Another"] * 2


@pytest.mark.usefixtures("quick")
def test_what_was_measured_is_kept_when_the_cable_is_pulled(
    phone: Phone, cli: Callable[..., Result], artifact: Path, tmp_path: Path
) -> None:
    output = tmp_path / "records.jsonl"
    phone.write("fault", "kills adbd 1-0-1")
    done = cli(MODULE, "--artifacts", artifact, *FLAGS, "--no-accuracy", "--output", output)
    assert done.code == 2
    assert done.error.startswith("error: phone 127.0.0.1:15555 is gone")
    assert [(one.sequence_length, len(one.samples_ms)) for one in read(output)] == [(4, 3)]


def test_no_phone(bare: Phone, cli: Callable[..., Result], artifact: Path, tmp_path: Path) -> None:
    bare.adb("disconnect")
    done = cli(MODULE, "--artifacts", artifact, *FLAGS, "--output", tmp_path / "records.jsonl")
    assert (done.code, done.error) == (2, "error: no phone is attached")
