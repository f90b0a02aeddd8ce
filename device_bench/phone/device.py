"""Identity and state of a phone: environment of a record, battery, heat and frequencies."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from device_bench.phone.adb import Adb
from edgepress.core.artifact import versions
from edgepress.core.environment import RELEVANT_FLAGS
from edgepress.core.errors import EdgepressError

# The first is QEMU's, the second the emulator's of today, the third that of a test's stand-in.
EMULATED_PROPERTIES = ("ro.kernel.qemu", "ro.boot.qemu", "ro.edgepress.emulated")
EMULATED_WARNING = "emulated device: its times are not a phone's"
ARCHITECTURES = {"arm64-v8a": "aarch64", "armeabi-v7a": "armv7l", "x86_64": "x86_64", "x86": "i686"}
FREQUENCY_FILES = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_"
COOL_POLL_S = 5.0


def properties(phone: Adb) -> dict[str, str]:
    """The properties that `getprop` lists."""
    return dict(re.findall(r"^\[(.+?)\]: \[(.*?)\]$", phone.shell("getprop"), re.MULTILINE))


def is_emulated(known: dict[str, str]) -> bool:
    """Whether this is no real phone: no time of it may stand as one's."""
    return any(known.get(name) == "1" for name in EMULATED_PROPERTIES)


def require_abi(phone: Adb, known: dict[str, str], abis: tuple[str, ...]) -> None:
    """Raise if the phone runs none of the app's instruction sets."""
    own = known.get("ro.product.cpu.abilist") or known.get("ro.product.cpu.abi", "")
    if not set(own.split(",")) & set(abis):
        raise EdgepressError(
            f"phone {phone.serial} runs {own or 'an unknown ABI'}; the app is built for {', '.join(abis)}",
            "use a 64-bit ARM phone, or an --apk that is built for this one",
        )


def environment(phone: Adb, known: dict[str, str]) -> dict[str, Any]:
    """The phone, with the fields of `edgepress.core.environment.Environment` and its name and build.

    Its serial stays out: records are published.
    """
    cpuinfo = phone.reads("cat", "/proc/cpuinfo")
    features = re.search(r"^(?:Features|flags)\s*:(.*)$", cpuinfo, re.MULTILINE)
    flags = set(features[1].split()) if features else set()
    abi = known.get("ro.product.cpu.abi", "")
    return {
        "cpu": _soc(known),
        "machine": ARCHITECTURES.get(abi, abi),
        "flags": tuple(flag for flag in RELEVANT_FLAGS if flag in flags),
        "cores": len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)),
        "memory_bytes": 1024 * _number(r"MemTotal:\s+(\d+)", phone.reads("cat", "/proc/meminfo"), 0),
        "system": f"Android {known.get('ro.build.version.release', '?')}"
        f" (API {known.get('ro.build.version.sdk', '?')})",
        "versions": versions(("edgepress",)),
        "git_commit": None,
        "phone": f"{known.get('ro.product.manufacturer', '')} {known.get('ro.product.model', '')}".strip(),
        "abi": abi,
        "build": known.get("ro.build.fingerprint", ""),
    }


def _soc(known: dict[str, str]) -> str:
    """Android has names for it since 12; before that, the board's."""
    name = f"{known.get('ro.soc.manufacturer', '')} {known.get('ro.soc.model', '')}".strip()
    return name or known.get("ro.board.platform") or known.get("ro.hardware", "unknown")


def snapshot(phone: Adb) -> dict[str, Any]:
    """Battery, heat, and the frequencies and governors of the cores, as far as they can be read."""
    battery = phone.reads("dumpsys", "battery")
    tenths = _number(r"^\s*temperature: (\d+)", battery)
    return {
        "battery_percent": _number(r"^\s*level: (\d+)", battery),
        "battery_c": None if tenths is None else tenths / 10,
        "charging": bool(re.search(r"^\s*(?:AC|USB|Wireless|Dock) powered: true", battery, re.MULTILINE)),
        "thermal_status": thermal_status(phone),
        "frequencies": _frequencies(phone),
    }


def thermal_status(phone: Adb) -> int | None:
    """0 (none) to 6 (shutdown), as `PowerManager.getCurrentThermalStatus`; None before Android 10."""
    return _number(r"^\s*Thermal Status: (\d+)", phone.reads("dumpsys", "thermalservice"))


def _frequencies(phone: Adb) -> dict[str, dict[str, str]]:
    """Core -> governor and frequencies [kHz]; empty where the phone keeps them to itself."""
    listed = phone.reads("sh", "-c", f"grep -H . {FREQUENCY_FILES}governor {FREQUENCY_FILES}*_freq; :")
    found: dict[str, dict[str, str]] = {}
    for core, name, value in re.findall(r"/(cpu\d+)/cpufreq/scaling_(\w+):(\S+)", listed):
        found.setdefault(core, {})[name] = value
    return found


def _number(pattern: str, text: str, default: Any = None) -> Any:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else default


@dataclass(frozen=True)
class CoolDown:
    """When a phone is cool enough for the next launch."""

    battery_c: float = 38.0
    budget_s: float = 300.0
    """Seconds to wait over a whole measurement; 0 waits for nothing."""
    poll_s: float = COOL_POLL_S

    def reached(self, state: dict[str, Any]) -> bool:
        """Whether a snapshot is cool; what cannot be read does not keep anybody waiting."""
        return (state["thermal_status"] or 0) == 0 and (state["battery_c"] or 0.0) < self.battery_c

    def wait(self, phone: Adb, spent_s: float, say: Callable[[str], None]) -> tuple[float, dict[str, Any]]:
        """Wait until it is cool or the budget is spent; the seconds that took, and the snapshot after it."""
        start = time.monotonic()
        state = snapshot(phone)
        while not self.reached(state):
            waited = time.monotonic() - start
            if spent_s + waited >= self.budget_s:
                break
            if waited < self.poll_s:
                say(f"waiting for the phone to cool: {describe(state)}")
            time.sleep(min(self.poll_s, self.budget_s - spent_s - waited))
            state = snapshot(phone)
        return time.monotonic() - start, state


def describe(state: dict[str, Any]) -> str:
    """A snapshot's heat in words."""
    return f"thermal status {state['thermal_status']}, battery at {state['battery_c']} °C"
