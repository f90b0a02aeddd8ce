"""A phone that goes wrong as it is measured: one clear line, the other files go on, all is put back."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import interruptible
from phone_stand_in import Phone, use
from test_device_bench_phone import ONE, PLAN, PROTOCOL, QUICK, TEXTS, measure_on_phone

from device_bench.phone import adb
from device_bench.phone import run as phone_run
from device_bench.phone.adb import PhoneGoneError, open_phone
from device_bench.phone.device import CoolDown
from device_bench.phone.prepare import JOURNAL
from device_bench.plan import Target
from device_bench.records import Measurement
from edgepress.core.errors import EdgepressError

pytestmark = pytest.mark.android


def test_crash_of_one_file_leaves_the_others(
    phone: Phone, phone_targets: list[Target], capsys: pytest.CaptureFixture[str]
) -> None:
    phone.write("fault", "crash -1-1")  # the second file in its second launch
    phone.write("crash-log", "F DEBUG: signal 6 (SIGABRT)\nF DEBUG: Abort message: 'out of memory'\n")
    fp32, int8 = measure_on_phone(phone_targets, ONE, texts_of=lambda _: TEXTS, protocol=PROTOCOL)
    assert (len(fp32.samples_ms), fp32.error) == (3, "")
    assert (int8.samples_ms, int8.error) == ((), "the app crashed: Process crashed.")
    assert int8.score is None
    assert "Abort message: 'out of memory'" in capsys.readouterr().err


def test_file_that_the_app_cannot_open(
    phone: Phone, phone_targets: list[Target], broken_target: Target
) -> None:
    good, bad = measure_on_phone([phone_targets[0], broken_target], ONE, protocol=QUICK)
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
def test_app_that_fails(phone: Phone, phone_targets: list[Target], fault: str, message: str) -> None:
    before = phone.changes
    phone.write("fault", fault)
    with pytest.raises(EdgepressError, match=message) as failed:
        measure_on_phone(phone_targets, ONE, protocol=QUICK)
    assert "\n" not in str(failed.value)
    assert phone.changes == before


def test_runs_while_it_heats_are_flagged(phone: Phone, phone_targets: list[Target]) -> None:
    phone.write("fault", "heats")
    (one,) = measure_on_phone(phone_targets[:1], ONE, protocol=QUICK)
    runs = len(one.all_samples_ms)
    assert one.state["hot_runs"] == list(range(runs // 2, runs))
    assert f"thermal status rose during {runs - runs // 2} of {runs} runs" in one.warnings


def test_hot_phone_is_measured_after_the_time_limit(phone: Phone, phone_targets: list[Target]) -> None:
    phone.write("thermalservice", "Thermal Status: 3\n")
    start = time.monotonic()
    (one,) = measure_on_phone(phone_targets[:1], ONE, protocol=QUICK)
    assert time.monotonic() - start > QUICK.cool_down.budget_s
    assert any("launched warm" in line and "thermal status 3" in line for line in one.warnings)


def test_hot_phone_is_waited_for(phone: Phone, phone_targets: list[Target]) -> None:
    phone.write("battery", "  temperature: 450\n")
    cooler = threading.Timer(1.0, phone.write, ("battery", "  temperature: 250\n"))
    cooler.start()
    protocol = replace(QUICK, cool_down=CoolDown(budget_s=60.0, poll_s=0.2))
    (one,) = measure_on_phone(phone_targets[:1], ONE, protocol=protocol)
    assert one.state["launches"][0]["before"]["battery_c"] == 25.0
    assert not any("warm" in line for line in one.warnings)


def test_phone_that_tells_nothing_of_its_state(phone: Phone, phone_targets: list[Target]) -> None:
    for name in ("battery", "thermalservice", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"):
        (phone.state / name).unlink()
    (one,) = measure_on_phone(phone_targets[:1], ONE, protocol=QUICK)
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
    phone: Phone, phone_targets: list[Target], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = phone.daemon()
    kept: list[Measurement] = []
    # Six launches make a case; the second of the next is under way.
    when(lambda: sum("am instrument" in line for line in phone.calls) == 8, daemon.kill)
    gone_now = pytest.raises(PhoneGoneError, match=r"phone 127\.0\.0\.1:15555 is gone")
    with gone_now as gone, phone_run.exclusive_phone() as own:
        kept.extend(phone_run.measure_on_phone(phone_targets, PLAN, own, protocol=PROTOCOL))
    assert "\n" not in str(gone.value)
    assert [(one.name, one.sequence_length, len(one.samples_ms)) for one in kept] == [
        ("fp32", 4, 3), ("int8", 4, 3)
    ]  # fmt: skip
    said = capsys.readouterr().err
    assert "could not be put back" in said
    assert f"adb -s {phone.serials[0]} shell sh {JOURNAL}" in said


def test_phone_that_stops_answering(
    phone: Phone, phone_targets: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adb, "ALIVE_S", 1.0)
    monkeypatch.setattr("device_bench.phone.app.LAUNCH_S", 3.0)
    phone.write("fault", "hang")
    daemon = phone.daemon()
    when((phone.state / "hanging").exists, daemon.suspend)
    with pytest.raises(PhoneGoneError, match=r"is gone: no answer in 1 s"):
        measure_on_phone(phone_targets[:1], ONE, protocol=QUICK)


def test_app_that_does_not_end(
    phone: Phone, phone_targets: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_bench.phone.app.LAUNCH_S", 2.0)
    phone.write("fault", "hang")
    with pytest.raises(EdgepressError, match="no end after 2 s"):
        measure_on_phone(phone_targets[:1], ONE, protocol=QUICK)
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


def test_interrupted_measurement_puts_everything_back(phone: Phone, phone_targets: list[Target]) -> None:
    before = phone.changes
    phone.write("fault", "hang")
    child = subprocess.Popen(
        [sys.executable, "-c", MEASURE, str(phone_targets[0].path)],
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
def killed(bare: Phone, phone_targets: list[Target], stand_in_apk: Path) -> tuple[Phone, dict[str, str]]:
    """A phone on which a measurement was killed as it ran, and how it was before."""
    before = bare.changes
    bare.write("fault", "hang")
    child = subprocess.Popen(
        [sys.executable, "-c", MEASURE, str(phone_targets[0].path), str(stand_in_apk)],
        env=bare.environment,
        stderr=subprocess.DEVNULL,  # its adb outlives it
    )
    when((bare.state / "hanging").exists, child.kill).join()
    assert child.wait(timeout=60) == -signal.SIGKILL
    bare.write("fault", "")
    return bare, before


def test_killed_measurement_is_put_back_by_the_next(
    killed: tuple[Phone, dict[str, str]], phone_targets: list[Target], stand_in_apk: Path, capsys
) -> None:
    phone, before = killed
    left = phone.changes
    assert {name for name in before if before[name] != left.get(name)} == {
        "setting-stay_on_while_plugged_in", "idle-light", "wakefulness", "/data/local/tmp"
    }  # fmt: skip
    assert "installed" in left
    measure_on_phone(phone_targets[:1], ONE, apk=stand_in_apk, protocol=QUICK)
    assert "an earlier measurement ended before" in capsys.readouterr().err
    assert phone.changes == before
    assert phone.calls.count("pm uninstall org.edgepress.demo") == 2


def test_killed_measurement_can_be_put_back_by_hand(killed: tuple[Phone, dict[str, str]]) -> None:
    phone, before = killed
    phone.adb("-s", phone.serials[0], "shell", "sh", JOURNAL)
    assert phone.changes == before


def test_phone_that_is_measured_is_left_alone(phone: Phone, phone_targets: list[Target]) -> None:
    with phone_run.exclusive_phone() as own:
        measurement = phone_run.measure_on_phone(phone_targets[:1], PLAN, own, protocol=QUICK)
        next(measurement)
        changed, calls = phone.changes, phone.calls
        with pytest.raises(EdgepressError, match=rf"already \(process {os.getpid()}\)"):
            measure_on_phone(phone_targets[:1], ONE, protocol=QUICK)
        assert (phone.changes, phone.calls) == (changed, calls)
        assert len(list(measurement)) == 1


def test_another_phone_is_measured_meanwhile(
    boot: Callable[..., Phone], phone_targets: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = use(boot(15555, 15556), monkeypatch)
    with phone_run.exclusive_phone(both.serials[0]), phone_run.exclusive_phone(both.serials[1]) as second:
        assert second.serial == both.serials[1]


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
