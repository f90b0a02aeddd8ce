"""Files and processes that fail in a measurement: one clear line each, and the others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from test_device_bench_measure import EASY, ENDLESS, PLAN, own_processes

from device_bench.measure import measure, measure_each
from device_bench.plan import Case, Target
from device_bench.process import Process
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256


def test_no_process_is_left(onnx_file: Path) -> None:
    before = set(own_processes())
    measure([Target("fp32", onnx_file)], replace(ENDLESS, budget_s=0.1))
    assert set(own_processes()) == before


def broken(onnx_file: Path, target: Path) -> Path:
    target.write_bytes(onnx_file.read_bytes()[:5000])
    return target


def test_broken_file_is_refused(onnx_file: Path, tmp_path: Path) -> None:
    targets = [Target("fp32", onnx_file), Target("bad", broken(onnx_file, tmp_path / "bad.onnx"))]
    with pytest.raises(EdgepressError, match=r"measuring bad\.onnx failed: .* cannot open it") as refused:
        measure(targets, PLAN)
    assert "\n" not in str(refused.value)


def test_no_process_is_left_of_a_broken_file(onnx_file: Path, tmp_path: Path) -> None:
    before = set(own_processes())
    with pytest.raises(EdgepressError) as refused:
        measure([Target("bad", broken(onnx_file, tmp_path / "bad.onnx"))], PLAN)
    assert "bad.onnx" in str(refused.value)
    assert set(own_processes()) == before


@pytest.mark.parametrize("name", ["nowhere.onnx", "model.tflite"])
def test_file_that_cannot_be_opened(name: str, tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=f"measuring {name} failed"):
        measure([Target("x", tmp_path / name)], PLAN)


def test_sequence_longer_than_the_model_takes(onnx_file: Path) -> None:
    with pytest.raises(EdgepressError, match=r"measuring model\.onnx failed: .*64 by 128") as refused:
        measure([Target("fp32", onnx_file)], replace(PLAN, sequence_lengths=(128,)))
    assert "\n" not in str(refused.value)


def kill_one(before: set[psutil.Process]) -> Callable[[float], None]:
    """Kill the first process that the measurement started, once, and wait until it is gone."""
    killed: list[psutil.Process] = []

    def kill(_: float) -> None:
        if not killed:
            killed.append(next(child for child in own_processes() if child not in before))
            killed[0].kill()
            killed[0].wait()

    return kill


@pytest.mark.slow
def test_killed_process_is_one_clear_line(onnx_file: Path) -> None:
    targets = [Target("fp32", onnx_file), Target("again", onnx_file)]
    with pytest.raises(EdgepressError, match=r"measuring model\.onnx failed"):
        measure(targets, EASY, kill_one(set(own_processes())))


def test_process_killed_while_it_runs(onnx_file: Path) -> None:
    before = set(own_processes())
    process = Process(Target("fp32", onnx_file), PLAN)
    (child,) = set(own_processes()) - before
    try:
        child.suspend()
        kill_later(child)
        with pytest.raises(EdgepressError, match=r"measuring model\.onnx failed: its process was killed"):
            process.run(Case(1, 4), 3)
    finally:
        process.close()


def kill_later(child: psutil.Process) -> None:
    """Kill a stopped process once it has a request to answer."""
    threading.Timer(0.3, child.kill).start()


def test_what_fails_has_a_record_that_says_so_and_the_others_go_on(onnx_file: Path, tmp_path: Path) -> None:
    bad = broken(onnx_file, tmp_path / "bad.onnx")
    targets = [Target("bad", bad, known={"artifact": "x"}), Target("fp32", onnx_file)]
    found = list(measure_each(targets, PLAN, run="r"))
    assert [(one.name, one.sequence_length, bool(one.error)) for one in found] == [
        ("bad", 4, True),
        ("fp32", 4, False),
        ("bad", 16, True),
        ("fp32", 16, False),
    ]
    assert "cannot open it" in found[0].error
    assert (found[0].samples_ms, found[0].artifact, found[0].file_sha256) == ((), "x", sha256(bad))
    assert {one.run for one in found} == {"r"}


def test_a_process_that_died_is_started_again_at_the_next_shape(onnx_file: Path) -> None:
    plan = replace(ENDLESS, sequence_lengths=(4, 128, 16))  # the model takes 64 tokens at most
    found = list(measure_each([Target("fp32", onnx_file)], plan))
    assert {one.sequence_length: bool(one.error) for one in found} == {4: False, 128: True, 16: False}


@pytest.mark.slow
def test_the_others_keep_their_rounds_when_one_is_killed(onnx_file: Path) -> None:
    targets = [Target("fp32", onnx_file), Target("again", onnx_file)]
    first, second = measure_each(targets, EASY, kill_one(set(own_processes())))
    assert "was killed" in first.error
    assert not second.error
    assert len(second.samples_ms) > 1
