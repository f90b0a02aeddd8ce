"""Measurement: one file's latency at one shape, one JSON line; raw samples, no statistics."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """What was measured of one file at one batch size and sequence length."""

    name: str
    """What the file is called in tables."""
    file: str
    file_sha256: str
    size_bytes: int
    runtime: str
    """Name and version, as `Runner.runtime`."""
    device: str
    threads: int
    batch: int
    sequence_length: int
    load_ms: float
    first_forward_ms: float
    peak_memory_bytes: int
    """Largest resident set of the process that ran it, at the time of this record."""
    warm_up_runs: int
    samples_ms: tuple[tuple[float, ...], ...]
    """Raw times of single runs, one inner tuple a round; round i of every file in one measurement
    was taken within the same moment, so ratios are formed round by round."""
    settled: bool
    """Whether the median's 95 % interval came within the target before the budget was spent."""
    environment: dict[str, Any]
    warnings: tuple[str, ...] = field(default=())

    @property
    def all_samples_ms(self) -> list[float]:
        """The samples of all rounds, in order."""
        return list(chain.from_iterable(self.samples_ms))


def append(path: Path, measurements: Iterable[Measurement]) -> None:
    """Add records to a JSON-lines file."""
    with path.open("a", encoding="utf-8") as stream:
        for measurement in measurements:
            stream.write(json.dumps(asdict(measurement)) + "\n")


def read(path: Path) -> list[Measurement]:
    """The records of a JSON-lines file."""
    with path.open(encoding="utf-8") as stream:
        return [_parse(json.loads(line)) for line in stream if line.strip()]


def _parse(content: dict[str, Any]) -> Measurement:
    content["samples_ms"] = tuple(tuple(round_) for round_ in content["samples_ms"])
    content["warnings"] = tuple(content["warnings"])
    return Measurement(**content)
