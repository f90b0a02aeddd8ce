"""Texts that tell tokenizers apart: real, hard, and what chance makes of both; the same each time."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from export.validation.tokenizer import HARD_CASES, HARD_STRINGS

REAL_TEXT = Path(__file__).parents[2] / "LICENSE"

MIXED = 900
SCATTERED = 500
MARKED = 400
SPECIAL = (
    *("[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "<s>", "</s>", "<mask>"),
    *("<left>", " <left> ", "<right>", " <right> ", "Big Word", "\u00c9t\u00e9", "e\u0301t\u00c9"),
)

# Fixed ranges, and not what a Python's Unicode calls assigned: that grows with each version.
SCRIPTS = (
    *((0x20, 0x7F), (0x20, 0x180), (0x80, 0x600), (0x600, 0xE00), (0xE00, 0x1800), (0x1E00, 0x2000)),
    *((0x2000, 0x2C00), (0x2C00, 0x3400), (0x4E00, 0x4F00), (0xA000, 0xAC00), (0xAC00, 0xD7A4)),
    *((0xF900, 0x10000), (0x10000, 0x11A00), (0x1D100, 0x1D800), (0x1E800, 0x1FB00)),
    *((0x20000, 0x2FA20), (0x100, 0x110000)),
)
MARKS = (
    *((0x300, 0x370), (0x591, 0x5C8), (0x610, 0x61B), (0x64B, 0x660), (0x93C, 0x94E), (0x9BC, 0x9CE)),
    *((0xE38, 0xE4C), (0xF71, 0xF85), (0x1D165, 0x1D173), (0x302A, 0x3030), (0x1DC0, 0x1E00)),
    (0x20D0, 0x20F1),
)
LETTERS = "aEiOn\u00c5\u00e9\u0130\u1e9e\u03a3\u0439\u0915\u304b\uac00\U0001d15f\U0001d1bc"

Texts = tuple[str, ...]
T = TypeVar("T")


def golden_texts() -> list[Texts]:
    """All of them: one text or a pair each."""
    chance = random.Random(20)
    singles = [*real_sentences(), *mixed(chance), *scattered(chance), *marked(chance)]
    pairs = zip(singles[::9], singles[4::9], strict=False)
    return [*HARD_CASES.values(), *((text,) for text in singles), *pairs]


def real_sentences() -> list[str]:
    """English, of lawyers."""
    words = " ".join(REAL_TEXT.read_text(encoding="utf-8").split())
    return [sentence for sentence in words.split(". ") if sentence]


def mixed(chance: random.Random) -> Iterator[str]:
    """Some words of a sentence, with pieces of hard strings and special tokens between or inside them."""
    sentences, hard = real_sentences(), [text for text in HARD_STRINGS.values() if text]
    for _ in range(MIXED):
        words = _pick(chance, sentences).split(" ")
        start = chance.randrange(len(words))
        kept = words[start : start + 1 + chance.randrange(8)]
        yield _pick(chance, (" ", " ", "", "\n")).join(_spoilt(chance, word, hard) for word in kept)


def _spoilt(chance: random.Random, word: str, hard: list[str]) -> str:
    text = _pick(chance, hard)
    start = chance.randrange(len(text))
    piece = text[start : start + 1 + chance.randrange(6)]
    special = _pick(chance, SPECIAL)
    return _pick(chance, (word, word, word.upper(), word + piece, piece, word + special, special))


def scattered(chance: random.Random) -> Iterator[str]:
    """Any code points of a script or two."""
    for _ in range(SCATTERED):
        yield "".join(_code_point(chance, SCRIPTS) for _ in range(2 + chance.randrange(8)))


def marked(chance: random.Random) -> Iterator[str]:
    """Letters with marks, in any order."""
    for _ in range(MARKED):
        letters = (_pick(chance, LETTERS) for _ in range(1 + chance.randrange(3)))
        yield "".join(letter + _marks(chance) for letter in letters)


def _marks(chance: random.Random) -> str:
    return "".join(_code_point(chance, MARKS) for _ in range(chance.randrange(5)))


def _code_point(chance: random.Random, ranges: tuple[tuple[int, int], ...]) -> str:
    first, end = _pick(chance, ranges)
    code = chance.randrange(first, end)
    return "a" if 0xD800 <= code < 0xE000 else chr(code)  # surrogates are no text


def _pick(chance: random.Random, items: Sequence[T]) -> T:
    return items[chance.randrange(len(items))]
