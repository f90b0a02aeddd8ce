"""Texts that a trimmed tokenizer splits otherwise."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase


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
