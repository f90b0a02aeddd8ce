"""Subject and plan: what is measured, at which shapes, and when it is enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_bench.records import Kind, Measurement, Padding

EAGER, PACKED = "eager", "eager-packed"
EAGER_MODES = {EAGER: "torch eager", PACKED: "torch eager, oneDNN-packed weights"}


@dataclass(frozen=True)
class Subject:
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
        """What a worker is asked."""
        if self.kind == "pass":
            return {"batch": self.batch, "padding": self.padding, "texts": str(texts)}
        return {"batch": self.batch, "sequence_length": self.sequence_length, "runs": runs}


@dataclass(frozen=True)
class Plan:
    """What to measure and when it is enough."""

    sequence_lengths: tuple[int, ...] = (16, 64, 128)
    batches: tuple[int, ...] = (1,)
    threads: int = 1
    vocabulary: int = 30_000
    launches: int = 5
    """Processes of each file, at least: what a process gets by luck (its pages, its cores) is averaged out.
    A pass takes as many as there are `passes`."""
    steady: float = 0.05
    """How closely two blocks of runs have to agree before a shape is warmed up, in each launch."""
    warm_up_s: float = 2.0
    """Then it is taken as it is."""
    block_ms: float = 150.0
    """A round takes as many runs of a file as fill this time, at least 3: asking for it costs the better part
    of a millisecond."""
    long_block_ms: float = 1000.0
    """Fewer than 3 where they would take longer than this."""
    rounds: int = 4
    """Rounds of each launch at each shape; half of them where they take more than its share of the budget."""
    min_runs: int = 30
    min_time_s: float = 0.5
    """Least time of each file at each shape, over the least number of launches [s]."""
    target_half_width: float = 0.03
    """Enough when the 95 % interval of each median is this close, as a share of it."""
    budget_s: float = 40.0
    """For all files at all shapes; the least launches are taken in any case, and passes are whole."""
    passes: int = 0
    """How often a whole pass over the subjects' texts is timed, each in a launch of its own."""
    device: str = "cpu"
    energy: bool = False
    done: frozenset[Case] = frozenset()
    """Cases to leave out: what an earlier run has measured."""

    def runs_a_round(self, run_ms: float) -> int:
        """How many runs of this length make a round."""
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
