"""What is said where there is no phone to measure on: with the real adb, on a server of the tests' own."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_bench.phone.adb import Attached, attached, find_adb, open_phone, pick
from edgepress.core.errors import EdgepressError

PIXEL = Attached("8A1X0PIXEL", "device")
GALAXY = Attached("R58M0GALAXY", "device")
real_adb = pytest.mark.skipif(shutil.which("adb") is None, reason="adb is not installed")


@pytest.fixture(autouse=True)
def _no_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANDROID_SERIAL", "ANDROID_HOME", "ANDROID_SDK_ROOT", "ADB_SERVER_SOCKET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """A port for an adb server that starts when it is first asked; ended after the test."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    monkeypatch.setenv("HOME", str(tmp_path))  # adb makes its key there
    yield port
    subprocess.run(["adb", "-P", str(port), "kill-server"], capture_output=True, check=False)


def test_no_adb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EdgepressError, match="there is no adb on this computer") as refused:
        open_phone()
    assert "platform-tools" in refused.value.hint
    assert refused.value.exit_code == 2


@real_adb
def test_adb_of_the_sdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "platform-tools" / "adb"
    own.parent.mkdir()
    own.symlink_to(str(shutil.which("adb")))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path))
    assert find_adb() == str(own)


@real_adb
def test_no_phone(server: int) -> None:
    if attached(find_adb()):
        pytest.skip("a phone is plugged in")
    with pytest.raises(EdgepressError, match=r"^no phone is attached$") as refused:
        open_phone()
    assert "USB debugging" in refused.value.hint


@real_adb
def test_no_phone_of_that_serial(server: int) -> None:
    with pytest.raises(EdgepressError, match=r"no phone is attached|unknown serial 'nowhere'"):
        open_phone("nowhere")


@real_adb
def test_server_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADB_SERVER_SOCKET", f"localfilesystem:{tmp_path}/nowhere/socket")
    with pytest.raises(EdgepressError, match="adb's server does not start: ") as refused:
        open_phone()
    assert "kill-server" in refused.value.hint


def test_the_only_phone() -> None:
    assert pick([PIXEL], None) == PIXEL


def test_one_of_several_phones() -> None:
    assert pick([PIXEL, GALAXY], "R58M0GALAXY") == GALAXY


def test_several_phones() -> None:
    with pytest.raises(EdgepressError, match="several phones are attached: 8A1X0PIXEL, R58M0GALAXY"):
        pick([PIXEL, GALAXY], None)


def test_unknown_serial_has_a_guess() -> None:
    with pytest.raises(EdgepressError, match="unknown serial '8A1X0PIXLE'") as refused:
        pick([PIXEL, GALAXY], "8A1X0PIXLE")
    assert "did you mean '8A1X0PIXEL'" in refused.value.hint


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("unauthorized", "phone X does not allow this computer yet (unauthorized)"),
        ("authorizing", "phone X is still being asked to allow this computer"),
        ("offline", "phone X is attached and does not answer (offline)"),
        (
            "no permissions (user in plugdev group; are your udev rules wrong?)",
            "may not be opened by this user",
        ),
        ("recovery", "phone X is not running Android (recovery)"),
    ],
)
def test_phone_that_cannot_be_used(state: str, message: str) -> None:
    with pytest.raises(EdgepressError) as refused:
        pick([Attached("X", state)], None)
    assert message in str(refused.value)
    assert refused.value.hint
