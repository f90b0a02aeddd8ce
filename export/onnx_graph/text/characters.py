"""Effects of a tokenizer on single characters, found by asking it about every code point of Unicode.

Libraries differ in their tables of accents, punctuation, control characters and ideographs. The graph
takes the tokenizer's own. BERT's normalizer looks at each character by itself, but for one thing: it
puts successive combining marks into canonical order. It then removes those that it knows as accents, so
this shows only where two others (spacing marks, and marks newer than Unicode 8) follow each other out of
order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

SURROGATES = range(0xD800, 0xE000)
UNICODE = range(0x110000)
# Between the characters that are asked about; neither changes, and no other character becomes it.
SEPARATOR = "0"


@dataclass(frozen=True)
class Characters:
    """The classes of characters; one that is in none stays as it is."""

    removed: tuple[str, ...]
    spaces: tuple[str, ...]
    """What becomes a space."""
    words: tuple[str, ...]
    """What is a word of its own before anything else is done (ideographs)."""
    replaced: Mapping[str, str]
    """Capitals, accented letters, Hangul syllables: character -> what stands for it."""
    punctuation: tuple[str, ...]
    """What is a word of its own after the replacing."""


@cache
def characters(lowercase: bool, strip_accents: bool | None, handle_chinese_chars: bool) -> Characters:
    """Ask BERT's normalizer, with these settings of it, and BERT's pre-tokenizer."""
    normalizer = BertNormalizer(
        lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=handle_chinese_chars
    )
    normal = _normalized(normalizer)
    return Characters(
        removed=tuple(c for c, text in normal.items() if not text),
        spaces=tuple(c for c, text in normal.items() if text == " "),
        words=tuple(c for c, text in normal.items() if text == f" {c} "),
        replaced={c: text for c, text in normal.items() if text not in ("", " ", c, f" {c} ")},
        punctuation=_punctuation(c for c, text in normal.items() if text == c),
    )


def _normalized(normalizer: BertNormalizer) -> dict[str, str]:
    """Every character with what the normalizer makes of it."""
    asked = [chr(p) for p in UNICODE if p not in SURROGATES and chr(p) != SEPARATOR]
    answer = normalizer.normalize_str(SEPARATOR.join(asked)).split(SEPARATOR)
    return {**dict(zip(asked, answer, strict=True)), SEPARATOR: SEPARATOR}


def _punctuation(kept: Iterable[str]) -> tuple[str, ...]:
    """Punctuation characters, which the pre-tokenizer splits off."""
    asked = SEPARATOR + SEPARATOR.join(c for c in kept if c != SEPARATOR) + SEPARATOR
    words = [word for word, _ in BertPreTokenizer().pre_tokenize_str(asked)]
    return tuple(word for word in words if SEPARATOR not in word)


def character_class(members: Iterable[str]) -> str:
    r"""A class of characters as RE2 writes it, "[\x{21}-\x{2f}\x{3a}]"."""
    points = sorted(map(ord, members))
    starts = [p for before, p in pairwise([-2, *points]) if p != before + 1]
    ends = [p for p, after in pairwise([*points, -2]) if after != p + 1]
    return (
        "[" + "".join(rf"\x{{{low:x}}}-\x{{{high:x}}}" for low, high in zip(starts, ends, strict=True)) + "]"
    )
