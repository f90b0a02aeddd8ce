"""A published claim, what was measured of it here, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device_bench.records import DeviceKind
from device_bench.stats import Interval
from edgepress.core.environment import environment

if TYPE_CHECKING:
    from device_bench.claims.context import ClaimContext

HOLDS, FAILS, UNDECIDED, MEASURED = "holds", "does not hold", "undecided", "measured"
OTHER_DEVICE, IN_PART = "other device", "in part"
PHONE, WEIGHTS = "needs a phone", "needs weights"
BIG = 100


@dataclass(frozen=True)
class Device:
    """Device that a figure was measured on."""

    kind: DeviceKind
    name: str

    @property
    def text(self) -> str:
        """The device's name with its article: "a P100", "an iPhone 7 Plus"."""
        return f"{'an' if self.name[:1] in 'AEIOaeio' else 'a'} {self.name}"


@dataclass(frozen=True)
class Form:
    """Format of a figure: number and unit."""

    number: Callable[[float], str]
    """The figure as a number, without its unit."""
    unit: str
    anywhere: bool = False
    """Whether the figure is the same on every device."""

    def text(self, value: float) -> str:
        """A figure with its unit: "50 % less", "1.63x"."""
        return f"{self.number(value)}{self.unit}"

    def interval(self, found: Interval) -> str:
        """The same with its 95 % interval, where it has one."""
        bounds = f" [{self.number(found.low)}, {self.number(found.high)}]" if found.low < found.high else ""
        return f"{self.text(found.value)}{bounds}"


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= BIG else f"{value:.2f}"


FASTER = Form(_times, "x")
"""A ratio of times, such as 1.63x."""
LESS = Form(lambda ratio: f"{100 * (1 - 1 / ratio):.0f}", " % less")
"""A ratio of times as a saving: 2 is 50 % less."""
SMALLER = Form(_times, "x", anywhere=True)
"""A ratio of parameters."""
FEWER = Form(lambda share: f"{100 * share:.3g}", " % fewer", anywhere=True)
SHARE = Form(lambda share: f"{100 * share:.3g}", " %", anywhere=True)
MEGABYTES = Form(lambda size: f"{size / 1e6:.0f}", " MB")


@dataclass(frozen=True)
class Finding:
    """Figure that was measured for a claim."""

    ours: Interval
    """The figure measured here, in the claim's own measure."""
    device: Device
    part: str = ""
    """Part of the claim's subject that was measured, as "2 of 7 tasks"; empty where all of it was."""


def here(ours: Interval) -> Finding:
    """Measured on this machine's CPU."""
    return Finding(ours, Device("cpu", environment().cpu))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A published figure, and how it is measured here."""

    name: str
    source: str
    figure: str
    """The figure as it was published."""
    short: str
    """What is measured here, as it stands beside the name on a narrow screen."""
    what: str
    """The same in full, with what is divided by what."""
    measure: Callable[[ClaimContext], Finding | None]
    """Gives None where what it needs is not here."""
    form: Form = FASTER
    published: float | None = None
    """The figure in the measure of ours; None where there is none to compare with."""
    holds_from: float | None = None
    """The published figure less its tolerance, which our whole interval has to reach. None where nothing is
    judged, because what the figure is of was not published."""
    made_on: Device | None = None
    """Device that the figure was measured on; None where the figure does not depend on it, or the device was
    not published."""
    needs: str = ""
    """The verdict where `measure` gives None."""

    def verdict(self, found: Finding | None) -> str:
        """One of the words above, or what it needs.

        A figure of another kind of device, or of a part of what the claim is about, refutes nothing.
        """
        if found is None:
            return self.needs
        if self.holds_from is None:
            return MEASURED
        if self.made_on and found.device.kind != self.made_on.kind:
            return OTHER_DEVICE
        if found.part:
            return IN_PART
        return _reached(found.ours, self.holds_from)

    @property
    def limit(self) -> str:
        """Text that names the figure from which on the claim holds; empty where nothing is judged."""
        return "" if self.holds_from is None else f"holds from {self.form.text(self.holds_from)}"

    def comparison(self, found: Finding | None) -> str:
        """Ours and the published figure, each with its device."""
        ours = [] if found is None else [f"{self.form.interval(found.ours)}{self._where(found)}"]
        return "; ".join([*ours, self._published])

    def _where(self, found: Finding) -> str:
        if found.part:
            return f" over {found.part}"
        if self.form.anywhere:
            return ""
        kind = found.device.kind
        return f" on {found.device.text}" if kind == "phone" else f" on this {kind.upper()}"

    @property
    def _published(self) -> str:
        if self.published is None:
            return "no figure to compare with"
        on = f" on {self.made_on.text}" if self.made_on else ""
        return f"{self.form.text(self.published)} was claimed{on}"

    def record(self, found: Finding | None) -> dict[str, Any]:
        """The claim's row in the table's file."""
        made, device = self.made_on, found.device if found else None
        return {
            "claim": self.name,
            "source": self.source,
            "published": self.figure,
            "made_on": vars(made) if made else None,
            "measured_text": self.what,
            "holds_from": self.holds_from,
            "ours": found.ours.value if found else None,
            "interval": [found.ours.low, found.ours.high] if found else None,
            "measured_on": vars(device) if device else None,
            "part": found.part if found else "",
            "verdict": self.verdict(found),
            "comparison": self.comparison(found),
        }


Judged = Sequence[tuple[Claim, Finding | None]]
"""Claims in their order, with what was measured of each."""


def _reached(ours: Interval, limit: float) -> str:
    if ours.low >= limit:
        return HOLDS
    return FAILS if ours.high < limit else UNDECIDED
