"""Records sorted by machine, file and shape."""

from dataclasses import replace
from pathlib import Path

import pytest
from bench_records import OTHER_MACHINE, measured

from device_bench.grouping import library, load, machines, speed_up
from device_bench.records import append
from edgepress.core.errors import EdgepressError

FIRST = measured("fp32", 20.0)


def test_machines_are_kept_apart() -> None:
    here, there = machines([FIRST, replace(FIRST, environment=OTHER_MACHINE)])
    assert (here.title, there.title) == (
        "cpu, Test CPU, 2 cores, Linux 6",
        "cpu, Other CPU, 8 cores, Linux 6",
    )
    assert len(here.records) == len(there.records) == 1


def test_newest_of_a_shape_stays() -> None:
    late = replace(FIRST, taken_at="2026-02", load_ms=7.0)
    (machine,) = machines([late, replace(FIRST, taken_at="2026-01"), measured("fp32", 5.0, 16)])
    (series,) = machine.series
    assert [record.load_ms for record in series.records] == [7.0, 100.0]


def test_new_version_of_a_runtime_continues_the_series() -> None:
    (machine,) = machines([FIRST, replace(FIRST, runtime="onnxruntime 1.40.0")])
    assert [record.runtime for record in machine.records] == ["onnxruntime 1.40.0"]


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ("onnxruntime 1.31.1", "onnxruntime"),
        ("torchscript, torch 2.13.0+cpu", "torchscript, torch"),
        ("coremltools 9.0 interpreted in numpy", "coremltools interpreted in numpy"),
    ],
)
def test_library_is_the_runtime_without_versions(runtime: str, expected: str) -> None:
    assert library(runtime) == expected


def test_labels_say_no_more_than_it_takes() -> None:
    found = [FIRST, replace(FIRST, threads=2), measured("int8", 5.0), replace(FIRST, runtime="openvino 2026")]
    (machine,) = machines(found)
    labels = [series.label for series in machine.series]
    assert labels == [
        "fp32, onnxruntime, 1 thr.",
        "fp32, onnxruntime, 2 thr.",
        "int8",
        "fp32, openvino, 1 thr.",
    ]


def test_speed_up_within_one_run_only() -> None:
    fast = measured("int8", 5.0)
    found = speed_up(FIRST, fast)
    assert found is not None
    assert found.value == pytest.approx(4.0)
    assert speed_up(FIRST, replace(fast, run="another")) is None
    assert speed_up(FIRST, measured("int8", 5.0, 16)) is None


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=r"cannot read .*nowhere\.jsonl: No such file"):
        load([tmp_path / "nowhere.jsonl"])


def test_no_records_at_all(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    with pytest.raises(EdgepressError, match="no records in"):
        load([path])


def test_newer_schema(tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    append(path, [replace(FIRST, schema_version=99)])
    with pytest.raises(EdgepressError, match="schema version 99"):
        load([path])
