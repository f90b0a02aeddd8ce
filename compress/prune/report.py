"""What the command says at the end, on the screen and in the card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compress.change.result import State, headings
from compress.prune.shapes import HEADINGS, Shape, opens_everywhere
from compress.training.result import percent
from edgepress import console
from edgepress.loading import OpenedModel
from edgepress.tables import markdown_table, screen_table

ANYWHERE = "Its config says its shape: transformers opens it as it stands."
HERE_ONLY = (
    "Its layers have shapes that a transformers config cannot say: edgepress opens it, and every file that "
    "it is exported to runs anywhere."
)


@dataclass(frozen=True)
class Outcome:
    """A model before and after."""

    opened: OpenedModel
    """The pruned model."""
    shapes: tuple[Shape, Shape]
    states: tuple[State, State]
    recovered: tuple[dict[str, Any], ...] = ()
    """What each training after a cut reached."""

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the manifest's step: before, after; of the last training what a training has."""
        before, after = (
            {**state.figures, "shape": shape.figures}
            for state, shape in zip(self.states, self.shapes, strict=True)
        )
        metric, trained = self.opened.text_task.metric, self.recovered[-1] if self.recovered else {}
        way = [{metric: own[metric], "seconds": own["seconds"]} for own in self.recovered]
        return {**trained, "before": before, "after": after, "iterations": way}

    @property
    def _headings(self) -> tuple[str, ...]:
        return ("", *HEADINGS, *headings(self.opened))

    @property
    def _rows(self) -> list[tuple[str, ...]]:
        each = zip(("before", "pruned"), self.shapes, self.states, strict=True)
        return [(name, *shape.cells, *state.cells) for name, shape, state in each]

    def markdown(self) -> str:
        """The card's body."""
        table = markdown_table(self._headings, self._rows)
        scored_on = self.states[1].scored_on
        return f"Pruned: its weights are cut, not masked. {self.where}\n\n{table}\n{scored_on}\n"

    @property
    def where(self) -> str:
        """Who opens it."""
        return ANYWHERE if opens_everywhere(self.opened.model) else HERE_ONLY

    def show(self) -> None:
        """Print the table."""
        screen_table(f"{self.opened.source.short_name}, pruned", self._headings, self._rows).show()
        for number, own in enumerate(self.recovered, start=1):
            reached = percent(self.opened.text_task, own)
            console.line(f"after cut {number}: {reached}, {own['seconds']:.0f} s")
        self.states[1].show_scored_on()
        console.line(self.where)
