"""Unigram in ONNX (XLM-R, CamemBERT, DeBERTa, E5): the best pieces of each word, in float64 as the tokenizer.

The extensions' SentencepieceTokenizer adds scores in float32, which decides otherwise where two ways are
worth the same, and knows nothing of added tokens. So the graph looks all pieces up itself, and finds the
best way in a loop over the characters of the longest word, for all words at once (Kudo 2018,
arXiv:1804.10959).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from export.onnx_graph.text import byte_bpe, charsmap, nfc
from export.onnx_graph.text.marks import (
    BEGIN,
    BLANKS,
    CHARACTER,
    CUT,
    END,
    MARKS,
    ROW,
    ROW_ID,
    Added,
    mark_added,
    one_text,
    quote,
    quoted,
    read_added,
    refusal,
)
from export.onnx_graph.text.nodes import EXTENSIONS, Nodes

BLANK = "\u2581"
"""What stands for a blank in pieces."""
UNKNOWN_PENALTY = 10.0
"""An unknown character is worth less by this than the worst piece."""
LOWEST = -1e300
INT64 = 7

Normalize = Callable[[Nodes, str], str]


@dataclass(frozen=True)
class Unigram:
    """Tables of a Unigram tokenizer that the graph holds."""

    pieces: tuple[tuple[str, float], ...]
    unknown: int
    added: Added
    normalizers: tuple[Normalize, ...]
    split_blanks: bool
    """Whether texts are split at white space first."""
    prepend: bool
    """Whether each word, or each text between added tokens, begins with `BLANK`."""


def read(tokenizer: Tokenizer) -> Unigram:
    """Take a tokenizer apart.

    Raises:
        EdgepressError: its normalizer or its words are others.
    """
    parts = json.loads(tokenizer.to_str())
    model = parts["model"]
    if model.get("byte_fallback") or model["unk_id"] is None:
        raise refusal("its model writes unknown characters as bytes, or has no unknown token")
    words = _members(parts["pre_tokenizer"], "pretokenizers")
    kinds = [entry["type"] for entry in words]
    if kinds not in (["WhitespaceSplit", "Metaspace"], ["Metaspace"]):
        raise refusal(f"its words are those of {', '.join(kinds) or 'nothing'}; a Unigram may have Metaspace")
    space = words[-1]
    scheme = space.get("prepend_scheme", "always" if space.get("add_prefix_space") else "never")
    if space["replacement"] != BLANK or not space.get("split", True) or scheme not in ("always", "never"):
        raise refusal(f"its Metaspace has {space}")
    added = read_added(tokenizer)
    return Unigram(
        tuple((piece, score) for piece, score in model["vocab"]),
        model["unk_id"],
        added,
        tuple(_normalize(entry, added) for entry in _members(parts["normalizer"], "normalizers")),
        len(words) > 1,
        scheme == "always",
    )


def _members(part: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    """The steps of a normalizer or pre-tokenizer."""
    if part is None:
        return []
    return list(part[name]) if part["type"] == "Sequence" else [part]


def _normalize(step: dict[str, Any], added: Added) -> Normalize:
    """The nodes of one step of a normalizer."""
    kind = step["type"]
    blank = byte_bpe.classes().blanks
    patterns = {" {2,}": " {2,}", r"\s{2,}|[\n\r\t]": rf"{blank}{{2,}}|[\n\r\t]"}
    pattern = patterns.get(step.get("pattern", {}).get("Regex"))
    if kind == "Precompiled":
        table = charsmap.read(step["precompiled_charsmap"])
        return lambda nodes, text: charsmap.apply(nodes, text, table, [*added.marked])
    if kind == "NFC":
        return nfc.composed_text
    if kind == "Strip":
        return lambda nodes, text: _strip(nodes, text, step["strip_left"], step["strip_right"])
    if kind == "Replace" and pattern and step["content"] == " ":
        return lambda nodes, text: nodes.regex_replace(text, pattern, " ")
    raise refusal(f"its normalizer has {kind} {json.dumps(step.get('pattern', ''))}")


def _strip(nodes: Nodes, text: str, left: bool, right: bool) -> str:
    if left:
        text = nodes.regex_replace(text, f"([{ROW}{END}]){BLANKS}+", r"\1")
    return nodes.regex_replace(text, rf"{BLANKS}+([{ROW}{BEGIN}]|\z)", r"\1") if right else text


def token_ids(nodes: Nodes, text: str, pieces: Unigram) -> str:
    """Nodes that give the ids of all rows behind each other, (tokens,) int64; `ROW_ID` before each row.

    Args:
        nodes: where they are added.
        text: name of the strings, (rows,).
        pieces: from `read`.
    """
    text = one_text(nodes, mark_added(nodes, quote(nodes, text), pieces.added.raw))
    for normalize in pieces.normalizers:
        text = normalize(nodes, text)
    text = mark_added(nodes, text, pieces.added.normalized)
    return _best(nodes, _words(nodes, text, pieces), pieces)


def _words(nodes: Nodes, text: str, pieces: Unigram) -> str:
    """Words and marks, (words,)."""
    text = nodes.regex_replace(text, f"{BLANKS}+", CUT) if pieces.split_blanks else text
    text = nodes.regex_replace(text, " ", BLANK)
    if pieces.prepend:
        text = nodes.regex_replace(text, f"([{ROW}{END}{CUT}])([^{BLANK}{MARKS}])", rf"\1{BLANK}\2")
    pattern = f"(?s)({BEGIN}[^{END}]*{END}|{ROW}|{CUT}|{BLANK}[^{BLANK}{MARKS}]*|[^{BLANK}{MARKS}]+)"
    return nodes.regex_split(text, pattern, f"(?s)([^{CUT}]+)")


def _best(nodes: Nodes, words: str, pieces: Unigram) -> str:
    """Ids of the best pieces of all words, (tokens,)."""
    characters, _, _, offsets = nodes.ops(
        "StringRegexSplitWithOffsets",
        words,
        nodes.strings(CHARACTER),
        nodes.strings(CHARACTER),
        outputs=4,
        domain=EXTENSIONS,
    )
    first, beyond = (
        nodes.op("Slice", offsets, nodes.integers([a]), nodes.integers([b]), nodes.integers([0]))
        for a, b in ((0, -1), (1, 2**31))
    )
    ids, scores, longest = _all_pieces(nodes, characters, pieces)
    length = _lengths(nodes, scores, first, beyond, longest)
    ends = _ends(nodes, length, first, beyond)
    places = nodes.op("Reshape", nodes.op("NonZero", ends), nodes.integers([-1]))
    length = nodes.op("Gather", length, places)
    start = nodes.op("Add", nodes.op("Sub", places, length), nodes.integers(1))
    index = nodes.op("Mul", nodes.op("Sub", length, nodes.integers(1)), nodes.op("Size", characters))
    tokens = nodes.op("Gather", ids, nodes.op("Add", index, start))
    return _without_repeated_unknown(nodes, tokens, start, first, characters, pieces)


def _all_pieces(nodes: Nodes, characters: str, pieces: Unigram) -> tuple[str, str, int]:
    """Ids and scores of what begins at each character, (lengths * characters,), the shortest first."""
    marked = {ROW: ROW_ID, **pieces.added.marked}
    vocabulary = {quoted(piece): index for index, (piece, _) in enumerate(pieces.pieces) if piece}
    longest = max(len(piece) for piece, _ in pieces.pieces)
    texts = [characters]
    for distance in range(1, longest):
        texts.append(nodes.beginning_with(texts[-1], characters, distance))
    # What stands for no piece, and for marks; ids of marks are set apart by an offset.
    none, offset = len(pieces.pieces), len(pieces.pieces) + 1
    marks = {mark: offset + at for at, mark in enumerate(marked)}
    found = nodes.lookup(nodes.op("Concat", *texts, axis=0), vocabulary | marks, none)
    worst = min(score for _, score in pieces.pieces) - UNKNOWN_PENALTY
    table = [score for _, score in pieces.pieces]
    scores = nodes.op("Gather", nodes.doubles([*table, LOWEST, *[0.0] * len(marked)]), found)
    places = nodes.op("Range", nodes.integers(0), nodes.op("Size", found), nodes.integers(1))
    alone = nodes.op("Less", places, nodes.op("Size", characters))
    unknown = nodes.op("And", alone, nodes.op("Equal", found, nodes.integers(none)))
    scores = nodes.op("Where", unknown, nodes.doubles(worst), scores)
    ids = [*range(none), pieces.unknown, *marked.values()]
    return nodes.op("Gather", nodes.integers(ids), found), scores, longest


def _lengths(nodes: Nodes, scores: str, first: str, beyond: str, longest: int) -> str:
    """Length of the last piece of the best way to the end of each character, (characters,)."""
    lengths = nodes.integers(list(range(longest, 0, -1)))  # of two ways worth the same the longer piece's
    size = nodes.op("Div", nodes.op("Size", scores), nodes.integers(longest))
    shape = nodes.op("Reshape", size, nodes.integers([1]))
    nothing = nodes.op("Expand", nodes.integers([0]), shape)
    best = nodes.op("Expand", nodes.doubles([0.0]), shape)
    span = nodes.op("Sub", beyond, first)
    rounds = nodes.op("ReduceMax", span, keepdims=0)
    rows = nodes.op("Mul", nodes.op("Sub", lengths, nodes.integers(1)), size)

    def step(body: Nodes, at: str, best: str, chosen: str) -> list[str]:
        """The best way to the character `at` of every word."""
        inside = body.op("Less", at, span)
        words = body.op("Compress", first, inside, axis=0)
        place = body.op("Add", words, at)
        start = body.op(
            "Sub", body.op("Add", body.op("Unsqueeze", place, body.integers([1])), body.integers(1)), lengths
        )
        early = body.op("Sub", start, body.op("Unsqueeze", words, body.integers([1])))
        fits = body.op("GreaterOrEqual", early, body.integers(0))
        start = body.op("Max", start, body.integers(0))
        score = body.op("Gather", scores, body.op("Add", rows, start))
        before = body.op(
            "Gather", best, body.op("Max", body.op("Sub", start, body.integers(1)), body.integers(0))
        )
        before = body.op("Where", body.op("Greater", early, body.integers(0)), before, body.doubles(0.0))
        total = body.op("Where", fits, body.op("Add", score, before), body.doubles(LOWEST))
        which = body.op("ArgMax", total, axis=1, keepdims=1)
        value = body.op("GatherElements", total, which, axis=1)
        flat = body.integers([-1])
        return [
            body.op("ScatterElements", best, place, body.op("Reshape", value, flat)),
            body.op(
                "ScatterElements", chosen, place, body.op("Gather", lengths, body.op("Reshape", which, flat))
            ),
        ]

    return nodes.loop(rounds, [best, nothing], step)[1]


def _ends(nodes: Nodes, length: str, first: str, beyond: str) -> str:
    """1 at the last character of each piece of the best ways, (characters,)."""
    one = nodes.integers(1)
    last = nodes.op("Sub", beyond, one)
    rounds = nodes.op("ReduceMax", nodes.op("Sub", beyond, first), keepdims=0)

    def step(body: Nodes, _: str, ends: str, place: str) -> list[str]:
        inside = body.op("GreaterOrEqual", place, first)
        there = body.op("Where", inside, place, last)  # of a word that is done: its end, which is one
        ones = body.op("Expand", body.integers(1), body.op("Shape", there))
        moved = body.op("Sub", there, body.op("Gather", length, there))
        outside = body.op("Sub", first, body.integers(1))
        return [body.op("ScatterElements", ends, there, ones), body.op("Where", inside, moved, outside)]

    return nodes.loop(rounds, [nodes.op("Sub", length, length), last], step)[0]


def _without_repeated_unknown(
    nodes: Nodes, tokens: str, start: str, first: str, characters: str, pieces: Unigram
) -> str:
    """The tokens, with the first alone of unknown ones that follow each other within a word."""
    zero = nodes.integers(0)
    shape = nodes.op("Reshape", nodes.op("Size", characters), nodes.integers([1]))
    nothing = nodes.op("Expand", nodes.integers([0]), shape)
    ones = nodes.op("Expand", nodes.integers([1]), nodes.op("Shape", first))
    begins = nodes.op("Gather", nodes.op("ScatterElements", nothing, first, ones), start)
    unknown = nodes.op("Equal", tokens, nodes.integers(pieces.unknown))
    number = nodes.op("Cast", unknown, to=INT64)
    shorter = nodes.op("Slice", number, nodes.integers([0]), nodes.integers([-1]), nodes.integers([0]))
    before = nodes.op("Concat", nodes.integers([0]), shorter, axis=0)
    follows = nodes.op("And", nodes.op("Equal", begins, zero), nodes.op("Greater", before, zero))
    return nodes.op("Compress", tokens, nodes.op("Not", nodes.op("And", unknown, follows)), axis=0)
