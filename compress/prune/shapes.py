"""The shape of a model in numbers: layers, heads, feed-forward units, hidden width."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from transformers import PreTrainedModel

from compress.prune.parts import FINDERS
from edgepress.core.architectures.pruned import SHAPES


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


HEADINGS = ("layers", "hidden", "heads", "ffn")


def _text(each: tuple[int, ...]) -> str:
    """One number where all layers are alike."""
    return str(each[0]) if len(set(each)) == 1 else " ".join(map(str, each))


def opens_everywhere(model: PreTrainedModel) -> bool:
    """Whether a stock config says its shape (`save_model` recorded no other)."""
    return not hasattr(model.config, SHAPES)
