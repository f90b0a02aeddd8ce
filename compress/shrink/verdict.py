"""Choice of the file to ship: candidates, the limits that they keep, and the certainty of that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.recipe.results.lines import PERCENT, Estimate, RecipeResult, TableLine
from compress.shrink.chain import WHOLE
from compress.shrink.config import ShrinkConfig
from device_bench.records import Measurement
from device_bench.waiting import busy_machine
from edgepress.core.intervals import Bounds, in_points, points_text, texts_needed


@dataclass(frozen=True)
class Candidate:
    """A file of the table, with the figures that limits are of."""

    name: str
    title: str
    path: Path
    folder: Path
    """Folder of its artifact."""
    texts: int
    """Texts that it was judged on."""
    drop: Estimate
    """Loss against the model [points]."""
    latency: Estimate
    """Median latency of one text [ms]."""
    size_mb: float
    speed_up: Estimate | None
    """Times as fast as the model's ONNX file; None for that itself."""

    def beyond(self, limits: ShrinkConfig) -> list[str]:
        """Name the limits that it does not keep, in words."""
        return list(self._beyond(limits))

    def _beyond(self, limits: ShrinkConfig) -> Iterator[str]:
        if self.drop.value > limits.max_drop:
            yield f"loses {points(self.drop)}"
        if limits.max_ms is not None and self.latency.value > limits.max_ms:
            yield f"takes {self.latency.value:.3g} ms"
        if limits.max_size_mb is not None and self.size_mb > limits.max_size_mb:
            yield f"has {self.size_mb:.3g} MB"

    def texts_needed(self, max_drop: float) -> int | None:
        """About how many texts would show that it loses no more than allowed; None where these do."""
        if self.drop.high is None or self.drop.low is None or self.drop.high <= max_drop:
            return None
        bounds = Bounds(self.drop.low / 100, self.drop.high / 100)
        return texts_needed(bounds, self.drop.value / 100, max_drop / 100, self.texts)


def points(drop: Estimate) -> str:
    """A loss with its interval in words."""
    interval = "" if drop.low is None or drop.high is None else f"[{drop.low:.1f}, {drop.high:.1f}]"
    return points_text(drop.value, interval)


def candidates(result: RecipeResult) -> list[Candidate]:
    """The files of a table that was measured, the model's own among them."""
    return [found for line in result.lines if (found := _candidate(result, line)) is not None]


def _candidate(result: RecipeResult, line: TableLine) -> Candidate | None:
    gain = result.figure("gain", line, WHOLE)
    latency, size = result.figure("latency_ms", line), result.figure("size_mb", line)
    if line.row.name == WHOLE:
        gain = Estimate(0.0)
    if gain is None or latency is None or size is None or line.target is None:
        return None
    (run,) = line.runs.values()
    return Candidate(
        line.row.name,
        line.title,
        line.target.path,
        run.output,
        int(line.target.known["scored_rows"]),
        _loss(gain),
        latency,
        size.value,
        result.figure("speed_up", line, WHOLE),
    )


def _loss(gain: Estimate) -> Estimate:
    """The same with the other sign."""
    if gain.low is None or gain.high is None:
        return Estimate(in_points(-gain.value / PERCENT))
    return Estimate(in_points(-gain.value / PERCENT), -gain.high, -gain.low)


def chosen(found: Sequence[Candidate], limits: ShrinkConfig) -> Candidate | None:
    """The smallest, or the fastest, that keeps all limits; None where none does."""
    kept = [own for own in found if not own.beyond(limits)]
    by_latency = limits.minimize == "latency"
    return min(kept, key=lambda own: own.latency.value if by_latency else own.size_mb, default=None)


def sentence(own: Candidate, whole: Candidate, limits: ShrinkConfig, length: int) -> str:
    """Say in one sentence which file to ship, and why."""
    best = {"size": "smallest", "latency": "fastest"}[limits.minimize]
    kept = [f"loses at most {limits.max_drop:g} points"]
    kept += [f"takes at most {limits.max_ms:g} ms"] if limits.max_ms is not None else []
    kept += [f"has at most {limits.max_size_mb:g} MB"] if limits.max_size_mb is not None else []
    faster = f", {own.speed_up.value:.1f}x as fast" if own.speed_up else ""
    size = f"{own.size_mb:.3g} MB (of {whole.size_mb:.3g})"
    latency = f"{own.latency.value:.3g} ms at {length} tokens{faster}"
    lost = f"loses {points(own.drop)} on {own.texts:,} texts"
    return f"{own.title}: the {best} file that {' and '.join(kept)}: {size}, {latency}, {lost}"


def uncertain(measured: Sequence[Measurement], limits: ShrinkConfig) -> str:
    """Say that latencies, or what was chosen by them, are uncertain; empty where the machine was not busy."""
    if not (busy := busy_machine(measured)):
        return ""
    by_latency = limits.minimize == "latency" or limits.max_ms is not None
    return f" {'The choice is' if by_latency else 'Latencies are'} uncertain: {busy}."


def closest(found: Sequence[Candidate], limits: ShrinkConfig) -> str:
    """Why each candidate but the model itself is not the one, in words."""
    compressed = [own for own in found if own.name != WHOLE]
    return "; ".join(f"{own.title}: {', '.join(own.beyond(limits))}" for own in compressed)
