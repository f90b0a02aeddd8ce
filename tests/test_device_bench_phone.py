"""Measuring on a phone, against a real adbd whose app runs the real files; and every way it can go wrong."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import SENTENCES
from phone_stand_in import Phone, use

from device_bench.phone import run as phone_run
from device_bench.phone.device import EMULATED_WARNING, CoolDown
from device_bench.phone.grouping import Protocol
from device_bench.phone.texts import PhoneTexts
from device_bench.plan import Plan, Target
from device_bench.records import Measurement, append, read
from device_bench.texts import save
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256
from edgepress.core.packed_array import unpack
from edgepress.core.pretrained import encode
from edgepress.core.splits import Examples
from edgepress.core.tasks import Task
from export.core.registry import open_runner

pytestmark = pytest.mark.android


def measure_on_phone(targets: list[Target], plan: Plan, **options: object) -> list[Measurement]:
    with phone_run.exclusive_phone() as own:
        return list(phone_run.measure_on_phone(targets, plan, own, **options))


PLAN = Plan(sequence_lengths=(4, 16), vocabulary=100)


PROTOCOL = Protocol(warm_up_runs=2, runs=30, min_time_ms=20.0, cool_down=CoolDown(budget_s=0.3, poll_s=0.1))


TEXTS = PhoneTexts(
    Task("verdicts", ("text",), ("negative", "positive")),
    Examples(
        [(text,) for text, _ in SENTENCES[::4]],
        np.array([int(label == "positive") for _, label in SENTENCES[::4]]),
    ),
)


@pytest.fixture(scope="module")
def measured(
    boot: Callable[..., Phone], phone_targets: list[Target]
) -> Iterator[tuple[Phone, dict[str, str], list[Measurement]]]:
    """One whole measurement: the phone, its state before, and the records."""
    with pytest.MonkeyPatch.context() as patch:
        phone = use(boot(), patch)
        phone.write("installed", "")
        before = phone.changes
        records = measure_on_phone(phone_targets, PLAN, texts_of=lambda _: TEXTS, protocol=PROTOCOL)
        yield phone, before, records


def test_one_record_a_length_and_file(measured) -> None:
    _, _, records = measured
    assert [(one.name, one.sequence_length) for one in records] == [
        ("fp32", 4), ("int8", 4), ("fp32", 16), ("int8", 16)
    ]  # fmt: skip


def test_launches_are_interleaved(measured) -> None:
    phone, _, records = measured
    launched = [line.split("run_id ")[1].split()[0] for line in phone.calls if "am instrument" in line]
    run = records[0].run
    turns = ("10", "00", "01", "11", "12", "02")
    assert launched == [f"{run}-{case}-{place}-{turn}" for case in "01" for place, turn in turns]
    assert {one.run for one in records} == {run}


def test_samples_are_of_three_launches(measured) -> None:
    for one in measured[2]:
        assert [len(launch) >= PROTOCOL.runs for launch in one.samples_ms] == [True] * 3
        assert min(one.all_samples_ms) > 0
        assert (one.device, one.threads, one.batch, one.warm_up_runs) == ("phone", 1, 1, 2)
        assert one.runtime.startswith("onnxruntime ")
        assert one.load_ms > 0 < one.first_forward_ms
        assert one.peak_memory_bytes > 10e6
        assert not one.error


def test_records_say_which_file(measured, phone_targets: list[Target]) -> None:
    files = {one.name: (one.file, one.file_sha256, one.size_bytes) for one in measured[2]}
    assert files == {
        one.name: (one.path.name, sha256(one.path), one.path.stat().st_size) for one in phone_targets
    }


def test_records_say_which_phone(measured) -> None:
    for one in measured[2]:
        found = one.environment
        assert (found["phone"], found["system"]) == ("Edgepress Stand-in", "Android 14 (API 34)")
        assert (found["cpu"], found["machine"], found["abi"]) == ("None SoC 1", "aarch64", "arm64-v8a")
        assert found["cores"] == psutil.cpu_count()
        assert found["memory_bytes"] == pytest.approx(psutil.virtual_memory().total, rel=0.01)


def test_an_emulated_device_is_never_shown_as_a_phone(measured) -> None:
    for one in measured[2]:
        assert one.state["emulated"] is True
        assert EMULATED_WARNING in one.warnings


def test_state_before_and_after_each_launch(measured) -> None:
    for one in measured[2]:
        assert len(one.state["launches"]) == 3
        for launch in one.state["launches"]:
            for state in launch.values():
                assert (state["battery_percent"], state["battery_c"]) == (87, 25.1)
                assert (state["charging"], state["thermal_status"]) == (True, 0)
                assert state["frequencies"] == {
                    "cpu0": {"governor": "schedutil", "cur_freq": "1804800"},
                    "cpu4": {"max_freq": "2841600"},
                }


def test_logits_of_the_phone_are_those_of_this_computer(measured) -> None:
    assert all(one.state["logit_difference"] < 1e-4 for one in measured[2])


def test_score_is_that_of_the_file_on_the_phone(measured, phone_folder: Path, tokenizer) -> None:
    for one in measured[2]:
        with open_runner(phone_folder / one.file) as runner:
            rows = [tokenizer(text, return_tensors="np") for (text,) in TEXTS.examples.texts]
            decided = np.array([runner(dict(row))[0].argmax() for row in rows])
        assert one.score == pytest.approx((decided == TEXTS.examples.labels).mean())
        assert (one.task, one.metric, one.scored_rows) == ("verdicts", "accuracy", len(rows))
        assert unpack(one.outcomes).mean() == one.score
        assert one.score_interval[0] <= one.score <= one.score_interval[1]
        assert len(one.tokenize_ms) == len(rows)
        assert min(one.tokenize_ms) > 0


def test_screen_is_on_and_idle_mode_off_as_it_measures(measured) -> None:
    calls = measured[0].calls
    first, last = (
        min(at for at, line in enumerate(calls) if "am instrument" in line),
        max(at for at, line in enumerate(calls) if "am instrument" in line),
    )
    for wanted in (
        "svc power stayon true",
        "input keyevent KEYCODE_WAKEUP",
        "dumpsys deviceidle disable light",
    ):
        assert calls.index(wanted) < first
    for wanted in ("settings put global stay_on_while_plugged_in 2", "input keyevent KEYCODE_SLEEP"):
        assert calls.index(wanted) > last
    assert "dumpsys deviceidle disable deep" not in calls  # it was off before


def test_everything_is_put_back(measured) -> None:
    phone, before, _ = measured
    assert phone.changes == before


def test_records_can_be_written_down(measured, tmp_path: Path) -> None:
    path = tmp_path / "measurements.jsonl"
    append(path, measured[2])
    found = read(path)
    assert [one.samples_ms for one in found] == [one.samples_ms for one in measured[2]]
    assert [one.state for one in found] == [json.loads(json.dumps(one.state)) for one in measured[2]]


ONE = replace(PLAN, sequence_lengths=(4,))


QUICK = replace(PROTOCOL, launches=1)


def test_setting_that_was_not_there_is_deleted_again(phone: Phone, phone_targets: list[Target]) -> None:
    (phone.state / "setting-stay_on_while_plugged_in").unlink()
    before = phone.changes
    measure_on_phone(phone_targets[:1], ONE, protocol=QUICK)
    assert phone.changes == before


def test_app_is_installed_and_taken_away_again(
    bare: Phone, phone_targets: list[Target], stand_in_apk: Path
) -> None:
    before = bare.changes
    measure_on_phone(phone_targets[:1], ONE, apk=stand_in_apk, protocol=QUICK)
    assert bare.changes == before
    assert any(line.startswith("pm install") for line in bare.calls)
    assert "pm uninstall org.edgepress.demo" in bare.calls


def test_app_that_was_there_stays(phone: Phone, phone_targets: list[Target], stand_in_apk: Path) -> None:
    measure_on_phone(phone_targets[:1], ONE, apk=stand_in_apk, protocol=QUICK)
    assert (phone.state / "installed").exists()


def test_app_that_is_not_there(bare: Phone, phone_targets: list[Target]) -> None:
    before = bare.changes
    with pytest.raises(EdgepressError, match=r"demo app \(org\.edgepress\.demo\) is not on phone") as refused:
        measure_on_phone(phone_targets, ONE, protocol=QUICK)
    assert "--apk" in refused.value.hint
    assert bare.changes == before


def test_phone_of_another_abi(phone: Phone, phone_targets: list[Target]) -> None:
    phone.write("properties", "[ro.product.cpu.abilist]: [armeabi-v7a,armeabi]\n")
    with pytest.raises(EdgepressError, match="runs armeabi-v7a,armeabi; the app is built for arm64-v8a"):
        measure_on_phone(phone_targets, ONE, protocol=QUICK)
    assert not any("am instrument" in line for line in phone.calls)


def test_file_that_is_no_apk(phone: Phone, phone_targets: list[Target], tmp_path: Path) -> None:
    (tmp_path / "demo.apk").write_text("no zip")
    with pytest.raises(EdgepressError, match=r"demo\.apk is no APK"):
        measure_on_phone(phone_targets, ONE, apk=tmp_path / "demo.apk", protocol=QUICK)


def test_phone_that_refuses_the_app(bare: Phone, phone_targets: list[Target], stand_in_apk: Path) -> None:
    bare.write("install-answer", "Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]\n")
    with pytest.raises(EdgepressError, match="no space left on phone"):
        measure_on_phone(phone_targets, ONE, apk=stand_in_apk, protocol=QUICK)


def test_no_space_left(phone: Phone, phone_targets: list[Target], tmp_path: Path) -> None:
    before = phone.changes
    large = tmp_path / "large.onnx"
    large.write_bytes(os.urandom(30_000_000))  # the phone has 24 MB
    with pytest.raises(EdgepressError, match="no space left on phone"):
        measure_on_phone([Target("large", large)], ONE, protocol=QUICK)
    assert phone.changes == before


@pytest.mark.parametrize(("batch", "paddings"), [(1, ["none"]), (3, ["longest", "sorted"])])
def test_passes_over_texts(
    phone: Phone, phone_targets: list[Target], tokenizer, tmp_path: Path, batch: int, paddings: list[str]
) -> None:
    texts = tmp_path / "texts.npz"
    save(texts, encode(tokenizer, TEXTS.examples.texts, 64))
    rows = {"rows": len(TEXTS.examples.texts)}
    own = [replace(one, texts=texts, known=rows) for one in phone_targets]
    plan = replace(PLAN, sequence_lengths=(), passes=2, batches=(batch,))
    records = measure_on_phone(own, plan, protocol=PROTOCOL)
    assert [(one.kind, one.padding) for one in records] == [
        ("pass", padding) for padding in paddings for _ in own
    ]
    for one in records:
        assert [len(launch) for launch in one.samples_ms] == [1, 1]
        assert (one.rows, one.batch, one.sequence_length) == (rows["rows"], batch, 0)
        assert one.state["logit_difference"] < 1e-4


def test_passes_need_texts(phone: Phone, phone_targets: list[Target]) -> None:
    with pytest.raises(EdgepressError, match="fp32: there are no texts to pass over"):
        measure_on_phone(phone_targets, replace(ONE, passes=2), protocol=QUICK)
    assert not phone.calls
