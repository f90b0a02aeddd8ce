"""`compare`: what changed beyond its interval, by real command lines on records made by hand."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_records import MACHINE, OTHER_MACHINE, measured

from device_bench.losses import NO_OUTCOMES, OTHER_TEXTS, loss
from device_bench.records import Measurement, append
from edgepress.core.intervals import tango, wilson
from edgepress.core.packed_array import pack


def write(path: Path, *found: Measurement) -> Path:
    append(path, found)
    return path


@pytest.fixture
def compare(cli: Callable, tmp_path: Path) -> Callable:
    def run(before: list[Measurement], after: list[Measurement], *flags: object):
        for name in ("a.jsonl", "b.jsonl"):
            (tmp_path / name).unlink(missing_ok=True)
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
        (replace(BEFORE, samples_ms=measured("int8", 12.0).samples_ms), "median [ms]", 1),
        (replace(BEFORE, samples_ms=measured("int8", 8.0).samples_ms), "median [ms]", 0),
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
    slower = replace(BEFORE, samples_ms=measured("int8", 10.4).samples_ms)
    assert compare([BEFORE], [slower]).code == 1
    assert compare([BEFORE], [slower], "--threshold", 0.05).code == 0


def test_a_size_differs_by_names_in_the_file(compare: Callable) -> None:
    assert compare([BEFORE], [replace(BEFORE, size_bytes=BEFORE.size_bytes + 2)]).code == 0


def test_a_threshold_of_times_forgives_no_score(compare: Callable) -> None:
    """Points that may be lost are a flag of their own; table, lines and exit code say the same."""
    before, after = map(scored, lossy(60, 2))
    found = compare([before], [after], "--threshold", 0.3)
    assert (found.code, found.error) == (1, "error: 1 figure became worse")
    assert "loses 6.65 points" in found.out
    assert "; worse" in found.out
    allowed = compare([before], [after], "--max-drop", 7)
    assert (allowed.code, "worse" in allowed.out) == (0, False)
    assert "; within --max-drop 7" in allowed.out
    better = compare([after], [before], "--max-drop", 7)
    assert (better.code, "better" in better.out) == (0, True)


def test_worse_times_of_a_busy_machine_are_uncertain(compare: Callable) -> None:
    slower = replace(BEFORE, samples_ms=measured("int8", 20).samples_ms)
    assert "uncertain" not in compare([BEFORE], [slower]).err
    busy = replace(slower, waited=tuple(0.4 for _ in slower.samples_ms))
    found = compare([BEFORE], [busy])
    assert (found.code, "measure again before you trust them" in found.err) == (1, True)
    lost = replace(busy, samples_ms=BEFORE.samples_ms, size_bytes=2 * BEFORE.size_bytes)
    assert "before you trust them" not in compare([BEFORE], [lost]).err


def test_newest_record_speaks(compare: Callable) -> None:
    late = replace(BEFORE, taken_at="2026-02-01T00:00:00Z")
    early = replace(measured("int8", 30.0), taken_at="2026-01-01T00:00:00Z")
    assert compare([BEFORE], [late, early]).code == 0


@pytest.mark.parametrize(
    "lost", [measured("fp32", 20.0), measured("int8", 20.0, length=64)], ids=["file", "shape"]
)
def test_what_was_not_measured_again_fails(compare: Callable, lost: Measurement) -> None:
    found = compare([BEFORE, lost], [BEFORE])
    assert (found.code, found.error) == (1, "error: 1 figure is missing in the second measurement")
    assert f"{lost.name}, batch 1, {lost.sequence_length} tokens" in found.out
    assert "--allow-missing" in found.err
    allowed = compare([BEFORE, lost], [BEFORE], "--allow-missing")
    assert (allowed.code, "missing" in allowed.out) == (0, True)


def test_score_that_was_not_measured_again_fails(compare: Callable) -> None:
    found = compare([BEFORE], [measured("int8", 10.0)])
    assert found.code == 1
    assert "accuracy" in found.out
    assert compare([BEFORE], [measured("int8", 10.0)], "--allow-missing").code == 0


def test_allowing_what_is_missing_allows_nothing_worse(compare: Callable) -> None:
    found = compare([BEFORE, measured("fp32", 20.0)], [replace(BEFORE, score=0.8)], "--allow-missing")
    assert (found.code, found.error) == (1, "error: 1 figure became worse")


def test_failure_that_was_not_tried_again_is_told(compare: Callable) -> None:
    failed = replace(measured("fp32", 1.0), samples_ms=(), error="out of memory")
    assert compare([BEFORE, failed], [BEFORE]).code == 0


def test_new_record_is_told(compare: Callable) -> None:
    found = compare([BEFORE], [BEFORE, measured("fp32", 20.0)])
    assert found.code == 0
    assert "1 record of the second has no partner" in found.err


def test_records_of_another_machine_are_not_missed(compare: Callable) -> None:
    found = compare([BEFORE, replace(BEFORE, environment=OTHER_MACHINE)], [BEFORE])
    assert found.code == 0
    assert "1 record of the first is of a machine that the second was not taken on" in found.err


def test_memory_noise_is_what_it_is_said_to_be(compare: Callable) -> None:
    after = replace(BEFORE, peak_memory_bytes=int(1.2 * BEFORE.peak_memory_bytes))
    assert compare([BEFORE], [after]).code == 1
    assert compare([BEFORE], [after], "--memory-noise", 0.25).code == 0
    assert compare([BEFORE], [after], "--memory-noise", 1).code == 2


def test_another_machine_is_not_comparable(compare: Callable) -> None:
    found = compare([BEFORE], [replace(BEFORE, environment=OTHER_MACHINE)])
    assert found.code == 2
    assert "different machines" in found.error


def test_nothing_in_common(compare: Callable) -> None:
    found = compare([BEFORE], [measured("fp32", 10.0)])
    assert found.code == 2
    assert "no file was measured in both" in found.error
    for name in ("int8 (int8.onnx, onnxruntime", "fp32 (fp32.onnx, onnxruntime", "paired by artifact"):
        assert name in found.err


def test_negative_threshold_is_refused(compare: Callable) -> None:
    assert compare([BEFORE], [BEFORE], "--threshold", -1).code == 2


def test_a_threshold_is_a_share(compare: Callable) -> None:
    found = compare([BEFORE], [BEFORE], "--threshold", 5)
    assert (found.code, "--threshold 0.05 is 5 %" in found.err) == (2, True)


FEW_TEXTS = replace(BEFORE, score=0.90, score_interval=(0.80, 0.95), scored_rows=60)


def test_intervals_that_overlap_may_be_of_a_clear_difference(compare: Callable) -> None:
    after = replace(FEW_TEXTS, score=0.72, score_interval=(0.59, 0.82))
    found = compare([FEW_TEXTS], [after])
    assert (found.code, "accuracy [%]" in found.out) == (1, True)


def test_what_the_records_cannot_show_is_told(compare: Callable) -> None:
    after = replace(FEW_TEXTS, score=0.85, score_interval=(0.74, 0.92))
    found = compare([FEW_TEXTS], [after], "--max-drop", 5)
    assert found.code == 0
    assert "cannot show whether 1 of 1 figures keep to what is allowed: accuracy [%] of int8" in found.err
    assert "--eval-samples" in found.err
    assert "may be" in compare([FEW_TEXTS], [after]).err
    assert "cannot show" not in compare([BEFORE], [BEFORE], "--threshold", 0.1).err


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.9), (0.9, 0.8), (0.98, 0.99)])
def test_difference_of_shares_is_newcombes(before: float, after: float) -> None:
    old, new = (replace(BEFORE, score=share, scored_rows=100) for share in (before, after))
    found = loss(old, new)
    expected = newcombe(round(100 * before), round(100 * after), 100)
    assert (found.bounds.low, found.bounds.high) == pytest.approx(expected, abs=1e-9)
    assert found.unpaired == NO_OUTCOMES


def scored(right: np.ndarray, **more: object) -> Measurement:
    """A record of a file that has these texts right."""
    count, share = len(right), float(right.mean())
    interval = tuple(wilson(int(right.sum()), count).recorded)
    known = {"texts_sha256": "ef" * 32, "outcomes": pack(right), **more}
    return replace(BEFORE, score=share, score_interval=interval, scored_rows=count, **known)


def lossy(lost: int, won: int, count: int = 872) -> tuple[np.ndarray, np.ndarray]:
    """Texts that each of two files has right, of which so many are lost and won."""
    before = np.arange(count) >= count // 10
    after = before.copy()
    after[-lost:] = False
    after[:won] = True
    return before, after


def test_a_loss_on_the_same_texts_is_paired(compare: Callable) -> None:
    before, after = lossy(12, 2)
    own, bounds = loss(scored(before), scored(after)), tango(12, 2, 872)
    assert (own.bounds, own.unpaired) == (bounds, "")
    found = compare([scored(before)], [scored(after)])
    said = f"loses 1.15 points {bounds.percent()} on the same 872 texts; worse"
    assert (found.code, found.error) == (1, "error: 1 figure became worse")
    assert f"accuracy of int8: 90.02 % -> 88.88 %, {said}" in " ".join(found.out.split())
    assert "-1.15 points" in found.out


@pytest.mark.parametrize(
    ("older", "newer", "why"),
    [
        ({}, {"texts_sha256": "cd" * 32}, OTHER_TEXTS),
        ({"outcomes": ""}, {}, NO_OUTCOMES),
        ({"texts_sha256": ""}, {"texts_sha256": ""}, NO_OUTCOMES),
        ({"outcomes": pack(np.ones(5, bool))}, {}, NO_OUTCOMES),
        (
            {"outcomes": pack(np.ones((872, 2), bool))},
            {"outcomes": pack(np.ones((872, 2), bool))},
            NO_OUTCOMES,
        ),
    ],
)
def test_a_loss_that_cannot_be_paired_says_so(compare: Callable, older: dict, newer: dict, why: str) -> None:
    before, after = lossy(12, 2)
    found = compare([scored(before, **older)], [scored(after, **newer)])
    assert (found.code, "nothing changed" in found.out) == (0, True)
    assert f"loses 1.15 points [-1.7, 4.0], unpaired: {why}; within chance" in " ".join(found.out.split())


def test_a_score_has_one_line_for_all_shapes(compare: Callable) -> None:
    before, after = lossy(1, 1)
    old, new = ([scored(right, sequence_length=n) for n in (16, 128)] for right in (before, after))
    found = compare(old, new)
    assert (found.code, found.out.count("loses 0.00 points")) == (0, 1)
    assert "accuracy [%] of int8 may be 0.54 points worse" in " ".join(found.err.split())


def test_scores_differ_by_points_and_ratios_by_percent(compare: Callable) -> None:
    old = scored(lossy(1, 1)[0])
    slower = replace(old, samples_ms=tuple(tuple(2 * own for own in part) for part in old.samples_ms))
    found = compare([old], [slower])
    assert "+100.0 %" in found.out
    said = " ".join((found.out + found.err).split())
    assert "accuracy [%] of int8 may be 0.44 points worse" in said
    assert "loses 0.00 points [-0.4, 0.4] on" in said
    assert not re.search(r"\d%", said)


def test_a_score_at_all_shapes_is_worse_once(compare: Callable) -> None:
    old = [scored(lossy(1, 1)[0], sequence_length=n) for n in (16, 128)]
    worse = compare(old, [scored(lossy(30, 1)[1], sequence_length=n) for n in (16, 128)])
    assert (worse.code, worse.error) == (1, "error: 1 figure became worse")


def test_scores_of_other_machines_are_paired_too(compare: Callable) -> None:
    before, after = lossy(12, 2)
    outcomes = [{"score": float(own.mean()), "outcomes": pack(own)} for own in (before, after)]
    old, new = (
        pair_of(10.0, machine, scored_rows=872, metric="accuracy", texts_sha256="ef" * 32, **own)
        for machine, own in zip((MACHINE, OTHER_MACHINE), outcomes, strict=True)
    )
    found = compare(old, new, "--ratios")
    assert (found.code, "on the same 872 texts; worse" in " ".join(found.out.split())) == (1, True)


def test_outcomes_that_are_damaged_are_one_line(compare: Callable) -> None:
    found = compare([scored(np.ones(9, bool), outcomes="bool 9 !")], [BEFORE])
    assert (found.code, "line 1: no record: it cannot be unpacked" in found.err) == (2, True)


def newcombe(first: int, second: int, count: int) -> tuple[float, float]:
    """The interval of first / count - second / count, by method 10 as it is printed."""
    (low_1, high_1), (low_2, high_2) = (wilson(right, count).recorded for right in (first, second))
    gap = (first - second) / count
    return (
        gap - ((first / count - low_1) ** 2 + (high_2 - second / count) ** 2) ** 0.5,
        gap + ((high_1 - first / count) ** 2 + (second / count - low_2) ** 2) ** 0.5,
    )


def test_other_cpus_of_ratios_are_named(compare: Callable) -> None:
    found = compare(pair_of(10.0), pair_of(10.0, OTHER_MACHINE), "--ratios")
    assert "the first was measured on Test CPU, the second on Other CPU" in found.err


def pair_of(int8_ms: float, environment: dict = MACHINE, **int8: object) -> list[Measurement]:
    """A baseline of 20 ms and its int8 file, of one run on one machine."""
    found = [measured("fp32", 20.0), replace(measured("int8", int8_ms), **int8)]
    return [replace(own, environment=environment, baseline="fp32") for own in found]


def test_refusal_of_another_machine_names_the_ratios(compare: Callable) -> None:
    found = compare(pair_of(10.0), pair_of(10.0, OTHER_MACHINE))
    assert (found.code, "--ratios" in found.err) == (2, True)


@pytest.mark.parametrize(("int8_ms", "code"), [(10.0, 0), (12.0, 1), (8.0, 0)])
def test_ratios_are_compared_across_machines(compare: Callable, int8_ms: float, code: int) -> None:
    slow = [replace(own, samples_ms=tuple((3 * t,) for t, *_ in own.samples_ms)) for own in pair_of(int8_ms)]
    found = compare(pair_of(10.0), [replace(own, environment=OTHER_MACHINE) for own in slow], "--ratios")
    assert found.code == code
    assert ("speed-up over fp32" in found.out) == (int8_ms != 10.0)


def test_ratios_judge_size_and_score_as_well(compare: Callable) -> None:
    found = compare(pair_of(10.0), pair_of(10.0, OTHER_MACHINE, size_bytes=30_000_000), "--ratios")
    assert (found.code, "size [MB]" in found.out) == (1, True)


def test_ratio_that_was_not_measured_again_is_missing(compare: Callable) -> None:
    found = compare([*pair_of(10.0), measured("int4", 9.0)], pair_of(10.0, OTHER_MACHINE), "--ratios")
    assert found.error == "error: 1 figure is missing in the second measurement"


def test_another_baseline_is_refused_or_named(compare: Callable) -> None:
    other = [replace(own, baseline="int8") for own in pair_of(10.0, OTHER_MACHINE)]
    refused = compare(pair_of(10.0), other, "--ratios")
    assert (refused.code, "--baseline" in refused.err) == (2, True)
    assert compare(pair_of(10.0), other, "--ratios", "--baseline", "fp32").code == 0
    unknown = compare(pair_of(10.0), other, "--ratios", "--baseline", "fp23")
    assert (unknown.code, "fp32" in unknown.err) == (2, True)


def test_a_baseline_needs_ratios(compare: Callable) -> None:
    assert compare(pair_of(10.0), pair_of(10.0), "--baseline", "fp32").code == 2


def test_what_makes_ratios_differ_is_warned_of(compare: Callable) -> None:
    native = {**OTHER_MACHINE, "flags": ["avx512_vnni"]}
    after = [replace(own, file_sha256="cd" * 32) for own in pair_of(10.0, native)]
    found = compare(pair_of(10.0), after, "--ratios")
    assert "only one of Test CPU and Other CPU multiplies int8 natively" in found.err
    assert "fp32, which speed-ups are over, is not the same file in both" in found.err


def test_records_without_a_baseline_have_no_ratios(compare: Callable) -> None:
    found = compare([measured("int8", 10.0)], [measured("int8", 10.0)], "--ratios")
    assert (found.code, "no file was measured in turn with a baseline" in found.error) == (2, True)


def test_what_is_no_file_of_records_says_which_are(cli: Callable, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", BEFORE)
    (tmp_path / "tickets.csv").write_text("text,label\nx,1\n")
    found = cli("device_bench.compare", tmp_path / "a.jsonl", tmp_path / "tickets.csv")
    assert (found.code, "no record" in found.err) == (2, True)
    assert "name a file that device_bench run or compress.quantize wrote" in " ".join(found.err.split())
