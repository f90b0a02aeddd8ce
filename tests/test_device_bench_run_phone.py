"""`device_bench run --device phone`, as typed, on an artifact that was exported; against a real adbd."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Result
from phone_stand_in import Phone

from device_bench.phone.device import CoolDown
from device_bench.phone.series import Protocol
from device_bench.records import read

pytestmark = pytest.mark.android

MODULE = "device_bench.run"
FLAGS = ("--device", "phone", "--seq-lens", "4,16")


@pytest.fixture
def artifact(cli: Callable[..., Result], model_folder: Path, data_root: Path, tmp_path: Path) -> Path:
    target = tmp_path / "small-onnx"
    flags = ("--task", "verdicts", "--data", data_root, "--precision", "fp32", "--output", target)
    assert cli("export.onnx", "--model", model_folder, *flags).code == 0
    return target


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same protocol in less time."""
    short = Protocol(warm_up_runs=2, runs=20, min_time_ms=10.0, cool_down=CoolDown(budget_s=0.0))
    monkeypatch.setattr("device_bench.phone.run.Protocol", lambda: short)


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


@pytest.mark.usefixtures("quick")
def test_what_was_measured_is_kept_when_the_cable_is_pulled(
    phone: Phone, cli: Callable[..., Result], artifact: Path, tmp_path: Path
) -> None:
    output = tmp_path / "records.jsonl"
    phone.write("fault", "kills adbd 1")
    done = cli(MODULE, "--artifacts", artifact, *FLAGS, "--no-accuracy", "--output", output)
    assert done.code == 2
    assert done.error.startswith("error: phone 127.0.0.1:15555 is gone")
    assert [len(one.samples_ms) for one in read(output)] == [1, 1]


def test_no_phone(bare: Phone, cli: Callable[..., Result], artifact: Path, tmp_path: Path) -> None:
    bare.adb("disconnect")
    done = cli(MODULE, "--artifacts", artifact, *FLAGS, "--output", tmp_path / "records.jsonl")
    assert (done.code, done.error) == (2, "error: no phone is attached")
