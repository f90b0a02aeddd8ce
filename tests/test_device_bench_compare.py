"""`compare`: what changed beyond its interval, by real command lines on records made by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_records import OTHER_MACHINE, measured

from device_bench.records import Measurement, append


def write(path: Path, *found: Measurement) -> Path:
    append(path, found)
    return path


@pytest.fixture
def compare(cli: Callable, tmp_path: Path) -> Callable:
    def run(before: list[Measurement], after: list[Measurement], *flags: object):
        old, new = write(tmp_path / "a.jsonl", *before), write(tmp_path / "b.jsonl", *after)
        return cli("device_bench.compare", old, new, *flags)

    return run


BEFORE = replace(measured("int8", 10.0), score=0.9, scored_rows=1000, metric="accuracy")


def test_same_records_have_not_changed(compare: Callable) -> None:
    found = compare([BEFORE], [BEFORE])
    assert found.code == 0
    assert "nothing changed" in found.out


@pytest.mark.parametrize(
    ("after", "figure", "code"),
    [
        (measured("int8", 12.0), "median [ms]", 1),
        (measured("int8", 8.0), "median [ms]", 0),
        (replace(BEFORE, size_bytes=BEFORE.size_bytes + 10_000), "size [MB]", 1),
        (replace(BEFORE, peak_memory_bytes=2 * BEFORE.peak_memory_bytes), "peak memory", 1),
        (replace(BEFORE, score=0.8), "accuracy [%]", 1),
        (replace(BEFORE, score=0.97), "accuracy [%]", 0),
        (replace(BEFORE, samples_ms=(), error="out of memory"), "failed: out of memory", 1),
    ],
)
def test_change_is_named_and_a_worse_one_fails(
    compare: Callable, after: Measurement, figure: str, code: int
) -> None:
    found = compare([BEFORE], [after])
    assert found.code == code
    assert figure in found.out
    assert ("worse" in found.out) == (code == 1)


@pytest.mark.parametrize(
    "after",
    [
        replace(BEFORE, score=0.89),
        replace(BEFORE, peak_memory_bytes=int(1.01 * BEFORE.peak_memory_bytes)),
        replace(
            BEFORE, samples_ms=tuple((t,) for t in np.random.default_rng(0).normal(10.1, 1.5, 12).tolist())
        ),
    ],
)
def test_change_within_its_interval_is_none(compare: Callable, after: Measurement) -> None:
    assert "nothing changed" in compare([BEFORE], [after]).out


def test_threshold_forgives(compare: Callable) -> None:
    assert compare([BEFORE], [measured("int8", 10.4)], "--threshold", 0.05).code == 0


def test_newest_record_speaks(compare: Callable) -> None:
    late = replace(BEFORE, taken_at="2026-02-01T00:00:00Z")
    early = replace(measured("int8", 30.0), taken_at="2026-01-01T00:00:00Z")
    assert compare([BEFORE], [late, early]).code == 0


def test_partnerless_record_is_told(compare: Callable) -> None:
    found = compare([BEFORE, measured("fp32", 20.0)], [BEFORE])
    assert found.code == 0
    assert "1 records have no partner" in found.err


def test_another_machine_is_not_comparable(compare: Callable) -> None:
    found = compare([BEFORE], [replace(BEFORE, environment=OTHER_MACHINE)])
    assert found.code == 2
    assert "different machines" in found.error


def test_nothing_in_common(compare: Callable) -> None:
    found = compare([BEFORE], [measured("fp32", 10.0)])
    assert found.code == 2
    assert "no file was measured in both" in found.error


def test_negative_threshold_is_refused(compare: Callable) -> None:
    assert compare([BEFORE], [BEFORE], "--threshold", -1).code == 2
