"""The real `adb`, by its command line: every state that a phone can be in has one line that says so."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepress.core.errors import EdgepressError, unknown_name

ANSWER_S = 60.0
TRANSFER_S = 900.0
"""Limit for a file of some hundred MB over a slow cable [s]."""
ALIVE_S = 10.0
SDK_VARIABLES = ("ANDROID_HOME", "ANDROID_SDK_ROOT")
READY = "device"
NO_SPACE = ("No space left on device", "INSTALL_FAILED_INSUFFICIENT_STORAGE")
ATTACH = "attach one with USB debugging on (docs/phone.md says how)"

# What `adb devices` calls a phone that cannot be used: what that means, and what to do.
UNUSABLE = {
    "unauthorized": (
        "does not allow this computer yet (unauthorized)",
        "unlock it and accept 'Allow USB debugging'",
    ),
    "authorizing": ("is still being asked to allow this computer", "accept 'Allow USB debugging' on it"),
    "offline": ("is attached and does not answer (offline)", "plug it in again, or type: adb reconnect"),
    "no permissions": ("may not be opened by this user", "add Android's udev rules (package android-udev)"),
}


class PhoneGoneError(EdgepressError):
    """The phone stopped answering in the middle: cable pulled, rebooted, switched off."""


@dataclass(frozen=True)
class Attached:
    """A line of `adb devices`."""

    serial: str
    state: str


def find_adb() -> str:
    """The adb on PATH, or in the SDK that ANDROID_HOME names.

    Raises:
        EdgepressError: there is none.
    """
    folders = [Path(os.environ[name]) / "platform-tools" for name in SDK_VARIABLES if os.environ.get(name)]
    for place in (None, *folders):
        if found := shutil.which("adb", path=place and str(place)):
            return found
    raise EdgepressError(
        "there is no adb on this computer",
        "install Android's platform-tools (Debian, Ubuntu: apt install adb; macOS: brew install "
        "android-platform-tools)",
    )


def attached(adb: str) -> list[Attached]:
    """The phones that adb's server sees; the server is started where none runs.

    Raises:
        EdgepressError: the server does not answer.
    """
    listed = _call([adb, "devices"], ANSWER_S)
    if listed is None or listed.returncode:
        reason = last_line(listed.stderr) if listed else f"no answer in {ANSWER_S:.0f} s"
        raise EdgepressError(f"adb's server does not start: {reason}", "type: adb kill-server; adb devices")
    rows = [line.split("\t", 1) for line in listed.stdout.splitlines() if "\t" in line]
    return [Attached(serial, state.strip()) for serial, state in rows]


def open_phone(serial: str | None = None) -> Adb:
    """The phone to measure on.

    Args:
        serial: as `adb devices` shows it; None takes ANDROID_SERIAL, as adb does, or the only one attached.

    Raises:
        EdgepressError: no adb, no phone, several, an unknown serial, or one that cannot be used.
    """
    adb = find_adb()
    chosen = pick(attached(adb), serial or os.environ.get("ANDROID_SERIAL") or None)
    return Adb(adb, chosen.serial)


def pick(phones: Sequence[Attached], serial: str | None) -> Attached:
    """The phone of this serial, or the only one; one that answers.

    Raises:
        EdgepressError: as `open_phone`.
    """
    if not phones:
        raise EdgepressError("no phone is attached", ATTACH)
    if serial is None and len(phones) > 1:
        serials = ", ".join(phone.serial for phone in phones)
        raise EdgepressError(f"several phones are attached: {serials}", "name one with --serial")
    found = [phone for phone in phones if serial in (None, phone.serial)]
    if not found:
        raise unknown_name("serial", str(serial), [phone.serial for phone in phones])
    _require_usable(found[0])
    return found[0]


def _require_usable(phone: Attached) -> None:
    if phone.state == READY:
        return
    default = (f"is not running Android ({phone.state})", "start Android on it")
    known = next((name for name in UNUSABLE if phone.state.startswith(name)), "")
    means, hint = UNUSABLE.get(known, default)
    raise EdgepressError(f"phone {phone.serial} {means}", hint)


@dataclass
class Adb:
    """A phone that is reached through adb."""

    adb: str
    serial: str
    gone: PhoneGoneError | None = None
    """Once it is, no command waits for it again until `require_alive` finds it."""

    def shell(self, *command: str, timeout: float = ANSWER_S) -> str:
        """Run a command on the phone and return what it prints to stdout.

        Raises:
            PhoneGoneError: the phone does not answer any more.
            EdgepressError: the command failed.
        """
        return self.run("shell", shlex.join(command), timeout=timeout)

    def reads(self, *command: str) -> str:
        """Run `shell`, and give "" where the command fails: not every phone has every service or file."""
        try:
            return self.shell(*command)
        except PhoneGoneError:
            raise
        except EdgepressError:
            return ""

    def push(self, source: Path, target: str) -> None:
        """Copy a file or folder to the phone."""
        self.run("push", str(source.absolute()), target, timeout=TRANSFER_S)  # "-x.onnx" is no flag

    def pull(self, source: str, target: Path) -> None:
        """Copy a file from the phone."""
        self.run("pull", source, str(target), timeout=TRANSFER_S)

    def run(self, *arguments: str, timeout: float = ANSWER_S) -> str:
        """Run `adb -s SERIAL ARGUMENTS` and return what it prints to stdout.

        Raises:
            PhoneGoneError: the phone does not answer any more.
            EdgepressError: the command failed, or did not end within `timeout` seconds.
        """
        if self.gone:
            raise self.gone
        done = _call([self.adb, "-s", self.serial, *arguments], timeout)
        if done is not None and done.returncode == 0:
            return done.stdout
        self.require_alive()
        if done is None:
            raise EdgepressError(f"adb {arguments[0]}: no end after {timeout:.0f} s on {self.serial}")
        raise _failure(self.serial, arguments, done.stderr + done.stdout)

    def require_alive(self) -> None:
        """Raise PhoneGoneError if the phone does not run a command any more."""
        done = _call([self.adb, "-s", self.serial, "shell", ":"], ALIVE_S)
        self.gone = None
        if done is None or done.returncode:
            reason = last_line(done.stderr) if done else f"no answer in {ALIVE_S:.0f} s"
            self.gone = PhoneGoneError(
                f"phone {self.serial} is gone: {reason.removeprefix('error: ') or 'its connection closed'}",
                "check the cable and USB debugging, and type the same command again",
            )
            raise self.gone


def _failure(serial: str, arguments: Sequence[str], printed: str) -> EdgepressError:
    if any(sign in printed for sign in NO_SPACE):
        return EdgepressError(f"no space left on phone {serial}", "delete something on it, or use less files")
    return EdgepressError(f"adb {' '.join(arguments)[:80]} failed: {last_line(printed)}")


def last_line(printed: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(printed.splitlines()) if line.strip()), "")


def _call(command: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str] | None:
    """The finished command; None where it was ended because its time was over."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,  # `adb shell` would eat the terminal's
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
