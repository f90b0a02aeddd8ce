"""The file to ship: the fastest or the smallest that loses no more than it may, named in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from device_bench.records import Measurement
from device_bench.stats import Interval
from edgepress.core.intervals import points_text

Minimize = Literal["latency", "size"]


@dataclass(frozen=True)
class RatedFile:
    """A file, what it loses and what it costs."""

    label: str
    size_bytes: int
    within: bool
    """Whether it loses no more than it may."""
    loss: float | None = None
    """Loss against the model [points]; None where nothing was scored."""
    loss_interval: str = ""
    """Interval of the loss in words: "[-0.4, 1.2]"; empty where it is not known."""
    record: Measurement | None = None
    """Latency at the length that decides; None where it was not timed."""
    latency_ms: float = 0.0
    """Median latency [ms]; 0 where it was not timed."""
    speed_up: Interval | None = None
    """Times as fast as the baseline; None for the baseline itself."""

    def costs(self, baseline: str) -> str:
        """Latency, size and loss in words."""
        return ", ".join(self._costs(baseline))

    def _costs(self, baseline: str) -> Iterator[str]:
        if self.record is not None:
            yield f"{self.latency_ms:.3g} ms at {self.record.sequence_length} tokens"
        if (ratio := self.speed_up) is not None:
            yield f"{ratio.value:.2f}x [{ratio.low:.2f}, {ratio.high:.2f}] as fast as {baseline}"
        yield f"{self.size_bytes / 1e6:.3g} MB"
        if self.loss is not None:
            yield f"loses {points_text(self.loss, self.loss_interval)}"

    @property
    def carried(self) -> str:
        """What running it takes besides, in words; empty where it was not timed."""
        record = self.record
        if record is None:
            return ""
        runtime = f"{record.runtime_bytes / 1e6:.0f} MB of runtime on disk, " if record.runtime_bytes else ""
        return (
            f"{runtime}{record.peak_memory_bytes / 1e6:.0f} MB of memory and "
            f"{cold_start_ms(record):.0f} ms to start"
        )


def cold_start_ms(record: Measurement) -> float:
    """Loading the file and running it for the first time [ms]."""
    return record.load_ms + record.first_forward_ms


@dataclass(frozen=True)
class Recommendation:
    """Files beside each other, and which of them to ship."""

    files: Sequence[RatedFile]
    baseline: str
    """Label of the file that speed-ups are over."""
    limit: str
    """What a file may lose at most, in words: "1 point of accuracy"; empty where nothing was scored."""
    machine: str
    """CPU that the file is for."""
    minimize: Minimize = "latency"
    unmeasured: str = ""
    """Why latency cannot decide, so that size does; empty where it can."""

    @property
    def by_size(self) -> bool:
        """Whether the size decides, not the latency."""
        return self.minimize == "size" or bool(self.unmeasured) or self.fastest is None

    @property
    def smallest(self) -> RatedFile | None:
        """The smallest file within the limit; None where there is none."""
        return min(self._within, key=lambda own: own.size_bytes, default=None)

    @property
    def fastest(self) -> RatedFile | None:
        """The fastest file within the limit; None where none was timed."""
        timed = [own for own in self._within if own.record is not None]
        return min(timed, key=lambda own: own.latency_ms, default=None)

    @property
    def chosen(self) -> RatedFile | None:
        """The file to ship; None where none is within the limit."""
        return self.smallest if self.by_size else self.fastest

    @property
    def as_fast(self) -> list[RatedFile]:
        """Files within the limit that were timed beside the fastest one, and are not shown to be slower."""
        best = self.chosen
        if self.by_size or best is None or best.record is None:
            return []
        others = [own for own in self._within if own is not best and own.record is not None]
        from device_bench.grouping import speed_up  # of records, where files are timed

        ratios = ((own, speed_up(own.record, best.record)) for own in others if own.record)
        return [own for own, ratio in ratios if ratio is not None and ratio.low <= 1]

    @property
    def _within(self) -> list[RatedFile]:
        return [own for own in self.files if own.within]

    def sentence(self) -> str:
        """Say which file to ship, what it costs, and which is best by the other measure."""
        best = self.chosen
        limit = f" that loses at most {self.limit}" if self.limit else ""
        if best is None:
            return f"None of {len(self.files)} files loses at most {self.limit}."
        other = self.fastest if self.by_size and not self.unmeasured else self.smallest
        what, else_ = ("smallest", "fastest") if self.by_size else ("fastest", "smallest")
        both = f" and {else_}" if other is best and not (self.by_size and self.unmeasured) else ""
        said = f"Ship {best.label}: of {len(self.files)} files the {what}{both}{limit} on {self.machine}"
        said += f" ({best.costs(self.baseline)})"
        if carried := best.carried:
            said += f"; it takes {carried}"
        if other is not None and other is not best:
            said += f". The {else_} is {other.label}: {other.costs(self.baseline)}"
        if ties := self.as_fast:
            said += f". As fast, as far as this measurement can tell: {', '.join(own.label for own in ties)}"
        if self.unmeasured and self.minimize == "latency":
            said += f". Size decides: {self.unmeasured}"
        from device_bench.waiting import busy_machine

        if busy := busy_machine(own.record for own in self.files if own.record is not None):
            said += f". {'Latencies are' if self.by_size else 'The choice is'} uncertain: {busy}"
        return f"{said}."
