"""What the command says at the end, on the screen and in the card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from compress.compression import ModelFigures
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import ScreenTable, markdown_table, screen_table


@dataclass(frozen=True)
class Rounded:
    """A model in fp32, rounded as it was, and rounded after training with it."""

    opened: OpenedModel
    before: ModelFigures
    rounded: ModelFigures
    after: ModelFigures
    training: dict[str, Any] = field(default_factory=dict)
    """What the training reached, if there was one."""

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the manifest's step: scores; of the training what a training has."""
        stages = {"before": self.before, "rounded": self.rounded, "after": self.after}
        return {**self.training, **{name: own.recorded for name, own in stages.items()}}

    @property
    def _rows(self) -> list[tuple[str, str]]:
        rows = [("fp32, as it was", self.before), ("int8's rounding, as it was", self.rounded)]
        rows += [("int8's rounding, trained with it", self.after)] if self.training else []
        return [(name, own.cells[-1]) for name, own in rows]

    def markdown(self) -> str:
        """The card's body."""
        table = markdown_table(("", self.opened.text_task.metric), self._rows)
        scored_on = "".join(self.after.scored_on)
        return f"Weights that int8-dynamic's rounding changes little.\n\n{table}\n{scored_on}\n"

    def shown(self) -> list[ScreenTable | str]:
        """What the screen shows."""
        title = f"{self.opened.source.short_name}: what rounding costs"
        return [screen_table(title, ("", self.opened.text_task.metric), self._rows), *self.after.scored_on]
