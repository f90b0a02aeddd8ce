"""SentencePiece's table of characters (`Precompiled`) in ONNX, as the tokenizers library applies it.

The library looks at grapheme clusters: of one of at most five bytes the shortest beginning that the table
has stands for the whole cluster, and what follows is lost; of longer ones each character is looked up by
itself. Only short clusters matter therefore. Which characters join their neighbours is asked of the
normalizer itself. Not asked is what joins longer clusters alone (emoji, conjuncts of Indic scripts): it
counts where a cluster of two such ends in a character of the table with one more mark.
"""

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from tokenizers.normalizers import Precompiled

from export.onnx_graph.text.characters import SURROGATES, UNICODE
from export.onnx_graph.text.marks import CHARACTER, QUOTE, ROW, quoted, refusal
from export.onnx_graph.text.nodes import EXTENSIONS, Nodes

SHORT = 6
"""A cluster of fewer bytes is looked up as a whole."""
ACUTE, COMPOSED = "\u0301", "\xe9"
INT64 = 7


@dataclass(frozen=True)
class Charsmap:
    """Parts of SentencePiece's table that the graph holds."""

    single: dict[str, str]
    clusters: dict[str, str]
    """Two or three characters -> what stands for them."""
    extending: frozenset[str]
    """Characters that belong to the cluster of the one before."""
    prepended: frozenset[str]
    """Characters that belong to the cluster of the one behind."""
    apart: frozenset[str]
    """Characters of the table that no other one joins."""


@cache
def read(encoded: str) -> Charsmap:
    """Take `precompiled_charsmap` of tokenizer.json apart.

    Raises:
        EdgepressError: it is not one that composes letters with accents, which the questions need.
    """
    data = base64.b64decode(encoded)
    normalizer = Precompiled(data)
    if normalizer.normalize_str("e" + ACUTE) != COMPOSED:
        raise refusal("its table of characters (Precompiled) is not of SentencePiece's nmt_nfkc kind")
    keys = dict(_entries(data))
    single = {key: by for key, by in keys.items() if len(key) == 1}
    clusters = {key: by for key, by in keys.items() if len(key) > 1 and len(key.encode()) < SHORT}
    every = [chr(p) for p in UNICODE if p not in SURROGATES and chr(p) != QUOTE]
    alone = [single.get(c, c) for c in every]
    behind = _asked(normalizer, ["e" + ACUTE + c for c in every])
    before = _asked(normalizer, [c + "e" + ACUTE for c in every])
    extending = frozenset(
        c for c, by, text in zip(every, alone, behind, strict=True) if text != COMPOSED + by
    )
    bases = [c for c in single if c not in extending]
    joined = _asked(normalizer, [c + ACUTE for c in bases])
    return Charsmap(
        single,
        clusters,
        extending,
        frozenset(c for c, by, text in zip(every, alone, before, strict=True) if text != by + COMPOSED),
        frozenset(c for c, text in zip(bases, joined, strict=True) if text != single[c]),
    )


def _asked(normalizer: Precompiled, texts: list[str]) -> list[str]:
    return normalizer.normalize_str(QUOTE.join(texts)).split(QUOTE)


