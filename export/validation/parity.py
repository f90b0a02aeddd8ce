"""Parity: how far an exported file's logits are from its parent's, and whether that is too far."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from edgepress.core.errors import ExpectationError
from edgepress.core.tasks import ProblemType
from edgepress.core.tasks.kind import TaskKind
from edgepress.core.tasks.kinds import kind_of
from export.core.runner import Batch, Runner

# Largest absolute difference of a logit that a file of each precision may show. fp32 is the same
# arithmetic in another order; fp16 rounds (MiniLM's weights alone, rounded, move a logit by 5e-3); for
# the rest this only catches a broken file, since what they lose is the technique's price, measured as
# accuracy and agreement, not a fault of the export.
TOLERANCES = {"fp32": 1e-4, "fp16": 2e-2, "int8": 4.0, "int6": 4.0, "int4": 8.0, "sparse": 8.0}
# Core ML's fp32 keeps some constants (GELU's, the mask's) rounded.
TOLERANCES_OF_FORMATS = {("coreml", "fp32"): 1e-3}


@dataclass(frozen=True)
class Parity:
    """The difference of two models over the same batches."""

    max_abs: float
    mean_abs: float
    agreement: float | None
    """Share of rows, or tokens, on which both decide alike; of values their rank correlation, None where
    undefined."""
    worst_batch: int
    """Batch size, and `worst_length`: sequence length, where `max_abs` stands."""
    worst_length: int
    rows: int
    agreed_rows: int = 0
    """Rows, or tokens, that agreement is of."""
    likeness: Mapping[str, float] = field(default_factory=dict)
    """Further figures of how alike the two are, by name, as `TaskKind.likeness` gives them."""

    def to_dict(self) -> dict[str, Any]:
        known = asdict(self)
        return {**known, **known.pop("likeness")}


def compare(parent: Runner, child: Runner, batches: Sequence[Batch], problem_type: ProblemType) -> Parity:
    """Run both over all batches and compare their logits."""
    return compare_logits([parent(b) for b in batches], [child(b) for b in batches], batches, problem_type)


def compare_logits(
    parent: Sequence[np.ndarray],
    child: Sequence[np.ndarray],
    batches: Sequence[Batch],
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> Parity:
    """Compare logits that are already there: of each batch (rows, labels), or (rows, tokens, labels).

    Raises:
        ExpectationError: a shape differs, or a child's logit is not a finite number.
    """
    comparison = LogitsComparison(kind_of(problem_type), thresholds)
    for theirs, ours, batch in zip(parent, child, batches, strict=True):
        comparison.add(theirs, ours, batch)
    return comparison.parity()


class LogitsComparison:
    """A comparison of two models batch by batch: logits over a vocabulary do not fit into memory together."""

    def __init__(self, kind: TaskKind, thresholds: Sequence[float] | None = None) -> None:
        self._kind, self._thresholds = kind, thresholds
        self._worst, self._where = -1.0, (0, 0)
        self._sum, self._squares, self._count, self._rows = 0.0, 0.0, 0, 0
        self._choices: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, parent: np.ndarray, child: np.ndarray, batch: Batch, agrees: bool = True) -> None:
        """Compare the logits of one more batch; `agrees`: whether agreement is of it, too.

        Raises:
            ExpectationError: the shapes differ, or a logit is not a finite number.
        """
        _require_comparable(parent, child, batch)
        mask = _mask(batch)
        difference = np.abs(self._kind.compared(child - parent, mask))
        largest = float(difference.max(initial=0))
        if largest > self._worst:
            self._worst, self._where = largest, batch["input_ids"].shape
        self._sum += float(difference.sum(dtype=np.float64))
        self._squares += float(np.square(difference, dtype=np.float64).sum())
        self._count += difference.size
        self._rows += len(parent)
        if agrees:
            self._choices.append((self._kind.choices(parent, mask), self._kind.choices(child, mask)))

    @property
    def rms(self) -> float:
        """Root mean square of the differences so far."""
        return float(np.sqrt(self._squares / self._count))

    def parity(self) -> Parity:
        """Return the difference over all batches."""
        theirs, ours = (np.concatenate(own) for own in zip(*self._choices, strict=True))
        return Parity(
            max_abs=self._worst,
            mean_abs=self._sum / self._count,
            agreement=self._kind.agreement(theirs, ours, self._thresholds),
            worst_batch=self._where[0],
            worst_length=self._where[1],
            rows=self._rows,
            agreed_rows=len(theirs),
            likeness=self._kind.likeness(theirs, ours),
        )


def _mask(batch: Batch) -> np.ndarray:
    return batch.get("attention_mask", np.ones_like(batch["input_ids"]))


def compared(kind: TaskKind, logits: np.ndarray, batch: Batch) -> np.ndarray:
    """Return the logits of a batch without those of padding, (rows or tokens, labels)."""
    return kind.compared(logits, _mask(batch))


def _require_comparable(parent: np.ndarray, child: np.ndarray, batch: Batch) -> None:
    rows, length = batch["input_ids"].shape
    if parent.shape != child.shape:
        raise ExpectationError(f"parity: logits have shape {child.shape}, the parent's {parent.shape}")
    for whose, logits in (("the parent's", parent), ("the file's", child)):
        if not np.isfinite(logits).all():
            raise ExpectationError(
                f"parity: {whose} logits are not finite at batch {rows}, sequence {length}"
            )


def require(parity: Parity, format_name: str, precision: str, atol: float | None, what: str) -> None:
    """Raise unless `parity` is within `atol` (default: the tolerance of the precision).

    Raises:
        ExpectationError: it is not; the message says where and by how much.
    """
    usual = TOLERANCES_OF_FORMATS.get((format_name, precision), TOLERANCES[precision])
    limit = usual if atol is None else atol
    if parity.max_abs > limit:
        raise ExpectationError(
            f"parity of {what} failed: a logit differs by {parity.max_abs:.2e} from its parent's, "
            f"allowed {limit:.1e}, at batch {parity.worst_batch}, sequence {parity.worst_length}",
            "nothing was written; a larger --atol accepts it",
        )


def parity_batches(encodings: Sequence[Batch], longest: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Batches of 1 to 8 rows and 1 to `longest` tokens, padded and not, cut from real sentences.

    Args:
        encodings: batches of one row, as `models.encode` makes them.
        longest: the model's longest input [tokens].
        seed: which rows are drawn.
    """
    # Padding of a fixed shape is left out: a row of nothing but that has no logits to agree on.
    attended = [e["attention_mask"][0] > 0 for e in encodings]
    stream = {
        name: np.concatenate([e[name][0][kept] for e, kept in zip(encodings, attended, strict=True)])
        for name in encodings[0]
    }
    sizes = [(1, 1), (1, 7), (3, 16), (8, 33), (2, 128), (1, longest)]
    rng = np.random.default_rng(seed)
    batches = [_cut(stream, rows, min(length, longest), rng) for rows, length in sizes]
    return [*batches, *(_pad(batch, rng) for batch in batches if batch["input_ids"].shape[0] > 1)]


def _cut(stream: Batch, rows: int, length: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    size = stream["input_ids"].size
    at = (rng.integers(size, size=(rows, 1)) + np.arange(length)) % size
    return {name: values[at] for name, values in stream.items()}


def _pad(batch: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    rows, length = batch["input_ids"].shape
    kept = rng.integers(1, length + 1, size=(rows, 1)) > np.arange(length)
    return {**batch, "attention_mask": kept.astype(np.int64)}
