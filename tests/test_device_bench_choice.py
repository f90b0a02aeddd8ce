"""Which file to ship, from files whose costs are known."""

from dataclasses import replace

import pytest
from bench_records import measured

from device_bench.choice import RatedFile, Recommendation
from device_bench.grouping import speed_up

FP32 = measured("fp32", 20.0)


def rated(
    name: str, milliseconds: float, megabytes: float, loss: float = 0.0, timed: bool = True
) -> RatedFile:
    record = replace(measured(name, milliseconds), size_bytes=int(megabytes * 1e6), runtime_bytes=50_000_000)
    found = RatedFile(name, record.size_bytes, loss <= 1, loss, "[0.0, 2.0]")
    if not timed:
        return found
    ratio = None if name == "fp32" else speed_up(FP32, record)
    return replace(found, record=record, latency_ms=milliseconds, speed_up=ratio)


WHOLE = rated("fp32", 20.0, 90)
FAST, SMALL, LOSSY = rated("int8", 8.0, 23, 0.5), rated("int4", 25.0, 15, 0.9), rated("int2", 4.0, 9, 7.0)


def choice(*files: RatedFile, **more: object) -> Recommendation:
    return Recommendation(files, "fp32", "1 point of accuracy", "Test CPU", **more)


def test_the_fastest_within_the_limit_is_chosen_and_the_smallest_named() -> None:
    own = choice(WHOLE, FAST, SMALL, LOSSY)
    assert (own.chosen, own.fastest, own.smallest) == (FAST, FAST, SMALL)
    assert own.sentence() == (
        "Ship int8: of 4 files the fastest that loses at most 1 point of accuracy on Test CPU (8 ms at 128 "
        "tokens, 2.50x [2.50, 2.50] as fast as fp32, 23 MB, loses 0.50 points [0.0, 2.0]); it takes 50 MB of "
        "runtime on disk, 200 MB of memory and 112 ms to start. The smallest is int4: 25 ms at 128 tokens, "
        "0.80x [0.80, 0.80] as fast as fp32, 15 MB, loses 0.90 points [0.0, 2.0]."
    )


def test_the_smallest_is_chosen_where_size_is_sought() -> None:
    own = choice(WHOLE, FAST, SMALL, minimize="size")
    assert own.chosen == SMALL
    assert "the smallest that" in own.sentence()
    assert "The fastest is int8: 8 ms" in own.sentence()


@pytest.mark.parametrize("slower", [rated("int8", 20.5, 23), rated("int8", 200.0, 23)])
def test_a_file_slower_than_the_unquantized_one_is_never_the_fastest(slower: RatedFile) -> None:
    own = choice(WHOLE, slower)
    assert own.chosen == WHOLE
    assert own.sentence().startswith("Ship fp32: of 2 files the fastest that")


def test_one_file_may_be_both() -> None:
    assert "of 2 files the fastest and smallest that" in choice(WHOLE, FAST).sentence()


def test_size_decides_where_latency_cannot() -> None:
    why = "the latency on arm64 cannot be measured on this Test CPU"
    own = choice(WHOLE, FAST, SMALL, unmeasured=why)
    assert own.chosen == SMALL
    assert own.sentence().endswith(f". Size decides: {why}.")
    untimed = choice(*(rated(name, 1.0, size, timed=False) for name, size in (("fp32", 90), ("int8", 23))))
    assert untimed.chosen is not None
    assert untimed.chosen.label == "int8"
    assert "ms" not in untimed.sentence()


def test_nothing_within_the_limit_is_said() -> None:
    own = choice(LOSSY)
    assert own.chosen is None
    assert own.sentence() == "None of 1 files loses at most 1 point of accuracy."


def test_what_cannot_be_told_apart_is_said() -> None:
    assert FAST.record is not None
    noisy = tuple((8.0 * (0.9 if at % 2 else 1.2),) for at in range(len(FAST.record.samples_ms)))
    other = replace(FAST, label="other", latency_ms=8.4, record=replace(FAST.record, samples_ms=noisy))
    assert choice(WHOLE, FAST, other).as_fast == [other]
    assert "As fast, as far as this measurement can tell: other." in choice(WHOLE, FAST, other).sentence()
    assert choice(WHOLE, FAST, SMALL).as_fast == []
    elsewhere = replace(other, record=replace(other.record, run="another"))
    assert choice(WHOLE, FAST, elsewhere).as_fast == []