def _entries(data: bytes) -> Iterator[tuple[str, str]]:
    """Keys and values of the table: a trie in a double array (Yata's darts-clone), then the values."""
    (size,) = struct.unpack_from("<I", data)
    units = np.frombuffer(data, "<u4", size // 4, 4).tolist()
    values = data[4 + size :]
    waiting = [(b"", _offset(units[0]))]
    while waiting:
        key, node = waiting.pop()
        for byte in range(1, 256):
            place = node ^ byte
            if place >= len(units) or units[place] & 0x800000FF != byte:
                continue
            child = place ^ _offset(units[place])
            if units[place] >> 8 & 1:
                start = units[child] & 0x7FFFFFFF
                yield (key + bytes([byte])).decode(), values[start : values.index(0, start)].decode()
            waiting.append((key + bytes([byte]), child))


def _offset(unit: int) -> int:
    return int((unit >> 10) << ((unit & 0x200) >> 6))


def apply(nodes: Nodes, text: str, table: Charsmap, marked: list[str]) -> str:
    """Nodes that put the table's characters into a text.

    Args:
        nodes: where they are added.
        text: name of the text, (1,).
        table: from `read`.
        marked: added tokens with their marks, which are no characters.
    """
    parts, starts, ends, _ = nodes.ops(
        "StringRegexSplitWithOffsets",
        text,
        nodes.strings(CHARACTER),
        nodes.strings(CHARACTER),
        outputs=4,
        domain=EXTENSIONS,
    )
    known = sorted({*table.single, *table.extending, *table.prepended, "\r", "\n"})
    number = nodes.lookup(parts, {c: at for at, c in enumerate([*known, ROW, *marked], 1)}, 0)

    def flag(members: frozenset[str] | dict[str, str]) -> str:
        column = [0, *(int(c in members) for c in known), *[0] * (1 + len(marked))]
        return nodes.op("Gather", nodes.integers(column), number)

    zero, one = nodes.integers(0), nodes.integers(1)
    apart = [0, *(int(c in table.apart) for c in known), *[1] * (1 + len(marked))]
    key, apart_flag = flag(table.single), nodes.op("Gather", nodes.integers(apart), number)
    extends = nodes.op("Mul", flag(table.extending), nodes.op("Sub", one, _before(nodes, apart_flag)))
    pulled = nodes.op("Mul", _before(nodes, flag(table.prepended)), nodes.op("Sub", one, apart_flag))
    line_end = nodes.op("Mul", _before(nodes, flag(frozenset("\r"))), flag(frozenset("\n")))
    inner = nodes.op("Add", nodes.op("Add", extends, pulled), line_end)
    is_first = nodes.op("Equal", inner, zero)
    firsts = nodes.op("Reshape", nodes.op("NonZero", is_first), nodes.integers([-1]))
    cluster = nodes.op("Sub", nodes.op("CumSum", nodes.op("Cast", is_first, to=INT64), zero), one)
    beyond = nodes.op("Reshape", nodes.op("Size", parts), nodes.integers([1]))
    later = nodes.op("Slice", firsts, nodes.integers([1]), nodes.integers([2**31]), nodes.integers([0]))
    lasts = nodes.op("Sub", nodes.op("Concat", later, beyond, axis=0), one)
    size = nodes.op("Sub", nodes.op("Gather", ends, lasts), nodes.op("Gather", starts, firsts))
    found = _cluster(nodes, parts, table.clusters)
    found = nodes.op("Where", nodes.op("Greater", key, zero), zero, found)  # a key is shorter
    whole = nodes.op("Max", key, found)
    whole = nodes.op("Gather", nodes.op("Gather", whole, firsts), cluster)
    short = nodes.op("Gather", nodes.op("Less", size, nodes.integers(SHORT)), cluster)
    whole = nodes.op("And", short, nodes.op("Greater", whole, zero))
    single = nodes.strings("", *(quoted(table.single.get(c, "")) for c in known), *[""] * (1 + len(marked)))
    alone = nodes.op("Where", nodes.op("Greater", key, zero), nodes.op("Gather", single, number), parts)
    values = nodes.strings("", *(quoted(by) for by in table.clusters.values()))
    composed = nodes.op("Where", nodes.op("Greater", found, zero), nodes.op("Gather", values, found), alone)
    dropped = nodes.op("Where", is_first, composed, nodes.strings(""))
    return nodes.join(nodes.op("Where", whole, dropped, alone), "", axis=0)


def _before(nodes: Nodes, values: str) -> str:
    """The value of the character before each; 0 of the first."""
    shorter = nodes.op("Slice", values, nodes.integers([0]), nodes.integers([-1]), nodes.integers([0]))
    return nodes.op("Concat", nodes.integers([0]), shorter, axis=0)


def _cluster(nodes: Nodes, parts: str, clusters: dict[str, str]) -> str:
    """Number of the shortest of the table's sequences that begins at each character; 0 for none."""
    numbers = {quoted(key): at for at, key in enumerate(clusters, 1)}
    two = nodes.beginning_with(parts, parts, 1)
    three = nodes.beginning_with(two, parts, 2)
    found = nodes.lookup(two, numbers, 0)
    none = nodes.op("Equal", found, nodes.integers(0))
    return nodes.op("Where", none, nodes.lookup(three, numbers, 0), found)
