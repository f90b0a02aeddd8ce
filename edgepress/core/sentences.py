"""Long texts as shorter ones: whole sentences, as many together as the texts of a task are long."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle

import numpy as np

# Behind a full stop; at the end of a line, also as web pages have it (IMDb's reviews).
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\s*(?:<br\s*/?>|\n)\s*")
DRAWN = 10_000
EXTREMES = (1, 99)
"""Percentiles of a task's lengths, beyond which a text is too short or too long."""


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [own for part in SENTENCE_END.split(text) if (own := part.strip())]


def words(text: str) -> int:
    """Number of words, as spaces part them."""
    return len(text.split())


class LengthModel:
    """Lengths of the texts of a task [words], and other texts cut to the like of them."""

    def __init__(self, texts: Iterable[str], seed: int = 0) -> None:
        """Measure the texts of a task.

        Args:
            texts: at least one.
            seed: for the length that each cut text is to have.
        """
        lengths = np.asarray([words(text) for text in texts])
        self.shortest, self.longest = (int(own) for own in np.percentile(lengths, EXTREMES, method="nearest"))
        self._wanted = cycle(np.random.default_rng(seed).choice(lengths, DRAWN).tolist())

    def fits(self, text: str) -> bool:
        """Whether a text is as long as those of the task are, but for their extremes."""
        return self.shortest <= words(text) <= self.longest

    def cut(self, text: str) -> Iterator[str]:
        """Cut a text into whole sentences, as many together as come nearest to a length drawn of the task."""
        parts = sentences(text)
        lengths = [words(part) for part in parts]
        start = 0
        while start < len(parts):
            end = start + _nearest(lengths[start:], next(self._wanted))
            yield " ".join(parts[start:end])
            start = end


def _nearest(lengths: Sequence[int], wanted: int) -> int:
    """Return how many of the first sentences together come nearest to a length; one at least."""
    total = lengths[0]
    for count, own in enumerate(lengths[1:], 1):
        if abs(total + own - wanted) >= abs(total - wanted):
            return count
        total += own
    return len(lengths)
