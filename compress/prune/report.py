"""Report at the end of the command, on the screen and in the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from transformers import PreTrainedModel

from compress.compression import ModelFigures, Report, headings
from compress.parts import FINDERS
from compress.training.scoring import TrainingResult, percent
from edgepress.core.architectures.pruned import SHAPES
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import screen_table

HEADINGS = ("layers", "hidden", "heads", "ffn")
ANYWHERE = "Its config says its shape: transformers opens it as it stands."
HERE_ONLY = (
    "Its layers have shapes that a transformers config cannot say: edgepress opens it, and every file that "
    "it is exported to runs anywhere."
)


@dataclass(frozen=True)
class Shape:
    """Sizes of a model that pruning can change."""

    layers: int
    hidden: int
    heads: tuple[int, ...]
    """Number of heads of each layer."""
    ffn: tuple[int, ...]
    """Units of each layer."""

    @classmethod
    def of(cls, model: PreTrainedModel) -> Shape:
        """Read the shape of a model."""
        heads, ffn = (tuple(part.units for part in FINDERS[kind](model)) for kind in ("heads", "ffn"))
        return cls(model.config.num_hidden_layers, model.config.hidden_size, heads, ffn)

    @property
    def cells(self) -> tuple[str, ...]:
        """Table cells, under `HEADINGS`."""
        return (str(self.layers), str(self.hidden), _text(self.heads), _text(self.ffn))


def _text(each: tuple[int, ...]) -> str:
    """Write one number where all layers are alike."""
    return str(each[0]) if len(set(each)) == 1 else " ".join(map(str, each))


def opens_everywhere(model: PreTrainedModel) -> bool:
    """Whether a stock config says its shape (`save_model` recorded no other)."""
    return not hasattr(model.config, SHAPES)


def report(
    opened: OpenedModel,
    shapes: tuple[Shape, Shape],
    figures: tuple[ModelFigures, ModelFigures],
    trainings: Sequence[TrainingResult],
) -> Report:
    """A model before and after.

    Args:
        opened: the pruned model.
        shapes: before and after.
        figures: the same.
        trainings: one after each cut, or none.
    """
    task, now = opened.text_task, figures[1]
    pairs = list(zip(("before", "pruned"), shapes, figures, strict=True))
    before, after = ({**own.recorded, "shape": asdict(shape)} for _, shape, own in pairs)
    way = [{task.metric: own.scores[task.metric], "seconds": own.seconds} for own in trainings]
    rows = [(name, *shape.cells, *own.cells) for name, shape, own in pairs]
    table = screen_table(f"{opened.source.short_name}, pruned", ("", *HEADINGS, *headings(opened)), rows)
    where = ANYWHERE if opens_everywhere(opened.model) else HERE_ONLY
    cuts = [
        f"after cut {number}: {percent(task, own.scores)}, {own.seconds:.0f} s"
        for number, own in enumerate(trainings, start=1)
    ]
    scored = [*now.scored_on, *now.loss_against(figures[0])]
    said = f"Pruned: its weights are cut, not masked. {where}"
    return Report(
        after=now,
        metrics={"before": before, "after": after, "iterations": way},
        card=f"{said}\n\n{table.markdown()}\n{' '.join(scored)}\n",
        shown=[table, *cuts, *scored, where],
    )
