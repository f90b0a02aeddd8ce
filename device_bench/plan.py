"""Target and plan: what is measured, at which shapes, and when it is enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_bench.records import Kind, Measurement, Padding

EAGER, PACKED = "eager", "eager-packed"
EAGER_MODES = {EAGER: "torch eager", PACKED: "torch eager, oneDNN-packed weights"}


@dataclass(frozen=True)
class Target:
    """A file to measure."""

    name: str
    path: Path
    mode: str = ""
    """How it is opened where its ending does not say it: one of `EAGER_MODES` on the CPU, of
    `device_bench.gpu.MODES` on a GPU."""
    texts: Path | None = None
    """Real texts in the model's own token ids, as `device_bench.texts.save` writes them; for whole passes."""
    known: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Fields of its records that do not come from running it: artifact, format, precision, score, ..."""


@dataclass(frozen=True)
class Case:
    """A row of a table to come: a shape, or a whole pass over a data set."""

    batch: int
    sequence_length: int = 0
    kind: Kind = "latency"
    padding: Padding = "none"

    @classmethod
    def of(cls, record: Measurement) -> "Case":
        """The case that a record is of."""
        return cls(record.batch, record.sequence_length, record.kind, record.padding)

    def request(self, runs: int, texts: Path | None) -> dict[str, Any]:
        """Return the request to a worker."""
        if self.kind == "pass":
            return {"batch": self.batch, "padding": self.padding, "texts": str(texts)}
        return {"batch": self.batch, "sequence_length": self.sequence_length, "runs": runs}


@dataclass(frozen=True)
class Plan:
    """Cases to measure, and when a measurement is precise enough."""

    sequence_lengths: tuple[int, ...] = (16, 64, 128)
    batches: tuple[int, ...] = (1,)
    threads: int = 1
    vocabulary: int = 30_000
    launches: int = 5
    """Processes of each file, at least: what a process gets by luck (its pages, its cores) is averaged out.
    A pass takes as many as there are `passes`."""
    steady: float = 0.05
    """Largest difference of two successive blocks of runs at which a shape counts as warmed up, in each
    launch, as a share of the latency."""
    warm_up_s: float = 2.0
    """Longest warm-up; after it, rounds begin whether blocks agree or not [s]."""
    block_ms: float = 150.0
    """Time that a round's runs of a file fill, with at least 3 runs [ms]. Asking for a round costs the better
    part of a millisecond."""
    long_block_ms: float = 1000.0
    """Longest round [ms]: it has fewer than 3 runs, down to 1, where they would take longer."""
    rounds: int = 4
    """Rounds of each launch at each shape; half of them where they take more than its share of the budget."""
    min_runs: int = 30
    min_time_s: float = 0.5
    """Least time of each file at each shape, over the least number of launches [s]."""
    target_half_width: float = 0.03
    """Half width of each median's 95 % interval that is precise enough, as a share of the median."""
    budget_s: float = 40.0
    """Time budget for all files at all shapes [s]; the least launches are taken in any case, and passes are
    whole."""
    passes: int = 0
    """Number of timed passes over the targets' texts, each in a launch of its own."""
    device: str = "cpu"
    energy: bool = False
    peak: bool = False
    """Whether the records are to hold the machine's peak."""
    done: frozenset[Case] = frozenset()
    """Cases to leave out: what an earlier run has measured."""

    def runs_a_round(self, run_ms: float) -> int:
        """Return the number of runs of this duration that make a round."""
        wanted = max(3, round(self.block_ms / run_ms))
        return max(1, min(wanted, int(self.long_block_ms / run_ms)))

    @property
    def groups(self) -> list[list[Case]]:
        """Cases that share launches: the shapes, so that a file is not loaded for each; then the passes."""
        kinds = ([case for case in self.cases if case.kind == kind] for kind in ("latency", "pass"))
        return [group for group in kinds if group]

    @property
    def cases(self) -> list[Case]:
        """The shapes, then the passes; single rows have nothing to pad."""
        shapes = [Case(batch, length) for batch in self.batches for length in self.sequence_lengths]
        passes = [
            Case(batch, kind="pass", padding=padding)
            for batch in self.batches
            for padding in _paddings(batch)
        ]
        wanted = shapes + passes if self.passes else shapes
        return [case for case in wanted if case not in self.done]


def _paddings(batch: int) -> tuple[Padding, ...]:
    return ("none",) if batch == 1 else ("longest", "sorted")
