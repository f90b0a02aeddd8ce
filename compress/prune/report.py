"""What the command says at the end, on the screen and in the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformers import PreTrainedModel

from compress.compression import ModelFigures, headings
from compress.prune.parts import FINDERS
from compress.training.scoring import TrainingResult, percent
from edgepress.core.architectures.pruned import SHAPES
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import ScreenTable, markdown_table, screen_table

HEADINGS = ("layers", "hidden", "heads", "ffn")
ANYWHERE = "Its config says its shape: transformers opens it as it stands."
HERE_ONLY = (
    "Its layers have shapes that a transformers config cannot say: edgepress opens it, and every file that "
    "it is exported to runs anywhere."
)


@dataclass(frozen=True)
class Shape:
    """What can be cut, as far as a model has it."""

    layers: int
    hidden: int
    heads: tuple[int, ...]
    """Of each layer."""
    ffn: tuple[int, ...]
    """Units of each layer."""

    @classmethod
    def of(cls, model: PreTrainedModel) -> Shape:
        """That of a model as it is."""
        heads, ffn = (tuple(part.units for part in FINDERS[kind](model)) for kind in ("heads", "ffn"))
        return cls(model.config.num_hidden_layers, model.config.hidden_size, heads, ffn)

    @property
    def cells(self) -> tuple[str, ...]:
        """Of a table, under `HEADINGS`."""
        return (str(self.layers), str(self.hidden), _text(self.heads), _text(self.ffn))

    @property
    def figures(self) -> dict[str, Any]:
        """Of a manifest."""
        return asdict(self)


def _text(each: tuple[int, ...]) -> str:
    """One number where all layers are alike."""
    return str(each[0]) if len(set(each)) == 1 else " ".join(map(str, each))


def opens_everywhere(model: PreTrainedModel) -> bool:
    """Whether a stock config says its shape (`save_model` recorded no other)."""
    return not hasattr(model.config, SHAPES)


@dataclass(frozen=True)
class Pruned:
    """A model before and after."""

    opened: OpenedModel
    """The pruned model."""
    shapes: tuple[Shape, Shape]
    figures: tuple[ModelFigures, ModelFigures]
    trainings: Sequence[TrainingResult] = ()
    """One after each cut, or none."""

    @property
    def after(self) -> ModelFigures:
        """The model as it is now."""
        return self.figures[1]

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the manifest's step: before, after; of the last training what a training has."""
        before, after = (
            {**own.recorded, "shape": shape.figures}
            for own, shape in zip(self.figures, self.shapes, strict=True)
        )
        metric, reached = self.opened.text_task.metric, [own.metrics for own in self.trainings]
        way = [{metric: own[metric], "seconds": own["seconds"]} for own in reached]
        return {**(reached[-1] if reached else {}), "before": before, "after": after, "iterations": way}

    @property
    def _headings(self) -> tuple[str, ...]:
        return ("", *HEADINGS, *headings(self.opened))

    @property
    def _rows(self) -> list[tuple[str, ...]]:
        each = zip(("before", "pruned"), self.shapes, self.figures, strict=True)
        return [(name, *shape.cells, *state.cells) for name, shape, state in each]

    def markdown(self) -> str:
        """The card's body."""
        table = markdown_table(self._headings, self._rows)
        scored_on = "".join(self.after.scored_on)
        return f"Pruned: its weights are cut, not masked. {self.where}\n\n{table}\n{scored_on}\n"

    @property
    def where(self) -> str:
        """Who opens it."""
        return ANYWHERE if opens_everywhere(self.opened.model) else HERE_ONLY

    def shown(self) -> list[ScreenTable | str]:
        """What the screen shows."""
        title = f"{self.opened.source.short_name}, pruned"
        cuts = [
            f"after cut {number}: {percent(self.opened.text_task, own.metrics)}, {own.seconds:.0f} s"
            for number, own in enumerate(self.trainings, start=1)
        ]
        table = screen_table(title, self._headings, self._rows)
        return [table, *cuts, *self.after.scored_on, self.where]
