"""What the command says at the end, on the screen and in the card."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from compress.compression import ModelFigures, headings
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import ScreenTable, markdown_table, screen_table

NAMES = ("before", "trimmed", "recovered")
SHOWN, SHOWN_IN_CARD = 5, 20


@dataclass(frozen=True)
class PieceChange:
    """One text, and the pieces that the two splits of it do not share."""

    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def changes(
    before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]]
) -> list[PieceChange]:
    """The texts whose pieces differ, in order; a text of two columns is one text."""
    return list(_changes(before, after, texts))


def _changes(
    before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]]
) -> Iterator[PieceChange]:
    for columns in texts:
        old, new = (_pieces(tokenizer, columns) for tokenizer in (before, after))
        if old != new:
            yield PieceChange(" | ".join(columns), _beyond(old, new), _beyond(new, old))


def _pieces(tokenizer: PreTrainedTokenizerBase, columns: tuple[str, ...]) -> list[str]:
    return [piece for column in columns for piece in tokenizer.tokenize(column)]


def _beyond(own: list[str], other: list[str]) -> tuple[str, ...]:
    """What stands in `own` more often than in `other`."""
    return tuple((Counter(own) - Counter(other)).elements())


@dataclass(frozen=True)
class Trimmed:
    """Everything that a run found out."""

    opened: OpenedModel
    """The trimmed model."""
    corpus: str
    tokens: tuple[int, int]
    """In the vocabulary, before and after."""
    figures: Sequence[ModelFigures]
    """Before, trimmed, and recovered where it did."""
    texts: int
    """Of the evaluation split that both tokenizers read."""
    changed: Sequence[PieceChange]
    training: Mapping[str, Any]
    """What the training reached; empty where there was none."""

    @property
    def after(self) -> ModelFigures:
        """The model as it is now."""
        return self.figures[-1]

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the manifest's step: before, trimmed, after; of a training what a training has."""
        named = {name: {"tokens": tokens, **own.recorded} for name, tokens, own in self._each}
        changed = [asdict(change) for change in self.changed]
        after = [*named.values()][-1]
        return {**self.training, **named, "after": after, "texts": self.texts, "changed": changed}

    @property
    def _each(self) -> Iterator[tuple[str, int, ModelFigures]]:
        before, after = self.tokens
        return zip(NAMES, (before, after, after), self.figures, strict=False)

    @property
    def _rows(self) -> list[tuple[str, ...]]:
        return [(name, f"{tokens:,}", *own.cells) for name, tokens, own in self._each]

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
        scored_on = "".join(self.after.scored_on) + "\n"
        return "\n".join([words, markdown_table(self._headings, self._rows), scored_on, self._listed()])

    def _listed(self) -> str:
        if not self.changed:
            return ""
        shown = self.changed[:SHOWN_IN_CARD]
        rows = [(each.text, " ".join(each.before), " ".join(each.after)) for each in shown]
        rest = "" if shown == self.changed else "\nThe rest stands in manifest.json.\n"
        return markdown_table(("text", "pieces before", "now"), rows) + rest

    def shown(self) -> list[ScreenTable | str]:
        """What the screen shows: the table, and the first texts that are split otherwise."""
        title = f"{self.opened.source.short_name}: {self.corpus}"
        table = screen_table(title, self._headings, self._rows)
        pieces = [f"  {' '.join(own.before)} -> {' '.join(own.after)}" for own in self.changed[:SHOWN]]
        return [table, *self.after.scored_on, self.sentence, *pieces]
