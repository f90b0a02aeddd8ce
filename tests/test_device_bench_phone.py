"""Measuring on a phone, against a real adbd whose app runs the real files; and every way it can go wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import SENTENCES, interruptible
from phone_stand_in import Phone, use

from device_bench.phone import adb
from device_bench.phone import run as phone_run
from device_bench.phone.adb import PhoneGoneError, open_phone
from device_bench.phone.device import EMULATED_WARNING, CoolDown
from device_bench.phone.grouping import Protocol
from device_bench.phone.prepare import JOURNAL
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
def folder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained classifier as an ONNX file, with its tokenizer beside it."""
    from transformers import BertForSequenceClassification

    from export.onnx import export

    target = tmp_path_factory.mktemp("phone-models") / "small-bert"
    shutil.copytree(model_folder, target)
    export(BertForSequenceClassification.from_pretrained(model_folder).eval(), target / "model.onnx")
    return target


@pytest.fixture(scope="module")
def targets(folder: Path) -> list[Target]:
    from export.core.scheme import CPU_TARGETS, Options
    from export.onnx_graph.schemes import SCHEMES

    smaller = folder / "model_quantized.onnx"
    SCHEMES["int8-dynamic"].quantize(folder / "model.onnx", smaller, Options(CPU_TARGETS["avx2"]))
    return [Target("fp32", folder / "model.onnx"), Target("int8", smaller)]


@pytest.fixture
def broken(tmp_path: Path, targets: list[Target]) -> Target:
    path = tmp_path / "broken.onnx"
    path.write_bytes(targets[0].path.read_bytes()[:3000])
    return Target("broken", path)


@pytest.fixture
def apk(tmp_path: Path) -> Path:
    """As much of an APK as is looked at on this side: a zip with native code of one ABI."""
    path = tmp_path / "demo.apk"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("lib/arm64-v8a/libonnxruntime.so", b"\x7fELF")
    return path


@pytest.fixture(scope="module")
def measured(
    boot: Callable[..., Phone], targets: list[Target]
) -> Iterator[tuple[Phone, dict[str, str], list[Measurement]]]:
    """One whole measurement: the phone, its state before, and the records."""
    with pytest.MonkeyPatch.context() as patch:
        phone = use(boot(), patch)
        phone.write("installed", "")
        before = phone.changes
        records = measure_on_phone(targets, PLAN, texts_of=lambda _: TEXTS, protocol=PROTOCOL)
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


def test_records_say_which_file(measured, targets: list[Target]) -> None:
    files = {one.name: (one.file, one.file_sha256, one.size_bytes) for one in measured[2]}
    assert files == {one.name: (one.path.name, sha256(one.path), one.path.stat().st_size) for one in targets}


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


def test_score_is_that_of_the_file_on_the_phone(measured, folder: Path, tokenizer) -> None:
    for one in measured[2]:
        with open_runner(folder / one.file) as runner:
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


def test_setting_that_was_not_there_is_deleted_again(phone: Phone, targets: list[Target]) -> None:
    (phone.state / "setting-stay_on_while_plugged_in").unlink()
    before = phone.changes
    measure_on_phone(targets[:1], ONE, protocol=QUICK)
    assert phone.changes == before


def test_app_is_installed_and_taken_away_again(bare: Phone, targets: list[Target], apk: Path) -> None:
    before = bare.changes
    measure_on_phone(targets[:1], ONE, apk=apk, protocol=QUICK)
    assert bare.changes == before
    assert any(line.startswith("pm install") for line in bare.calls)
    assert "pm uninstall org.edgepress.demo" in bare.calls


def test_app_that_was_there_stays(phone: Phone, targets: list[Target], apk: Path) -> None:
    measure_on_phone(targets[:1], ONE, apk=apk, protocol=QUICK)
    assert (phone.state / "installed").exists()


def test_app_that_is_not_there(bare: Phone, targets: list[Target]) -> None:
    before = bare.changes
    with pytest.raises(EdgepressError, match=r"demo app \(org\.edgepress\.demo\) is not on phone") as refused:
        measure_on_phone(targets, ONE, protocol=QUICK)
    assert "--apk" in refused.value.hint
    assert bare.changes == before


def test_phone_of_another_abi(phone: Phone, targets: list[Target]) -> None:
    phone.write("properties", "[ro.product.cpu.abilist]: [armeabi-v7a,armeabi]\n")
    with pytest.raises(EdgepressError, match="runs armeabi-v7a,armeabi; the app is built for arm64-v8a"):
        measure_on_phone(targets, ONE, protocol=QUICK)
    assert not any("am instrument" in line for line in phone.calls)


