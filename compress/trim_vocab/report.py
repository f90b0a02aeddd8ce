"""What the command says at the end, on the screen and in the card."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from compress.change.result import State, headings
from compress.trim_vocab.pieces import Change
from edgepress import console
from edgepress.loading import OpenedModel
from edgepress.tables import markdown_table, screen_table

NAMES = ("before", "trimmed", "recovered")
SHOWN, SHOWN_IN_CARD = 5, 20


@dataclass(frozen=True)
class Outcome:
    """Everything that a run found out."""

    opened: OpenedModel
    """The trimmed model."""
    corpus: str
    tokens: tuple[int, int]
    """In the vocabulary, before and after."""
    states: Sequence[State]
    """Before, trimmed, and recovered where it did."""
    texts: int
    """Of the evaluation split that both tokenizers read."""
    changed: Sequence[Change]
    recovered: Mapping[str, Any]
    """What training reached; empty where there was none."""

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the manifest's step: before, trimmed, after; of a training what a training has."""
        named = {name: {"tokens": tokens, **state.figures} for name, tokens, state in self._each}
        changed = [asdict(change) for change in self.changed]
        after = [*named.values()][-1]
        return {**self.recovered, **named, "after": after, "texts": self.texts, "changed": changed}

    @property
    def _each(self) -> Iterator[tuple[str, int, State]]:
        before, after = self.tokens
        return zip(NAMES, (before, after, after), self.states, strict=False)

    @property
    def _rows(self) -> list[tuple[str, ...]]:
        return [(name, f"{tokens:,}", *state.cells) for name, tokens, state in self._each]

    @property
    def _headings(self) -> tuple[str, ...]:
        return ("vocabulary", "tokens", *headings(self.opened))

    @property
    def sentence(self) -> str:
        """How many texts are split otherwise."""
        task = self.opened.text_task
        where = f"{self.texts:,} texts of {task.name}/{task.evaluation_split}"
        if not self.changed:
            return f"All {where} are split as before."
        return f"{len(self.changed):,} of {where} are split otherwise than before."

    def markdown(self) -> str:
        """The card's body: the table, and texts that are split otherwise."""
        words = f"Vocabulary trimmed to what {self.corpus} needs. {self.sentence}\n"
        scored_on = f"{self.states[-1].scored_on}\n"
        return "\n".join([words, markdown_table(self._headings, self._rows), scored_on, self._listed()])

    def _listed(self) -> str:
        if not self.changed:
            return ""
        shown = self.changed[:SHOWN_IN_CARD]
        rows = [(each.text, " ".join(each.before), " ".join(each.after)) for each in shown]
        rest = "" if shown == self.changed else "\nThe rest stands in manifest.json.\n"
        return markdown_table(("text", "pieces before", "now"), rows) + rest

    def show(self) -> None:
        """Print the table, and the first texts that are split otherwise."""
        screen_table(f"{self.opened.source.short_name}: {self.corpus}", self._headings, self._rows).show()
        self.states[-1].show_scored_on()
        console.line(self.sentence)
        for change in self.changed[:SHOWN]:
            pieces = f"{' '.join(change.before)} -> {' '.join(change.after)}"
            console.line(f"  {pieces}")
