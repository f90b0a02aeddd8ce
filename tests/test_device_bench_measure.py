"""Interleaved measurement: with real processes on a small file, and with scripted ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import psutil
import pytest

from device_bench.cpu import make_batch
from device_bench.cpu_affinity import idlest
from device_bench.energy import counter
from device_bench.measure import measure, measure_each
from device_bench.plan import Case, Plan, Target
from device_bench.process import Process
from device_bench.records import Measurement
from device_bench.session import FEWEST_LAUNCHES
from device_bench.texts import load, pass_batches, save
from edgepress.core.files import sha256

PLAN = Plan(sequence_lengths=(4, 16), vocabulary=100, block_ms=1.0, budget_s=1.0, launches=3, min_time_s=0.0)


# A target that no machine reaches: the budget alone ends it.
ENDLESS = replace(PLAN, sequence_lengths=(4,), target_half_width=0.0, launches=1, rounds=2, min_runs=1)


# One that any reaches.
EASY = replace(ENDLESS, target_half_width=1e9, budget_s=3600.0)


@pytest.fixture(scope="module")
def smaller_file(onnx_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from export.core.scheme import CPU_TARGETS, Options
    from export.onnx_graph.schemes import SCHEMES

    target = tmp_path_factory.mktemp("measure") / "model_quantized.onnx"
    SCHEMES["int8-dynamic"].quantize(onnx_file, target, Options(CPU_TARGETS["avx2"]))
    return target


@pytest.fixture(scope="module")
def progress() -> list[float]:
    """What the run below reported while it went on."""
    return []


@pytest.fixture(scope="module")
def records(onnx_file: Path, smaller_file: Path, progress: list[float]) -> list[Measurement]:
    targets = [Target("fp32", onnx_file), Target("int8", smaller_file)]
    return measure(targets, PLAN, progress.append)


def test_files_of_a_round_are_bound_to_the_same_cores(records: list[Measurement]) -> None:
    fp32, int8 = ([one.cores for one in record.launches] for record in (records[0], records[2]))
    assert fp32 == int8
    fewest = PLAN.threads if idlest(PLAN.threads) else 0
    assert all(len(cores) >= fewest for cores in fp32)


def own_processes() -> list[psutil.Process]:
    """Processes that measure; one from which other tests' commands are forked may be there too."""
    return [
        one for one in psutil.Process().children() if any("device_bench" in word for word in one.cmdline())
    ]


class Scripted(Process):
    """What a measurement starts in place of a process, so that it decides by given times, at once."""

    started: ClassVar[list[Scripted]] = []
    asked: ClassVar[list[tuple[str, int]]] = []
    """File and sequence length of each run, over all launches."""

    def __init__(self, target: Target, plan: Plan, cores: Sequence[int] = ()) -> None:  # noqa: ARG002
        self.target, self.peak_memory_bytes, self.waited = target, 1, None
        self.loaded = {"runtime": "scripted", "load_ms": 1.0, "first_forward_ms": 1.0}
        self.started.append(self)
        self.launch = sum(own.target is target for own in self.started)

    def run(self, case: Case, runs: int) -> list[float]:
        self.asked.append((self.target.name, case.sequence_length))
        return [self.sample_ms(case)] * runs

    def sample_ms(self, case: Case) -> float:  # noqa: ARG002
        """Of each run [ms]."""
        return 1.0

    def bind(self, cores: Sequence[int]) -> None:
        """Nothing is to be bound."""

    def close(self) -> None:
        """Nothing is to be ended."""


@pytest.fixture
def scripted() -> type[Scripted]:
    Scripted.started.clear()
    Scripted.asked.clear()
    return Scripted


def test_one_record_a_file_and_length(records: list[Measurement]) -> None:
    found = [(one.name, one.sequence_length) for one in records]
    assert found == [("fp32", 4), ("fp32", 16), ("int8", 4), ("int8", 16)]


def test_rounds_are_equal_across_files(records: list[Measurement]) -> None:
    for length in PLAN.sequence_lengths:
        rounds = {len(one.samples_ms) for one in records if one.sequence_length == length}
        assert len(rounds) == 1
        assert rounds.pop() >= PLAN.launches * PLAN.rounds / 2


def test_launches_are_equal_across_files_and_have_all_rounds(records: list[Measurement]) -> None:
    for length in PLAN.sequence_lengths:
        own = [one for one in records if one.sequence_length == length]
        first, second = ([launch.rounds for launch in one.launches] for one in own)
        assert first == second
        assert len(first) >= PLAN.launches
        assert all(sum(launch.rounds for launch in one.launches) == len(one.samples_ms) for one in own)


def test_enough_samples_and_none_is_zero(records: list[Measurement]) -> None:
    for one in records:
        assert len(one.all_samples_ms) >= 30
        assert min(one.all_samples_ms) > 0
        for rounds in one.launches_ms:
            assert {len(samples) for samples in rounds} == {len(rounds[0])}


def test_records_say_which_file(records: list[Measurement], onnx_file: Path, smaller_file: Path) -> None:
    files = {one.name: (one.file, one.file_sha256, one.size_bytes) for one in records}
    assert files == {
        "fp32": (onnx_file.name, sha256(onnx_file), onnx_file.stat().st_size),
        "int8": (smaller_file.name, sha256(smaller_file), smaller_file.stat().st_size),
    }


