"""Tags of named entities: their schemes, the numbers that stand for them, and entities counted from them.

Data come in IOB1, IOB2 (BIO) or IOBES (BILOU, BMES); all are read as IOB2, in which every entity begins with
B-. Within arrays a tag is a number that needs no names: 0 is outside, 2 k + 1 begins an entity of type k,
2 k + 2 goes on with it (`TagSet`). Entities are counted as seqeval does, and so as conlleval does: an entity
is right where its type and both its ends are.

Ramshaw and Marcus 1995, "Text Chunking using Transformation-Based Learning" (IOB1); Tjong Kim Sang and De
Meulder 2003, "Introduction to the CoNLL-2003 Shared Task" (how entities are scored).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from seqeval.metrics.sequence_labeling import get_entities

from edgepress.core.errors import EdgepressError
from edgepress.core.labels import label_key

OUTSIDE = "O"
IGNORED = -100
TAG = re.compile(r"([BIESLUM])-(.+)")
# What begins an entity, and goes on with one, in IOBES, BILOU and BMES.
AS_IOB2 = {"S": "B", "U": "B", "E": "I", "L": "I", "M": "I"}


class BrokenTagsError(EdgepressError):
    """Tags that no scheme explains."""


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix and type of a tag; ("O", "") of one outside.

    Raises:
        BrokenTagsError: it is neither.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    found = TAG.fullmatch(tag)
    if found is None:
        raise BrokenTagsError(
            f"tag '{tag}' is neither O nor B-TYPE or I-TYPE (IOB1, IOB2, IOBES)",
            f"write tags of named entities so, or say what each means: --label-map '{tag}=B-PER' ...",
        )
    return found[1], found[2]


def as_iob2(rows: Sequence[Sequence[str]], name: Callable[[int], str]) -> list[list[str]]:
    """The same entities in IOB2.

    Args:
        rows: tags of each text, in one scheme.
        name: gives what messages call a row, by its place.

    Raises:
        BrokenTagsError: an entity begins with I- and the scheme is not IOB1, where B- only stands behind an
            entity of the same type.
    """
    split = [[split_tag(tag) for tag in row] for row in rows]
    plain = [[(AS_IOB2.get(prefix, prefix), name) for prefix, name in row] for row in split]
    begun = _first(plain, _begins_with_i)
    wrong = _first(plain, _no_iob1)
    if begun is not None and (wrong is not None or plain != split):
        row, place = begun
        raise BrokenTagsError(
            f"{name(row)}: tag {place + 1} is {rows[row][place]}, where no entity of its type goes on",
            "mend the tags: an entity begins with B-; in IOB1 with I-, and B- stands behind one of its type",
        )
    return [list(_begun(row)) for row in plain]


Pairs = Sequence[tuple[str, str]]


def _first(rows: Sequence[Pairs], wanted: Callable[[Pairs, int], bool]) -> tuple[int, int] | None:
    for number, row in enumerate(rows):
        for place in range(len(row)):
            if wanted(row, place):
                return number, place
    return None


def _follows(row: Pairs, place: int) -> bool:
    """Whether the tag before is of an entity of the same type."""
    return place > 0 and row[place - 1][1] == row[place][1]


def _begins_with_i(row: Pairs, place: int) -> bool:
    return row[place][0] == "I" and not _follows(row, place)


def _no_iob1(row: Pairs, place: int) -> bool:
    return row[place][0] == "B" and not _follows(row, place)


def _begun(row: Pairs) -> Iterator[str]:
    """The tags of a text in IOB2: an entity that begins with I- begins with B-."""
    for place, (prefix, name) in enumerate(row):
        begins = prefix == "I" and not _follows(row, place)
        yield f"{'B' if begins else prefix}-{name}" if name else OUTSIDE


@dataclass(frozen=True)
class TagSet:
    """The tags of a head, and the numbers that stand for them in arrays."""

    labels: tuple[str, ...]
    """The head's, in the order of its logits."""

    @classmethod
    def of_types(cls, types: Iterable[str]) -> TagSet:
        """The tags of a new head: O, and B- and I- of each type."""
        return cls((OUTSIDE, *(f"{prefix}-{name}" for name in types for prefix in "BI")))

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The types of entities, in the order in which the head names them."""
        return tuple(dict.fromkeys(name for _, name in map(split_tag, self.labels) if name))

    @cached_property
    def numbers(self) -> np.ndarray:
        """(labels,): the number of each of the head's tags; those of other schemes as IOB2 has them."""
        return np.asarray([self._number(*split_tag(label)) for label in self.labels])

    def _number(self, prefix: str, name: str) -> int:
        if prefix == OUTSIDE:
            return 0
        return 2 * self.types.index(name) + (1 if AS_IOB2.get(prefix, prefix) == "B" else 2)

    @property
    def size(self) -> int:
        """Number of distinct tag numbers: O, and B and I of each type."""
        return 1 + 2 * len(self.types)

    def number_of(self, tag: str) -> int:
        """The number of a tag in IOB2, whatever the case of its type.

        Raises:
            KeyError: the head has no such type.
        """
        prefix, name = split_tag(tag)
        if prefix == OUTSIDE:
            return 0
        return self._number(prefix, self._by_key[label_key(name)])

    @cached_property
    def _by_key(self) -> dict[str, str]:
        return {label_key(own): own for own in self.types}

    def in_order(self, logits: np.ndarray) -> np.ndarray:
        """Logits (..., labels) as (..., numbers); what the head cannot say is less likely than all else.

        Of several tags that mean the same in IOB2 (E- and I-) the likeliest counts.
        """
        found = np.repeat(logits.min(axis=-1, keepdims=True) - 1, self.size, axis=-1)
        for label, number in enumerate(self.numbers):
            found[..., number] = np.maximum(found[..., number], logits[..., label])
        return found

    def to_labels(self, numbers: np.ndarray) -> np.ndarray:
        """The head's label of each number; what is ignored stays so.

        Raises:
            EdgepressError: the head has no label for one of them.
        """
        ids = np.full(self.size, -1)
        ids[self.numbers[::-1]] = np.arange(len(self.labels))[::-1]  # of several the first
        found = np.where(numbers == IGNORED, IGNORED, ids[np.maximum(numbers, 0)])
        if (found == -1).any():
            raise EdgepressError(
                f"the model's labels {list(self.labels)} cannot say all tags of the data",
                "--head new gives it a new classifier",
            )
        return found


def entities(numbers: Sequence[int]) -> list[tuple[int, int, int]]:
    """(type, first place, last place) of each entity in a row of numbers, as seqeval finds them."""
    tags = [OUTSIDE if number == 0 else f"{'IB'[number % 2]}-{(number - 1) // 2}" for number in numbers]
    return [(int(name), first, last) for name, first, last in get_entities(tags)]


def entity_counts(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Entities of each text by type: (rows, types, 3), of right ones, given ones, and those that are there.

    Args:
        predicted: (rows, places) of tags' numbers.
        truth: the same shape or wider; places that are `IGNORED` count on neither side.
    """
    types = 1 + (max(int(predicted.max(initial=0)), int(truth.max(initial=0))) - 1) // 2
    counts = np.zeros((len(truth), max(types, 1), 3), dtype=np.int64)
    for row, own in enumerate(truth):
        kept = np.flatnonzero(own != IGNORED)
        there = set(entities(own[kept].tolist()))
        given = set(entities(predicted[row, kept].tolist()))
        for column, found in enumerate((there & given, given, there)):
            for kind, _, _ in found:
                counts[row, kind, column] += 1
    return counts
