"""Texts that stand in another collection already: word for word, or nearly so.

Texts are compared by their letters and digits alone, whatever their case, accents, spaces and punctuation:
"the film , it 's fun" and "The film, it's fun!" are one text. Two texts are nearly the same where the shorter
one shares half of its shingles with the other (Broder 1997, "On the resemblance and containment of
documents"), which a word that is replaced, or a beginning that is cut off, leaves it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np

SHINGLE = 16
"""Bytes of a shingle: three words of English."""
NEAR = 0.5
"""Share of the shorter text's shingles from which two texts are nearly the same."""
MOST_TEXTS_OF_A_SHINGLE = 10
"""Shingles of more texts are turns of phrase, and tell no two texts apart."""
BATCH = 10_000
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no letter is lost from 64 bits
OTHERS = re.compile(r"[\W_]+")
ASCII_OTHERS = {code: None for code in range(128) if not chr(code).isalnum()}
BETWEEN = b"\x00"


def letters_of(row: tuple[str, ...]) -> bytes:
    """Letters and digits of a text, or of the texts of a pair, by which they are compared."""
    return BETWEEN.join(_letters(text) for text in row)


def _letters(text: str) -> bytes:
    if text.isascii():
        return text.lower().translate(ASCII_OTHERS).encode()
    return OTHERS.sub("", unicodedata.normalize("NFKD", text.casefold())).encode()


def letters_key(letters: bytes) -> int:
    """Short name of a text in a set of millions: 64 bits of a digest of its letters."""
    return int.from_bytes(blake2b(letters, digest_size=8).digest(), "big")


class TextIndex:
    """Texts that others are compared with."""

    def __init__(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Index texts, or pairs of them."""
        letters = [letters_of(row) for row in rows]
        self._keys = {letters_key(own) for own in letters}
        parts = [*_shingles(letters)]
        hashes = np.concatenate([part[0] for part in parts] or [np.empty(0, np.uint64)])
        owners = np.concatenate([part[1] for part in parts] or [np.empty(0, np.int32)])
        self._counts = np.bincount(owners, minlength=len(letters))
        order = np.lexsort((owners, hashes))
        hashes, owners = hashes[order], owners[order]
        once = np.ones(len(hashes), dtype=bool)
        once[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
        hashes, self._owners = hashes[once], owners[once]
        self._hashes, self._starts, self._texts = np.unique(hashes, return_index=True, return_counts=True)

    def exact(self, letters: Sequence[bytes]) -> np.ndarray:
        """Return whether each text has the letters of an indexed one: (texts,) bool."""
        return np.asarray([letters_key(own) in self._keys for own in letters], dtype=bool)

    def near(self, letters: Sequence[bytes]) -> np.ndarray:
        """Return whether each text is nearly an indexed one, or exactly: (texts,) bool.

        Texts of less than a shingle are near to nothing.
        """
        found = np.zeros(len(letters), dtype=bool)
        if not len(self._hashes):
            return found
        for hashes, owners in _shingles(letters):
            texts, others = self._shared(hashes, owners)
            pairs, shared = np.unique(texts * np.int64(len(self._counts)) + others, return_counts=True)
            texts, others = np.divmod(pairs, len(self._counts))
            counts = np.bincount(owners, minlength=len(letters))
            shorter = np.minimum(counts[texts], self._counts[others])
            found[texts[shared >= NEAR * shorter]] = True
        return found

    def _shared(self, hashes: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (text, indexed text) for each shingle that both have, as two arrays."""
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        hit = (self._hashes[places] == hashes) & (self._texts[places] <= MOST_TEXTS_OF_A_SHINGLE)
        places, texts = places[hit], owners[hit]
        counts = self._texts[places]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(texts, counts), self._owners[np.repeat(self._starts[places], counts) + within]


def _shingles(letters: Sequence[bytes]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the hash of each shingle and the number of its text, of as many texts at once as memory takes."""
    for start in range(0, len(letters), BATCH):
        part = letters[start : start + BATCH]
        lengths = np.asarray([len(own) for own in part])
        joined = np.frombuffer(b"".join(part), dtype=np.uint8).astype(np.uint64)
        count = len(joined) - SHINGLE + 1
        if count <= 0:
            continue
        hashes = np.zeros(count, dtype=np.uint64)
        for at in range(SHINGLE):
            hashes = hashes * FACTOR + joined[at : at + count] + np.uint64(1)
        owners = np.repeat(np.arange(start, start + len(part), dtype=np.int32), lengths)
        whole = owners[:count] == owners[SHINGLE - 1 :]  # no shingle runs over the end of a text
        yield hashes[whole], owners[:count][whole]