def test_records_say_how(records: list[Measurement]) -> None:
    for one in records:
        assert (one.device, one.threads, one.batch, one.kind) == ("cpu", 1, 1, "latency")
        assert one.warm_up_runs >= len(one.launches) * (1 + 3)
        assert one.load_ms == np.median([launch.load_ms for launch in one.launches])
        assert one.run == records[0].run
        assert one.taken_at.startswith("20")
        assert one.runtime.startswith("onnxruntime ")
        assert one.load_ms > 0 < one.first_forward_ms
        assert one.environment["cpu"]


def test_peak_memory_holds_at_least_the_interpreter(records: list[Measurement]) -> None:
    assert min(one.peak_memory_bytes for one in records) > 10e6


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_process_does_not_load_torch(onnx_file: Path) -> None:
    before = set(own_processes())
    process = Process(Target("fp32", onnx_file), PLAN)
    try:
        (child,) = set(own_processes()) - before
        libraries = {Path(entry.path).name for entry in child.memory_maps()}
    finally:
        process.close()
    assert any("onnxruntime" in name for name in libraries)
    assert not any("torch" in name for name in libraries)


def test_progress_rises_to_at_most_one(records: list[Measurement], progress: list[float]) -> None:
    rounds = {one.sequence_length: len(one.samples_ms) for one in records if one.name == "fp32"}
    assert len(progress) == sum(rounds.values())
    assert progress == sorted(progress)
    assert 0 < progress[0] <= progress[-1] <= 1


def test_the_budget_ends_what_does_not_settle(onnx_file: Path, scripted: type[Scripted]) -> None:
    class Rising(scripted):
        def sample_ms(self, case: Case) -> float:  # noqa: ARG002
            return float(self.launch)

    plan = replace(ENDLESS, budget_s=0.05)
    (record,) = measure([Target("fp32", onnx_file)], plan, start_process=Rising)
    assert not record.settled
    assert record.warnings == ("median not within 0 %",)


@pytest.mark.parametrize(("least", "expected"), [(1, FEWEST_LAUNCHES), (4, 4)])
def test_what_settles_at_once_stops_at_the_least_launches(
    onnx_file: Path, scripted: type[Scripted], least: int, expected: int
) -> None:
    plan = replace(EASY, launches=least)
    (record,) = measure([Target("fp32", onnx_file)], plan, start_process=scripted)
    assert [launch.rounds for launch in record.launches] == [EASY.rounds] * expected
    assert (record.settled, record.warnings) == (True, ())


def test_the_least_launches_are_taken_whatever_the_budget(onnx_file: Path, scripted: type[Scripted]) -> None:
    plan = replace(ENDLESS, launches=2, budget_s=1e-9)
    (record,) = measure([Target("fp32", onnx_file)], plan, start_process=scripted)
    assert len(record.launches) == 2
    assert not record.settled


def test_each_launch_is_a_process_of_its_own(onnx_file: Path) -> None:
    seen: set[int] = set()

    def note(_: float) -> None:
        seen.update(child.pid for child in own_processes())

    (record,) = measure([Target("fp32", onnx_file)], EASY, note)
    assert len(seen) == len(record.launches) == FEWEST_LAUNCHES
    assert len({launch.load_ms for launch in record.launches}) == FEWEST_LAUNCHES


def test_a_slow_shape_has_fewer_runs_a_round() -> None:
    plan = Plan(block_ms=40.0, long_block_ms=1000.0)
    assert [plan.runs_a_round(ms) for ms in (2.0, 20.0, 400.0, 600.0, 5000.0)] == [20, 3, 2, 1, 1]


def test_what_has_its_launches_is_kept_when_the_user_interrupts(
    onnx_file: Path, scripted: type[Scripted]
) -> None:
    def interrupt(_: float) -> None:
        if len(scripted.started) == 3:  # the third launch
            raise KeyboardInterrupt

    plan = replace(ENDLESS, sequence_lengths=(4, 16), launches=2, budget_s=3600.0)
    source = measure_each([Target("fp32", onnx_file)], plan, interrupt, start_process=scripted)
    found = [next(source), next(source)]
    with pytest.raises(KeyboardInterrupt):
        next(source)
    assert [(one.sequence_length, len(one.launches), one.settled) for one in found] == [
        (4, 2, False),
        (16, 2, False),
    ]


def test_what_lacks_launches_is_not_kept_when_the_user_interrupts(onnx_file: Path) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(measure_each([Target("fp32", onnx_file)], ENDLESS, interrupt))
    assert not own_processes()


def test_files_take_turns_in_coming_first(onnx_file: Path, scripted: type[Scripted]) -> None:
    targets = [Target("a", onnx_file), Target("b", onnx_file)]
    measure(targets, replace(EASY, rounds=4), start_process=scripted)
    order = [name for name, _ in scripted.asked]
    assert order[-8:] in (list("abbaabba"), list("baabbaab"))
    opened = [name for name, before in zip(order, ["", *order], strict=False) if name != before]
    assert opened[0] == "a"