def test_file_that_is_no_apk(phone: Phone, targets: list[Target], tmp_path: Path) -> None:
    (tmp_path / "demo.apk").write_text("no zip")
    with pytest.raises(EdgepressError, match=r"demo\.apk is no APK"):
        measure_on_phone(targets, ONE, apk=tmp_path / "demo.apk", protocol=QUICK)


def test_phone_that_refuses_the_app(bare: Phone, targets: list[Target], apk: Path) -> None:
    bare.write("install-answer", "Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]\n")
    with pytest.raises(EdgepressError, match="no space left on phone"):
        measure_on_phone(targets, ONE, apk=apk, protocol=QUICK)


def test_no_space_left(phone: Phone, targets: list[Target], tmp_path: Path) -> None:
    before = phone.changes
    large = tmp_path / "large.onnx"
    large.write_bytes(os.urandom(30_000_000))  # the phone has 24 MB
    with pytest.raises(EdgepressError, match="no space left on phone"):
        measure_on_phone([Target("large", large)], ONE, protocol=QUICK)
    assert phone.changes == before


def test_crash_of_one_file_leaves_the_others(
    phone: Phone, targets: list[Target], capsys: pytest.CaptureFixture[str]
) -> None:
    phone.write("fault", "crash -1-1")  # the second file in its second launch
    phone.write("crash-log", "F DEBUG: signal 6 (SIGABRT)\nF DEBUG: Abort message: 'out of memory'\n")
    fp32, int8 = measure_on_phone(targets, ONE, texts_of=lambda _: TEXTS, protocol=PROTOCOL)
    assert (len(fp32.samples_ms), fp32.error) == (3, "")
    assert (int8.samples_ms, int8.error) == ((), "the app crashed: Process crashed.")
    assert int8.score is None
    assert "Abort message: 'out of memory'" in capsys.readouterr().err


def test_file_that_the_app_cannot_open(phone: Phone, targets: list[Target], broken: Target) -> None:
    good, bad = measure_on_phone([targets[0], broken], ONE, protocol=QUICK)
    assert good.samples_ms
    assert bad.error.startswith("the app says: ")
    assert (bad.samples_ms, bad.runtime) == ((), "")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("crash", "no file could be measured: the app crashed: Process crashed"),
        ("silent", "no file could be measured: the app's result cannot be read: no 'schema_version'"),
        ("no result", "no file could be measured: the app left no result"),
        ("missing", "has no bench entry"),
    ],
)
def test_app_that_fails(phone: Phone, targets: list[Target], fault: str, message: str) -> None:
    before = phone.changes
    phone.write("fault", fault)
    with pytest.raises(EdgepressError, match=message) as failed:
        measure_on_phone(targets, ONE, protocol=QUICK)
    assert "\n" not in str(failed.value)
    assert phone.changes == before


