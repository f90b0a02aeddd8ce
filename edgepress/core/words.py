"""Words of a running text, as a model of named entities reads them."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice

SPACE = " "
# Scripts without spaces between words: each of their letters is one, as BERT's tokenizers have it.
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
FIRST_MARK, LAST_MARK = 0x300, 0x1EFFF
VARIANTS = "\U000e0100-\U000e01ef"
"""Marks far beyond all others: they choose a form of an ideograph."""


@cache
def _word() -> re.Pattern[str]:
    r"""The pattern of a word: letters and digits with what stands between them (it's, U.S, jean-luc), or one
    sign; marks belong to what they stand on. Python's \w leaves accents that are characters of their own
    out, and the vowel signs that words of India's scripts end with.
    """
    codes = range(FIRST_MARK, LAST_MARK + 1)
    own = "".join(char for char in map(chr, codes) if unicodedata.category(char).startswith("M"))
    marks = own + VARIANTS
    letters = rf"[^\W{UNSPACED}](?:[^\W{UNSPACED}]|[{marks}])*"
    return re.compile(
        rf"[{UNSPACED}][{marks}]*|{letters}(?:[^\w\s{marks}][^\w\s]*{letters})*|[^\w\s][{marks}]*"
    )


def word_spans(text: str) -> list[tuple[int, int]]:
    """First and behind the last character of each word of a running text."""
    return [match.span() for match in _word().finditer(text)]


def odd_word(words: Iterable[object]) -> list[object]:
    """The first that is no word: it is no text, is blank, or has a space in it; none where all are."""
    odd = (word for word in words if not isinstance(word, str) or not word.strip() or SPACE in word)
    return [*islice(odd, 1)]


def spaced_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield first and behind the last character of the words of a text, which stand one space apart."""
    begin = 0
    for word in text.split(SPACE):
        yield begin, begin + len(word)
        begin += len(word) + 1
