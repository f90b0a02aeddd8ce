"""Records sorted by machine, file and shape."""

from dataclasses import replace
from pathlib import Path

import pytest
from bench_records import OTHER_MACHINE, measured

from device_bench.grouping import library, load, sections, shape, speed_up
from device_bench.records import append
from edgepress.core.errors import EdgepressError

FIRST = measured("fp32", 20.0)


def test_machines_are_kept_apart() -> None:
    here, there = sections([FIRST, replace(FIRST, environment=OTHER_MACHINE)])
    assert (here.title, there.title) == (
        "cpu, Test CPU, 2 cores, Linux 6",
        "cpu, Other CPU, 8 cores, Linux 6",
    )
    assert len(here.records) == len(there.records) == 1


def test_newest_of_a_shape_stays() -> None:
    late = replace(FIRST, taken_at="2026-02", load_ms=7.0)
    (machine,) = sections([late, replace(FIRST, taken_at="2026-01"), measured("fp32", 5.0, 16)])
    (series,) = machine.series
    assert [record.load_ms for record in series.records] == [7.0, 100.0]


def test_new_version_of_a_runtime_continues_the_series() -> None:
    (machine,) = sections([FIRST, replace(FIRST, runtime="onnxruntime 1.40.0")])
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
    (machine,) = sections(found)
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


def test_tasks_are_kept_apart() -> None:
    found = [replace(FIRST, task="sst2"), replace(measured("other", 5.0), task="cola", file_sha256="cd" * 32)]
    assert [own.title for own in sections(found)] == [
        "cpu, Test CPU, 2 cores, Linux 6; sst2",
        "cpu, Test CPU, 2 cores, Linux 6; cola",
    ]


def test_a_file_without_task_goes_where_it_was_measured() -> None:
    bare = replace(measured("bare", 5.0), file_sha256="cd" * 32)
    (section,) = sections([replace(FIRST, task="sst2"), bare])
    assert [own.label for own in section.series] == ["fp32", "bare"]
    again = replace(FIRST, run="later", sequence_length=16)  # the same file, not scored this time
    assert len(sections([replace(FIRST, task="sst2"), again])) == 1


def test_later_records_do_not_move_the_baseline() -> None:
    old = [replace(own, run="old", taken_at="2026-01") for own in (FIRST, measured("int8", 5.0))]
    new = [
        replace(own, run="new", taken_at="2026-02", baseline="int8")
        for own in (measured("int8", 5.0), measured("int4", 4.0))
    ]
    (section,) = sections([*new, *old])
    int8, int4, fp32 = section.series
    assert fp32.is_of(section.baseline)
    ratio = section.speed_up(int8, shape(FIRST))
    assert ratio is not None
    assert ratio.value == pytest.approx(4.0)  # by the run that had both, though a newer one has int8 again
    assert section.speed_up(int4, shape(FIRST)) is None
    changed = [replace(own, file_sha256="cd" * 32) for own in new]
    (section,) = sections([*changed, *old])
    assert section.speed_up(section.series[0], shape(FIRST)) is None  # the old ratio is of another file


def test_a_baseline_may_be_named() -> None:
    found = [FIRST, measured("int8", 5.0)]
    (section,) = sections(found, "int8")
    ratio = section.speed_up(section.series[0], shape(FIRST))
    assert ratio is not None
    assert ratio.value == pytest.approx(0.25)
    with pytest.raises(EdgepressError, match="int9"):
        sections(found, "int9")
