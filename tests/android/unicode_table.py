"""Writes the app's table of Unicode: what the tokenizers library makes of each code point.

The library's parts follow several versions of Unicode, and no Java or Android follows the same ones. So the
table is not taken from Unicode's files but asked of the library. Run this where a test says that it is stale.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from tokenizers import normalizers, pre_tokenizers

CORE = Path(__file__).parents[2] / "android_demo" / "core"
TABLE = CORE / "src/main/resources/org/edgepress/core/unicode.txt"
HEAD = "# Made by tests/android/unicode_table.py: code points as the tokenizers library has them"

SURROGATES = range(0xD800, 0xE000)
HANGUL = range(0xAC00, 0xD7A4)  # decomposed by rule
CODES = [code for code in range(0x110000) if code not in SURROGATES]
OVERLAY, ABOVE = "\u0334", "\u0300"  # of combining classes 1 and 230

NFD = normalizers.NFD()


def bert(**on: bool) -> normalizers.BertNormalizer:
    """BERT's normalizer with these steps only."""
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return normalizers.BertNormalizer(**{**off, **on})


def table() -> str:
    """The whole file."""
    return "\n".join([HEAD, *sets(), *classes(), *lowercase(), *decompositions()]) + "\n"


def sets() -> Iterator[str]:
    """The properties that a code point has or has not."""
    clean, separate, strip = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True)
    words = pre_tokenizers.BertPreTokenizer()
    pieces = {code: len(words.pre_tokenize_str(f"a{chr(code)}b")) for code in CODES}
    yield _set("space", (code for code in CODES if pieces[code] == 2))
    yield _set("punctuation", (code for code in CODES if pieces[code] == 3))
    dropped = {code for code in CODES if clean.normalize_str(chr(code)) == ""}
    yield _set("dropped", sorted(dropped.union(SURROGATES)))  # lone ones are no text
    yield _set("ideograph", (code for code in CODES if len(separate.normalize_str(chr(code))) == 3))
    yield _set("accent", (code for code in CODES if strip.normalize_str(chr(code)) == ""))


def classes() -> Iterator[str]:
    """Combining classes; one is found by what a mark changes places with."""
    marks = [code for code in CODES if _moves(chr(code), OVERLAY) or _moves(ABOVE, chr(code))]
    known = {unicodedata.combining(chr(code)): chr(code) for code in reversed(marks)}
    known.pop(0, None)  # those of which this Python does not know
    found = {code: _class(chr(code), known) for code in marks}
    for number in sorted(set(found.values())):
        yield _set(f"class {number}", (code for code in marks if found[code] == number))


def _class(mark: str, known: dict[int, str]) -> int:
    """That of the mark's own class is the only one with which it never changes places."""
    (found,) = (
        number for number, other in known.items() if not _moves(mark, other) and not _moves(other, mark)
    )
    return found


def _moves(one: str, other: str) -> bool:
    """Whether two marks change places; what decomposes is no mark by itself."""
    return NFD.normalize_str(f"a{one}{other}") == f"a{other}{one}" and one != other


def lowercase() -> Iterator[str]:
    """Letters that have another lower case."""
    lower = bert(lowercase=True)
    return _mappings("lower", ((code, lower.normalize_str(chr(code))) for code in CODES))


def decompositions() -> Iterator[str]:
    """Canonical decompositions, in full."""
    return _mappings(
        "decomposed", ((code, NFD.normalize_str(chr(code))) for code in CODES if code not in HANGUL)
    )


def _mappings(name: str, pairs: Iterable[tuple[int, str]]) -> Iterator[str]:
    for code, text in pairs:
        if text != chr(code):
            yield " ".join([name, f"{code:x}", *(f"{ord(one):x}" for one in text)])


def _set(name: str, codes: Iterable[int]) -> str:
    runs = (list(run) for _, run in groupby(enumerate(codes), key=lambda item: item[1] - item[0]))
    return " ".join([name, *(_range(run[0][1], run[-1][1]) for run in runs)])


def _range(first: int, last: int) -> str:
    return f"{first:x}" if first == last else f"{first:x}-{last:x}"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="ascii")
