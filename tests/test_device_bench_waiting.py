"""A busy machine: how waiting for a core is measured, recorded and said wherever latencies decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bench_records import measured

from compress.shrink.config import ShrinkConfig
from compress.shrink.verdict import uncertain
from device_bench.choice import RatedFile, Recommendation
from device_bench.cpu import share_without_core
from device_bench.measure import measure, measure_shown
from device_bench.plan import Case, Plan, Target
from device_bench.process import Process
from device_bench.records import append, read
from device_bench.run.report import show
from device_bench.waiting import busy_machine, share_waited

BUSY = replace(measured("int8", 10.0), waited=(0.05, 0.4, 0.6))
IDLE = replace(BUSY, waited=(0.0, 0.01, 0.9))
SAID = "the machine was busy: runs waited for a core 40 % of their time"
PLAN = Plan(
    (4,), vocabulary=100, block_ms=1.0, launches=1, rounds=2, min_runs=1, min_time_s=0.0, budget_s=0.1
)


def clock(*seconds: float) -> Callable[[], float]:
    """A clock that shows these times, one after another."""
    return iter(seconds).__next__


@pytest.mark.parametrize(
    ("cpu_s", "share"), [(2.0, 0.0), (1.5, 0.25), (0.0, 1.0), (2.1, 0.0)], ids=["idle", "busy", "all", "more"]
)
def test_share_is_what_the_cpu_time_lacks_of_the_wall_clock(cpu_s: float, share: float) -> None:
    found = share_without_core(lambda: [1.0], clock(10.0, 12.0), clock(3.0, 3.0 + cpu_s))
    assert found == ([1.0], pytest.approx(share))


class Waiting(Process):
    """A process that waits for a core half of the time."""

    share: float | None = 0.5

    def __init__(self, target: Target, plan: Plan, cores: Sequence[int] = ()) -> None:  # noqa: ARG002
        self.target, self.peak_memory_bytes, self.waited = target, 1, self.share
        self.loaded = {"runtime": "scripted", "load_ms": 1.0, "first_forward_ms": 1.0}

    def run(self, case: Case, runs: int) -> list[float]:  # noqa: ARG002
        return [1.0] * runs

    def bind(self, cores: Sequence[int]) -> None:
        """Stay where it is."""

    def close(self) -> None:
        """End nothing."""


class Unwatched(Waiting):
    """A process that does not know how long it waited."""

    share = None


def test_each_round_has_its_share(onnx_file: Path) -> None:
    (record,) = measure([Target("fp32", onnx_file)], PLAN, start_process=Waiting)
    assert record.waited == (0.5,) * len(record.samples_ms)
    assert share_waited(record) == 0.5


def test_what_is_not_known_is_not_recorded(onnx_file: Path) -> None:
    (record,) = measure([Target("fp32", onnx_file)], PLAN, start_process=Unwatched)
    assert (record.waited, share_waited(record), busy_machine([record])) == ((), 0.0, "")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_real_process_watches_one_thread(onnx_file: Path, threads: int) -> None:
    (record,) = measure([Target("fp32", onnx_file)], replace(PLAN, threads=threads))
    assert len(record.waited) == (len(record.samples_ms) if threads == 1 else 0)
    assert all(0 <= share <= 1 for share in record.waited)


def test_a_shown_measurement_warns(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("device_bench.measure.measure", lambda *_, **__: [BUSY])
    assert measure_shown([Target("int8", onnx_file)], PLAN) == [BUSY]
    assert SAID in flat(capfd.readouterr().err)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_records_keep_it(tmp_path: Path) -> None:
    append(tmp_path / "a.jsonl", [BUSY])
    assert read(tmp_path / "a.jsonl") == [BUSY]


def test_tables_say_it(capfd: pytest.CaptureFixture[str]) -> None:
    show([IDLE])
    assert "busy" not in capfd.readouterr().err
    show([IDLE, BUSY])
    assert SAID in flat(capfd.readouterr().err)


@pytest.mark.parametrize(("minimize", "what"), [("latency", "The choice is"), ("size", "Latencies are")])
def test_a_verdict_is_marked(minimize, what: str) -> None:
    def sentence(record) -> str:
        file = RatedFile("int8", 1, True, record=record, latency_ms=10.0)
        return Recommendation([file], "fp32", "1 point", "a CPU", minimize).sentence()

    assert f"{what} uncertain: {SAID}" in sentence(BUSY)
    assert "uncertain" not in sentence(IDLE)


@pytest.mark.parametrize(
    ("limits", "what"),
    [({}, "Latencies are"), ({"minimize": "latency"}, "The choice is"), ({"max_ms": 5.0}, "The choice is")],
)
def test_what_shrink_chose_is_marked(limits, what: str) -> None:
    config = ShrinkConfig(model="m", max_drop=1.0, **limits)
    assert f"{what} uncertain: {SAID}" in uncertain([IDLE, BUSY], config)
    assert uncertain([IDLE], config) == ""


def test_compare_names_the_busy_measurement(cli: Callable, tmp_path: Path) -> None:
    append(tmp_path / "a.jsonl", [IDLE])
    append(tmp_path / "b.jsonl", [BUSY])
    found = cli("device_bench.compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert found.code == 0
    assert f"times of the second are uncertain: {SAID}" in flat(found.err)
    assert "the first are" not in found.err
