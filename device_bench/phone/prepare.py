"""A phone made ready to be measured, and put back as it was, whatever ends the measurement.

How a change is undone is written on the phone before the change is made: not even SIGKILL or a pulled cable
loses it, and `restore` finds it at the next start.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from device_bench.phone.adb import Adb, PhoneGoneError
from edgepress.core.caches import cache_root
from edgepress.core.errors import EdgepressError
from edgepress.core.locking import exclusive_lock

STAY_ON = "stay_on_while_plugged_in"
UNSET = "null"
# Runs on the phone as it stands (`adb shell sh JOURNAL`), and takes itself away at its end.
JOURNAL = "/data/local/tmp/edgepress-undo.sh"

Undo = Callable[..., None]
ShellCommand = tuple[str, ...]


def reserved(phone: Adb) -> AbstractContextManager[None]:
    """Keep other processes of this user from measuring on the phone in the block, or from putting it back.

    Raises:
        EdgepressError: one does already; nothing was asked of the phone then.
    """
    name = re.sub(r"[^\w.-]", "_", phone.serial)
    busy = f"another measurement runs on phone {phone.serial} already"
    return exclusive_lock(
        cache_root() / "phones" / name, busy, "wait for it or end it, or name another --serial"
    )


@contextmanager
def prepared(phone: Adb, warn: Callable[[str], None]) -> Iterator[Undo]:
    """Screen on and idle mode off in the block, which is given what puts a further command at its end.

    What was there before is read first and put back at the end, also after an error or Ctrl-C. Where the
    phone is gone by then, a warning says what to type.
    """
    commands: list[ShellCommand] = [("rm", "-f", JOURNAL)]

    def undo(*command: str) -> None:
        commands.insert(0, command)
        _write_down(phone, commands)

    try:
        _switch_screen_on(phone, undo)
        _keep_screen_on(phone, undo)
        _switch_idle_mode_off(phone, undo)
        yield undo
    finally:
        _put_back(phone, commands, warn)


def restore(phone: Adb, warn: Callable[[str], None]) -> None:
    """Put back what a measurement changed that was killed, or whose phone went away.

    Only where the phone is `reserved`: else that measurement may be running still.
    """
    if left := phone.reads("cat", JOURNAL):
        warn(f"an earlier measurement ended before phone {phone.serial} was put back: doing so now")
        _put_back(phone, [tuple(shlex.split(line)) for line in left.splitlines()], warn)


def _write_down(phone: Adb, commands: Sequence[ShellCommand]) -> None:
    """Write the journal under another name first: it is whole or not there."""
    lines = shlex.join(["printf", r"%s\n", *map(shlex.join, commands)])
    phone.shell("sh", "-c", f"{lines} >{JOURNAL}.new && mv {JOURNAL}.new {JOURNAL}")


def _keep_screen_on(phone: Adb, undo: Undo) -> None:
    previous = phone.shell("settings", "get", "global", STAY_ON).strip()
    if previous in (UNSET, ""):
        undo("settings", "delete", "global", STAY_ON)
    else:
        undo("settings", "put", "global", STAY_ON, previous)
    phone.shell("svc", "power", "stayon", "true")


def _switch_screen_on(phone: Adb, undo: Undo) -> None:
    """An app behind a dark screen is scheduled on the slow cores."""
    if re.search(r"mWakefulness=Awake", phone.reads("dumpsys", "power")):
        return
    undo("input", "keyevent", "KEYCODE_SLEEP")
    phone.shell("input", "keyevent", "KEYCODE_WAKEUP")
    phone.reads("wm", "dismiss-keyguard")  # a lock with a PIN stays, and the app runs above it


def _switch_idle_mode_off(phone: Adb, undo: Undo) -> None:
    """Doze has a light and a deep half, each on or off by itself."""
    for half in ("light", "deep"):
        if phone.reads("dumpsys", "deviceidle", "enabled", half).strip() == "1":
            undo("dumpsys", "deviceidle", "enable", half)
            phone.shell("dumpsys", "deviceidle", "disable", half)


def _put_back(phone: Adb, commands: Sequence[ShellCommand], warn: Callable[[str], None]) -> None:
    for command in commands:
        try:
            phone.require_alive()  # its cable may be in again
            phone.shell(*command)
        except PhoneGoneError:
            warn(
                f"what was changed on phone {phone.serial} could not be put back; the next measurement does "
                f"so, or type: {shlex.join(['adb', '-s', phone.serial, 'shell', 'sh', JOURNAL])}"
            )
            return
        except EdgepressError as error:
            warn(f"on phone {phone.serial} something was not put back: {error}")
