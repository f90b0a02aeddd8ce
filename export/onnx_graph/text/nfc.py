"""Unicode's normalization form C in ONNX (Unicode Standard Annex 15), by the tokenizers library's tables.

A text is an array of its characters. They are decomposed, successive combining marks are put into order,
and then each starter takes up those that compose with it: in a loop over the longest sequence of such
characters in the text, for all sequences at once.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
from tokenizers.normalizers import NFC, NFD

from export.onnx_graph.text.characters import SEPARATOR, SURROGATES, UNICODE
from export.onnx_graph.text.marks import CHARACTER
from export.onnx_graph.text.nodes import EXTENSIONS, Nodes

HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)
# Of the highest class of all: another mark behind it moves before it.
IOTA_BELOW = "\u0345"
INT64 = 7


@dataclass(frozen=True)
class Tables:
    """Tables of the characters that normalization changes; they are numbered from 1 on."""

    decomposed: dict[str, str]
    """Character -> its decomposition; Hangul syllables stay whole."""
    numbered: list[str]
    classes: np.ndarray
    """Canonical combining class of each number, (numbers + 1,), or another number of the same order."""
    pairs: np.ndarray
    """Number of the composite of a first and a second character, (firsts + 1, seconds + 1); 0 for none."""
    firsts: np.ndarray
    """Row in `pairs` of each number, (numbers + 1,); 0 of those that begin no pair."""
    seconds: np.ndarray
    """Column in `pairs` of each number, (numbers + 1,)."""


@cache
def tables() -> Tables:
    """Ask the tokenizers library about every code point."""
    every = [chr(p) for p in UNICODE if p not in SURROGATES and chr(p) != SEPARATOR]
    decomposed = {c: by for c, by in zip(every, _asked(NFD(), every), strict=True) if by != c}
    classes = _classes(every)
    pairs = _pairs(decomposed)
    numbered = sorted({*classes, *(c for pair in pairs for c in pair), *pairs.values()})
    number = {c: at for at, c in enumerate(numbered, 1)}
    rows = {c: at for at, c in enumerate(sorted({first for first, _ in pairs}), 1)}
    columns = {c: at for at, c in enumerate(sorted({second for _, second in pairs}), 1)}
    table = np.zeros((len(rows) + 1, len(columns) + 1), np.int64)
    for (first, second), composite in pairs.items():
        table[rows[first], columns[second]] = number[composite]
    return Tables(
        {c: by for c, by in decomposed.items() if ord(c) not in HANGUL_SYLLABLES},
        numbered,
        _column(numbered, classes),
        table,
        _column(numbered, rows),
        _column(numbered, columns),
    )


def _asked(form: NFC | NFD, texts: list[str]) -> list[str]:
    """What becomes of each text; the separator keeps them apart."""
    return form.normalize_str(SEPARATOR.join(texts)).split(SEPARATOR)


def _column(numbered: list[str], values: dict[str, int]) -> np.ndarray:
    return np.array([0, *(values.get(character, 0) for character in numbered)], np.int64)


def _classes(every: list[str]) -> dict[str, int]:
    """Combining marks and their order: each moves before those of a higher class."""
    moved = _asked(NFD(), [IOTA_BELOW + c for c in every])
    marks = [c for c, text in zip(every, moved, strict=True) if c == IOTA_BELOW or text[-1] == IOTA_BELOW]
    marks = [c for c, text in zip(marks, _asked(NFD(), marks), strict=True) if c == text]
    known = {unicodedata.combining(c): c for c in marks if unicodedata.combining(c)}
    classes = dict.fromkeys(marks, 0)
    for value in sorted(known):
        stays = _asked(NFD(), [known[value] + c for c in marks])
        classes |= {c: value for c, text in zip(marks, stays, strict=True) if text == known[value] + c}
    return classes


def _pairs(decomposed: dict[str, str]) -> dict[tuple[str, str], str]:
    """First and second character -> what they compose to."""
    longer = {c: by for c, by in decomposed.items() if len(by) > 1}
    firsts = _asked(NFC(), [by[:-1] for by in longer.values()])
    asked = [first + by[-1] for first, by in zip(firsts, longer.values(), strict=True)]
    return {
        (text[0], text[1]): composite
        for composite, first, text, answer in zip(longer, firsts, asked, _asked(NFC(), asked), strict=True)
        if answer == composite and len(first) == 1
    }


def composed_text(nodes: Nodes, text: str) -> str:
    """Nodes that bring a text into form C.

    Args:
        nodes: where they are added.
        text: name of the text (1,), which begins with a mark.
    """
    known = tables()
    lines = "\n".join(f"{c}\t{by}" for c, by in known.decomposed.items())
    parts = nodes.regex_split(text, CHARACTER, CHARACTER)
    parts = nodes.op("StringMapping", parts, domain=EXTENSIONS, map=lines)
    parts = nodes.regex_split(nodes.join(parts, "", axis=0), CHARACTER, CHARACTER)
    numbers = nodes.lookup(parts, {c: at for at, c in enumerate(known.numbered, 1)}, 0)
    order = _order(nodes, nodes.op("Gather", nodes.integers(known.classes), numbers))
    parts, numbers = nodes.op("Gather", parts, order), nodes.op("Gather", numbers, order)
    composed = _composed(nodes, numbers, known)
    same = nodes.op("Equal", numbers, composed)
    there = nodes.op("GreaterOrEqual", composed, nodes.integers(0))
    written = nodes.op(
        "Gather", nodes.strings("", *known.numbered), nodes.op("Max", composed, nodes.integers(0))
    )
    parts = nodes.op("Compress", nodes.op("Where", same, parts, written), there, axis=0)
    return nodes.join(parts, "", axis=0)


def _order(nodes: Nodes, classes: str) -> str:
    """Places of the characters, with successive marks sorted by their class, (characters,)."""
    starters = nodes.op("Cast", nodes.op("Equal", classes, nodes.integers(0)), to=INT64)
    sequences = nodes.op("CumSum", starters, nodes.integers(0))
    keys = nodes.op("Add", nodes.op("Mul", sequences, nodes.integers(256)), classes)
    size = nodes.op("Size", classes)
    places = nodes.op("Range", nodes.integers(0), size, nodes.integers(1))
    keys = nodes.op("Add", nodes.op("Mul", keys, size), places)
    count = nodes.op("Reshape", size, nodes.integers([1]))
    return nodes.ops("TopK", keys, count, outputs=2, largest=0)[1]


def _composed(nodes: Nodes, numbers: str, known: Tables) -> str:
    """Numbers after composition, (characters,); -1 for a character that went into another one."""
    tensors = {
        "classes": nodes.integers(known.classes),
        "pairs": nodes.integers(known.pairs.ravel()),
        "firsts": nodes.integers(known.firsts * known.pairs.shape[1]),
        "seconds": nodes.integers(known.seconds),
    }
    second = nodes.op("Gather", tensors["seconds"], numbers)
    mark = nodes.op("Add", second, nodes.op("Gather", tensors["classes"], numbers))
    starts = nodes.op(
        "Reshape", nodes.op("NonZero", nodes.op("Equal", mark, nodes.integers(0))), nodes.integers([-1])
    )
    size = nodes.op("Reshape", nodes.op("Size", numbers), nodes.integers([1]))
    later = nodes.op("Slice", starts, nodes.integers([1]), nodes.integers([2**31]), nodes.integers([0]))
    ends = nodes.op("Concat", later, size, axis=0)
    rounds = nodes.op(
        "Sub", nodes.op("ReduceMax", nodes.op("Sub", ends, starts), keepdims=0), nodes.integers(1)
    )
    none = nodes.op("Sub", starts, starts)

    def step(body: Nodes, at: str, composed: str, starter: str, last: str) -> list[str]:
        """One more character of every sequence: into its starter, or the last mark, or a new starter."""
        place = body.op("Add", body.op("Add", starts, at), body.integers(1))
        inside = body.op("Less", place, ends)
        place = body.op("Where", inside, place, starts)  # of a sequence that is done: any
        number = body.op("Gather", numbers, place)
        kind = body.op("Gather", tensors["classes"], number)
        first = body.op("Gather", tensors["firsts"], body.op("Gather", composed, starter))
        pair = body.op("Add", first, body.op("Gather", tensors["seconds"], number))
        composite = body.op("Gather", tensors["pairs"], pair)
        zero = body.integers(0)
        blocked = body.op("And", body.op("Greater", last, zero), body.op("GreaterOrEqual", last, kind))
        joins = body.op("And", body.op("Greater", composite, zero), body.op("Not", blocked))
        joins = body.op("And", joins, inside)
        stays = body.op("And", inside, body.op("Not", joins))
        starts_anew = body.op("And", stays, body.op("Equal", kind, zero))
        old = body.op("Gather", composed, starter)
        composed = body.op("ScatterElements", composed, starter, body.op("Where", joins, composite, old))
        kept = body.op("Gather", composed, place)
        composed = body.op(
            "ScatterElements", composed, place, body.op("Where", joins, body.integers(-1), kept)
        )
        return [
            composed,
            body.op("Where", starts_anew, place, starter),
            body.op("Where", stays, kind, last),
        ]

    return nodes.loop(rounds, [numbers, starts, none], step)[0]
