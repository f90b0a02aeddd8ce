"""What the command says at the end, on the screen and in the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from compress.compression import ModelFigures
from compress.sparsify.gain import HEADINGS, Gain
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import ScreenTable, markdown_table, screen_table

PLAINLY = (
    "A runtime multiplies by zeros as by any other number: no time is saved here. What shrinks is a "
    "compressed file. To be faster as well, cut instead: compress.prune."
)
ON_GPUS = "GPUs with sparse tensor cores multiply 2:4 matrices faster, in torch by to_sparse_semi_structured."


@dataclass(frozen=True)
class Sparse:
    """A model before and after."""

    opened: OpenedModel
    """The sparse model."""
    pattern: str
    zeros: float
    """Share of the layers' weights, 0..1."""
    figures: tuple[ModelFigures, ModelFigures]
    gains: Sequence[Gain]
    training: dict[str, Any] = field(default_factory=dict)
    """What the training reached, if there was one."""

    @property
    def after(self) -> ModelFigures:
        """The model as it is now."""
        return self.figures[1]

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the manifest's step: before, after; of the training what a training has."""
        before, after = (own.recorded for own in self.figures)
        gains = [
            {
                "format": own.format,
                "size_bytes": own.after.size_bytes,
                "compressed_bytes": own.after.compressed_bytes,
                "speed_up": own.speed_up.value,
            }
            for own in self.gains
        ]
        return {**self.training, "before": before, "after": after, "zeros": self.zeros, "files": gains}

    @property
    def sentence(self) -> str:
        """Zeros and scores."""
        metric = self.opened.text_task.metric
        before, after = (own.cells[-1] for own in self.figures)
        zeros = f"{100 * self.zeros:.1f} % of the layers' weights are zero."
        said = f"{zeros} {metric}: {before} before, {after} now."
        return " ".join([said, *self.after.scored_on])

    @property
    def notes(self) -> list[str]:
        """What it is good for."""
        slow = [own for own in self.gains if own.speed_up.low <= 1]
        return [*([PLAINLY] if slow else []), *([ON_GPUS] if self.pattern != "any" else [])]

    def markdown(self) -> str:
        """The card's body."""
        table = markdown_table(HEADINGS, [own.cells for own in self.gains]) if self.gains else ""
        return "\n\n".join(part for part in (self.sentence, table, *self.notes) if part) + "\n"

    def shown(self) -> list[ScreenTable | str]:
        """What the screen shows."""
        title = f"{self.opened.source.short_name}: what zeros buy"
        tables = [screen_table(title, HEADINGS, [own.cells for own in self.gains])] if self.gains else []
        return [self.sentence, *tables, *self.notes]