def test_runs_while_it_heats_are_flagged(phone: Phone, targets: list[Target]) -> None:
    phone.write("fault", "heats")
    (one,) = measure_on_phone(targets[:1], ONE, protocol=QUICK)
    runs = len(one.all_samples_ms)
    assert one.state["hot_runs"] == list(range(runs // 2, runs))
    assert f"thermal status rose during {runs - runs // 2} of {runs} runs" in one.warnings


def test_hot_phone_is_measured_after_the_time_limit(phone: Phone, targets: list[Target]) -> None:
    phone.write("thermalservice", "Thermal Status: 3\n")
    start = time.monotonic()
    (one,) = measure_on_phone(targets[:1], ONE, protocol=QUICK)
    assert time.monotonic() - start > QUICK.cool_down.budget_s
    assert any("launched warm" in line and "thermal status 3" in line for line in one.warnings)


def test_hot_phone_is_waited_for(phone: Phone, targets: list[Target]) -> None:
    phone.write("battery", "  temperature: 450\n")
    cooler = threading.Timer(1.0, phone.write, ("battery", "  temperature: 250\n"))
    cooler.start()
    protocol = replace(QUICK, cool_down=CoolDown(budget_s=60.0, poll_s=0.2))
    (one,) = measure_on_phone(targets[:1], ONE, protocol=protocol)
    assert one.state["launches"][0]["before"]["battery_c"] == 25.0
    assert not any("warm" in line for line in one.warnings)


def test_phone_that_tells_nothing_of_its_state(phone: Phone, targets: list[Target]) -> None:
    for name in ("battery", "thermalservice", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"):
        (phone.state / name).unlink()
    (one,) = measure_on_phone(targets[:1], ONE, protocol=QUICK)
    state = one.state["launches"][0]["after"]
    assert (state["battery_percent"], state["battery_c"], state["thermal_status"]) == (None, None, None)
    assert one.samples_ms


def when(condition: Callable[[], bool], then: Callable[[], object]) -> threading.Thread:
    """Do something the moment that something else holds, at most half a minute from now."""

    def watch() -> None:
        until = time.monotonic() + 30
        while not condition() and time.monotonic() < until:
            time.sleep(0.02)
        then()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_cable_pulled_in_the_middle(
    phone: Phone, targets: list[Target], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = phone.daemon()
    kept: list[Measurement] = []
    # Six launches make a case; the second of the next is under way.
    when(lambda: sum("am instrument" in line for line in phone.calls) == 8, daemon.kill)
    gone_now = pytest.raises(PhoneGoneError, match=r"phone 127\.0\.0\.1:15555 is gone")
    with gone_now as gone, phone_run.exclusive_phone() as own:
        kept.extend(phone_run.measure_on_phone(targets, PLAN, own, protocol=PROTOCOL))
    assert "\n" not in str(gone.value)
    assert [(one.name, one.sequence_length, len(one.samples_ms)) for one in kept] == [
        ("fp32", 4, 3), ("int8", 4, 3)
    ]  # fmt: skip
    said = capsys.readouterr().err
    assert "could not be put back" in said
    assert f"adb -s {phone.serials[0]} shell sh {JOURNAL}" in said


def test_phone_that_stops_answering(
    phone: Phone, targets: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adb, "ALIVE_S", 1.0)
    monkeypatch.setattr("device_bench.phone.app.LAUNCH_S", 3.0)
    phone.write("fault", "hang")
    daemon = phone.daemon()
    when((phone.state / "hanging").exists, daemon.suspend)
    with pytest.raises(PhoneGoneError, match=r"is gone: no answer in 1 s"):
        measure_on_phone(targets[:1], ONE, protocol=QUICK)


def test_app_that_does_not_end(phone: Phone, targets: list[Target], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_bench.phone.app.LAUNCH_S", 2.0)
    phone.write("fault", "hang")
    with pytest.raises(EdgepressError, match="no end after 2 s"):
        measure_on_phone(targets[:1], ONE, protocol=QUICK)
    assert "am force-stop org.edgepress.demo" in phone.calls


MEASURE = """
import sys
from pathlib import Path
from device_bench.phone import measure_on_phone, exclusive_phone
from device_bench.plan import Plan, Target
file, *apk = map(Path, sys.argv[1:])
with exclusive_phone() as phone:
    list(measure_on_phone([Target("fp32", file)], Plan(vocabulary=100), phone, *apk))
"""


def test_interrupted_measurement_puts_everything_back(phone: Phone, targets: list[Target]) -> None:
    before = phone.changes
    phone.write("fault", "hang")
    child = subprocess.Popen(
        [sys.executable, "-c", MEASURE, str(targets[0].path)],
        env=phone.environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    when((phone.state / "hanging").exists, lambda: child.send_signal(signal.SIGINT))
    _, printed = child.communicate(timeout=60)
    assert printed.strip().endswith("KeyboardInterrupt")
    assert phone.changes == before
    assert "am force-stop org.edgepress.demo" in phone.calls


@pytest.fixture
def killed(bare: Phone, targets: list[Target], apk: Path) -> tuple[Phone, dict[str, str]]:
    """A phone on which a measurement was killed as it ran, and how it was before."""
    before = bare.changes
    bare.write("fault", "hang")
    child = subprocess.Popen(
        [sys.executable, "-c", MEASURE, str(targets[0].path), str(apk)],
        env=bare.environment,
        stderr=subprocess.DEVNULL,  # its adb outlives it
    )
    when((bare.state / "hanging").exists, child.kill).join()
    assert child.wait(timeout=60) == -signal.SIGKILL
    bare.write("fault", "")
    return bare, before


def test_killed_measurement_is_put_back_by_the_next(
    killed: tuple[Phone, dict[str, str]], targets: list[Target], apk: Path, capsys
) -> None:
    phone, before = killed
    left = phone.changes
    assert {name for name in before if before[name] != left.get(name)} == {
        "setting-stay_on_while_plugged_in", "idle-light", "wakefulness", "/data/local/tmp"
    }  # fmt: skip
    assert "installed" in left
    measure_on_phone(targets[:1], ONE, apk=apk, protocol=QUICK)
    assert "an earlier measurement ended before" in capsys.readouterr().err
    assert phone.changes == before
    assert phone.calls.count("pm uninstall org.edgepress.demo") == 2


def test_killed_measurement_can_be_put_back_by_hand(killed: tuple[Phone, dict[str, str]]) -> None:
    phone, before = killed
    phone.adb("-s", phone.serials[0], "shell", "sh", JOURNAL)
    assert phone.changes == before


def test_phone_that_is_measured_is_left_alone(phone: Phone, targets: list[Target]) -> None:
    with phone_run.exclusive_phone() as own:
        measurement = phone_run.measure_on_phone(targets[:1], PLAN, own, protocol=QUICK)
        next(measurement)
        changed, calls = phone.changes, phone.calls
        with pytest.raises(EdgepressError, match=rf"already \(process {os.getpid()}\)"):
            measure_on_phone(targets[:1], ONE, protocol=QUICK)
        assert (phone.changes, phone.calls) == (changed, calls)
        assert len(list(measurement)) == 1


def test_another_phone_is_measured_meanwhile(
    boot: Callable[..., Phone], targets: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = use(boot(15555, 15556), monkeypatch)
    with phone_run.exclusive_phone(both.serials[0]), phone_run.exclusive_phone(both.serials[1]) as second:
        assert second.serial == both.serials[1]


@pytest.mark.parametrize(("batch", "paddings"), [(1, ["none"]), (3, ["longest", "sorted"])])
def test_passes_over_texts(
    phone: Phone, targets: list[Target], tokenizer, tmp_path: Path, batch: int, paddings: list[str]
) -> None:
    texts = tmp_path / "texts.npz"
    save(texts, encode(tokenizer, TEXTS.examples.texts, 64))
    rows = {"rows": len(TEXTS.examples.texts)}
    own = [replace(one, texts=texts, known=rows) for one in targets]
    plan = replace(PLAN, sequence_lengths=(), passes=2, batches=(batch,))
    records = measure_on_phone(own, plan, protocol=PROTOCOL)
    assert [(one.kind, one.padding) for one in records] == [
        ("pass", padding) for padding in paddings for _ in own
    ]
    for one in records:
        assert [len(launch) for launch in one.samples_ms] == [1, 1]
        assert (one.rows, one.batch, one.sequence_length) == (rows["rows"], batch, 0)
        assert one.state["logit_difference"] < 1e-4


def test_passes_need_texts(phone: Phone, targets: list[Target]) -> None:
    with pytest.raises(EdgepressError, match="fp32: there are no texts to pass over"):
        measure_on_phone(targets, replace(ONE, passes=2), protocol=QUICK)
    assert not phone.calls


def test_several_phones_need_a_serial(boot: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    both = use(boot(15555, 15556), monkeypatch)
    with pytest.raises(EdgepressError, match="several phones are attached") as refused:
        open_phone()
    assert all(serial in str(refused.value) for serial in both.serials)
    assert "--serial" in refused.value.hint
    assert open_phone(both.serials[1]).shell("echo", "two words").strip() == "two words"
    monkeypatch.setenv("ANDROID_SERIAL", both.serials[0])
    assert open_phone().serial == both.serials[0]


def test_unknown_serial(phone: Phone) -> None:
    with pytest.raises(EdgepressError, match=r"unknown serial '127\.0\.0\.1:15556'") as refused:
        open_phone("127.0.0.1:15556")
    assert phone.serials[0] in refused.value.hint


def test_offline_phone(phone: Phone) -> None:
    phone.adb("disconnect")
    phone.daemon().suspend()
    connecting = subprocess.Popen(["adb", "connect", phone.serials[0]], env=phone.environment)
    try:
        wait_until_listed(phone)
        with pytest.raises(EdgepressError, match=r"is attached and does not answer \(offline\)") as refused:
            open_phone()
    finally:
        connecting.kill()
        connecting.wait()
    assert "adb reconnect" in refused.value.hint


def wait_until_listed(phone: Phone) -> None:
    until = time.monotonic() + 10
    while "127.0.0.1" not in phone.adb("devices") and time.monotonic() < until:
        time.sleep(0.05)


def test_phone_that_waits_for_its_owner(phone: Phone) -> None:
    phone.adb("disconnect")
    waiting = phone.beside("unauthorized.py", 15557)
    try:
        until = time.monotonic() + 10
        while "unauthorized" not in phone.adb("devices") and time.monotonic() < until:
            phone.adb("connect", "127.0.0.1:15557")
        with pytest.raises(EdgepressError, match=r"does not allow this computer yet \(unauthorized\)") as no:
            open_phone()
    finally:
        waiting.kill()
        waiting.wait()
    assert "accept 'Allow USB debugging'" in no.value.hint