def test_files_take_turns_in_coming_first_at_each_shape(onnx_file: Path, scripted: type[Scripted]) -> None:
    targets = [Target("a", onnx_file), Target("b", onnx_file)]
    plan = replace(EASY, sequence_lengths=(4, 16), rounds=4)
    found = measure(targets, plan, start_process=scripted)
    for length in (4, 16):
        rounds = next(one for one in found if one.sequence_length == length).launches[-1].rounds
        order = "".join(name for name, own in scripted.asked if own == length)[-2 * rounds :]
        assert order in ("abba" * rounds)[: 2 * rounds] + "|" + ("baab" * rounds)[: 2 * rounds]


def test_shapes_take_turns_and_none_goes_on_once_it_has_enough(
    onnx_file: Path, scripted: type[Scripted]
) -> None:
    plan = replace(EASY, sequence_lengths=(4, 64), launches=FEWEST_LAUNCHES, rounds=6)
    found = measure([Target("fp32", onnx_file)], plan, start_process=scripted)
    assert [record.launches[-1].rounds for record in found] == [plan.rounds] * 2
    assert [length for _, length in scripted.asked][-2 * plan.rounds :] == [4, 64] * plan.rounds


def test_what_is_known_least_has_more_launches_once_all_have_the_least(
    onnx_file: Path, scripted: type[Scripted]
) -> None:
    class Uneven(scripted):
        """Each launch's median is another, at 16 tokens much more so."""

        def sample_ms(self, case: Case) -> float:
            spread = 7.0 if case.sequence_length == 16 else 0.1
            return 1.0 + spread * (self.launch % 2)

    plan = replace(ENDLESS, sequence_lengths=(4, 16), launches=2, budget_s=2.0)
    even, uneven = measure([Target("fp32", onnx_file)], plan, start_process=Uneven)
    assert len(uneven.launches) > len(even.launches) >= plan.launches


@pytest.mark.parametrize(
    ("vocabulary", "low", "high"), [(30_000, 1000, 20_000), (20_000, 0, 100), (178, 0, 100), (7, 0, 7)]
)
def test_ids_lie_in_the_vocabulary(vocabulary: int, low: int, high: int) -> None:
    batch = make_batch(4, 512, vocabulary)
    assert low <= batch["input_ids"].min() <= batch["input_ids"].max() < high
    assert {values.shape for values in batch.values()} == {(4, 512)}
    assert {values.dtype.name for values in batch.values()} == {"int64"}
    assert batch["attention_mask"].all()
    assert not batch["token_type_ids"].any()


def test_cases_that_are_done_are_left_out() -> None:
    plan = replace(PLAN, batches=(2,), passes=1)
    assert [case.padding for case in plan.cases if case.kind == "pass"] == ["longest", "sorted"]
    left = replace(plan, done=frozenset({Case(2, 4), Case(2, kind="pass", padding="sorted")}))
    assert left.cases == [Case(2, 16), Case(2, kind="pass", padding="longest")]


def test_a_pass_goes_over_all_texts(onnx_file: Path, tmp_path: Path) -> None:
    rows = [make_batch(1, length, 100) for length in (9, 3, 5, 4, 7)]
    save(tmp_path / "texts.npz", rows)
    plan = replace(PLAN, sequence_lengths=(), batches=(2,), passes=2)
    (longest, in_order) = measure_each(
        [Target("a", onnx_file, "", tmp_path / "texts.npz", {"rows": 5})], plan
    )
    for record, padding in ((longest, "longest"), (in_order, "sorted")):
        assert (record.kind, record.padding, record.rows, record.batch) == ("pass", padding, 5, 2)
        assert [[len(samples) for samples in rounds] for rounds in record.launches_ms] == [[1], [1]]


def test_texts_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    rows = [make_batch(1, length, 100) for length in (9, 3, 5)]
    save(tmp_path / "texts.npz", rows)
    found = load(tmp_path / "texts.npz")
    assert all((a[name] == b[name]).all() for a, b in zip(rows, found, strict=True) for name in a)
    shapes = [batch["input_ids"].shape for batch in pass_batches(found, 2, "sorted")]
    assert shapes == [(2, 5), (1, 9)]
    padded = pass_batches(found, 2, "longest")[0]
    assert padded["attention_mask"].sum(axis=1).tolist() == [9, 3]


def test_energy_is_what_the_counters_say_between_two_readings(tmp_path: Path) -> None:
    for package, value in ((0, 900), (1, 100)):
        folder = tmp_path / f"intel-rapl:{package}"
        folder.mkdir()
        (folder / "max_energy_range_uj").write_text("1000\n")
        (folder / "energy_uj").write_text(f"{value}\n")
    (tmp_path / "intel-rapl:0:0").mkdir()  # the cores alone, which the package has counted
    read = counter(root=tmp_path)
    assert read is not None
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("50\n")  # it wrapped around
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("200\n")
    assert read() == pytest.approx(250e-6)
    assert read() == 0


def test_no_counter_where_there_is_none(tmp_path: Path) -> None:
    assert counter(root=tmp_path) is None
