"""What the command says at the end, on the screen and in the card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from compress.change.result import State
from edgepress.loading import OpenedModel
from edgepress.tables import markdown_table, screen_table


@dataclass(frozen=True)
class Outcome:
    """A model in fp32, rounded as it was, and rounded after training with it."""

    opened: OpenedModel
    before: State
    at_once: State
    after: State
    learned: dict[str, Any] = field(default_factory=dict)
    """What the training reached, if there was one."""

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the manifest's step: scores; of the training what a training has."""
        states = {"before": self.before, "rounded": self.at_once, "after": self.after}
        return {**self.learned, **{name: state.figures for name, state in states.items()}}

    @property
    def _rows(self) -> list[tuple[str, str]]:
        rows = [("fp32, as it was", self.before), ("int8's rounding, as it was", self.at_once)]
        rows += [("int8's rounding, trained with it", self.after)] if self.learned else []
        return [(name, state.cells[-1]) for name, state in rows]

    def markdown(self) -> str:
        """The card's body."""
        table = markdown_table(("", self.opened.text_task.metric), self._rows)
        return f"Weights that int8-dynamic's rounding changes little.\n\n{table}\n{self.after.scored_on}\n"

    def show(self) -> None:
        """Print the table."""
        title = f"{self.opened.source.short_name}: what rounding costs"
        screen_table(title, ("", self.opened.text_task.metric), self._rows).show()
        self.after.show_scored_on()
