"""BERT's tokenizer in ONNX: its own table of characters, then onnxruntime-extensions' WordPiece.

The extensions' own BertTokenizer takes one string and differs from the training tokenizer in accents,
control characters, special tokens within the text and characters newer than its tables. So the graph
does, with string operators, what the tokenizer says of each character (`characters`).

All rows are tokenized as one text, with a sign before each that no text has.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Tokenizer

from export.onnx_graph.text.characters import Characters, character_class, characters
from export.onnx_graph.text.marks import ROW_ID, refusal
from export.onnx_graph.text.nodes import EXTENSIONS, Nodes
from export.onnx_graph.text.rows import Measured

# Signs come from the private use area, which BERT's normalizer removes from texts.
PRIVATE_USE = range(0xE000, 0xF900)
# What every removed character may become: like the character, it keeps its neighbours apart until
# special tokens have been looked for, and is removed later.
REMOVED = "\x01"
SETTINGS = ("lowercase", "strip_accents", "handle_chinese_chars")
# What the extensions' WordPiece writes for a word that it does not know; no piece of a word has a space.
UNKNOWN = " unknown "
UNKNOWN_ID = -2


@dataclass(frozen=True)
class WordPiece:
    """Tables of a WordPiece tokenizer that the graph holds."""

    characters: Characters
    vocabulary: dict[str, int]
    unknown: str
    suffix_prefix: str
    longest_word: int
    """Longest word [characters]; a longer one is unknown."""
    row: str
    """The sign before each row, and `added`: the sign and the id of each added token."""
    added: tuple[tuple[str, int, AddedToken], ...]
    normalized: dict[str, str]
    """Content of an added token -> as the normalizer writes it."""


def read(tokenizer: Tokenizer) -> WordPiece:
    """Take a tokenizer apart.

    Raises:
        EdgepressError: it is not BERT's: another model, normalizer or pre-tokenizer.
    """
    parts = json.loads(tokenizer.to_str())
    _require_bert(parts)
    added = sorted(tokenizer.get_added_tokens_decoder().items(), key=lambda entry: -len(entry[1].content))
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    row, *signs = _signs(vocabulary, 1 + len(added))
    model, normalizer = parts["model"], parts["normalizer"]
    return WordPiece(
        characters=characters(**{name: normalizer[name] for name in SETTINGS}),
        vocabulary=vocabulary,
        unknown=model["unk_token"],
        suffix_prefix=model["continuing_subword_prefix"],
        longest_word=model["max_input_chars_per_word"],
        row=row,
        added=tuple((sign, index, token) for sign, (index, token) in zip(signs, added, strict=True)),
        normalized={t.content: tokenizer.normalizer.normalize_str(t.content) for _, t in added},
    )


def _require_bert(parts: dict[str, Any]) -> None:
    kinds = [(parts[part] or {}).get("type") for part in ("model", "normalizer", "pre_tokenizer")]
    if kinds != ["WordPiece", "BertNormalizer", "BertPreTokenizer"] or not parts["normalizer"]["clean_text"]:
        raise refusal(
            f"it is a {kinds[0]} with {kinds[1]} and {kinds[2]}; a WordPiece may be BERT's, with clean_text"
        )
    if any(token["single_word"] for token in parts["added_tokens"]):
        raise refusal("added tokens match whole words only (single_word)")


def _signs(vocabulary: dict[str, int], count: int) -> list[str]:
    used = set("".join(vocabulary))
    return [chr(point) for point in PRIVATE_USE if chr(point) not in used][:count]


def token_ids(nodes: Nodes, text: str, pieces: WordPiece) -> str:
    """Nodes that give the ids of all rows behind each other, (tokens,) int64; `ROW_ID` before each row.

    Args:
        nodes: where they are added.
        text: name of the strings, (rows,).
        pieces: from `read`.
    """
    return _ids(nodes, _pieces(nodes, _prepared(nodes, text, pieces), pieces), pieces)


def measured_token_ids(nodes: Nodes, text: str, pieces: WordPiece) -> tuple[str, Measured]:
    """Nodes that give the ids as `token_ids` does, and what tells where each token stands in its text."""
    found = _pieces(nodes, _prepared(nodes, text, pieces), pieces)
    lengths, counts = _lengths(nodes, found, pieces), _counts(nodes, text, pieces.characters)
    return _ids(nodes, found, pieces), Measured(lengths, counts)


def _prepared(nodes: Nodes, text: str, pieces: WordPiece) -> str:
    """All rows as one text of words with spaces between."""
    text = _without_nul(nodes, text)
    text = nodes.regex_replace(text, character_class([pieces.row, *(s for s, _, _ in pieces.added)]), REMOVED)
    text = _added_tokens(nodes, text, pieces, normalized=False)
    text = nodes.regex_replace(text, r"\A", f" {pieces.row} ")
    text = nodes.join(text, "", axis=0)
    text = _normalize(nodes, text, pieces)
    text = _added_tokens(nodes, text, pieces, normalized=True)
    return _isolate(nodes, text, pieces.characters.punctuation)


def _without_nul(nodes: Nodes, text: str) -> str:
    """The extensions' operators take a NUL for the end of a string; ONNX Runtime's own does not."""
    parts = nodes.op(
        "Tokenizer", text, domain="com.microsoft", mark=0, mincharnum=1, pad_value="", separators=[r"\x00"]
    )
    return nodes.join(parts, REMOVED, axis=1)


def _added_tokens(nodes: Nodes, text: str, pieces: WordPiece, normalized: bool) -> str:
    """Put the signs of those added tokens that are looked for in the raw or in the normalized text."""
    for sign, _, token in pieces.added:
        if token.normalized == normalized:
            content = pieces.normalized[token.content] if normalized else token.content
            text = nodes.regex_replace(text, re.escape(content), f" {sign} ")
    return text


def _normalize(nodes: Nodes, text: str, pieces: WordPiece) -> str:
    table = pieces.characters
    signs = {pieces.row, *(sign for sign, _, _ in pieces.added)}
    text = nodes.regex_replace(text, character_class(set(table.removed) - signs), "")
    text = nodes.regex_replace(text, character_class(table.spaces), " ")
    text = _isolate(nodes, text, table.words)
    letters = nodes.regex_split(text, "(?s)(.)", "(?s)(.)")
    return nodes.join(_replaced(nodes, letters, table.replaced), "", axis=0)


def _replaced(nodes: Nodes, letters: str, replaced: Mapping[str, str]) -> str:
    lines = "\n".join(f"{character}\t{by}" for character, by in replaced.items())
    return nodes.op("StringMapping", letters, domain=EXTENSIONS, map=lines)


def _isolate(nodes: Nodes, text: str, members: tuple[str, ...]) -> str:
    if not members:
        return text
    return nodes.regex_replace(text, f"({character_class(members)})", r" \1 ")


@dataclass(frozen=True)
class Pieces:
    """Names of what the operator gives for the words of all rows."""

    words: str
    """The words, (words,) strings."""
    tokens: str
    """Pieces of words, (pieces,) strings; and `ids`: theirs, `UNKNOWN_ID` of an unknown word."""
    ids: str
    word_numbers: str
    """Number of the word that each piece is of."""
    kept: str
    """Whether a piece stays: where a word ends unknown, the operator leaves those that it had found."""


def _pieces(nodes: Nodes, text: str, pieces: WordPiece) -> Pieces:
    """Words to their longest pieces (Wu et al. 2016, arXiv:1609.08144, as BERT does it)."""
    vocabulary, words = _vocabulary(pieces), nodes.regex_split(text, "( +)", "")
    tokens, _, starts, ends = nodes.ops(
        "WordpieceTokenizer",
        words,
        nodes.integers([]),
        outputs=4,
        domain=EXTENSIONS,
        # The operator gives strings, so its ids do not matter; -1 would be an unknown word.
        vocab=json.dumps(dict.fromkeys(vocabulary, 0)),
        suffix_indicator=pieces.suffix_prefix,
        unknown_token=UNKNOWN,
        max_input_chars_per_word=pieces.longest_word,
    )
    ids = nodes.lookup(tokens, vocabulary | {UNKNOWN: UNKNOWN_ID}, UNKNOWN_ID)
    numbers = _word_numbers(nodes, ids, starts)
    last = nodes.op("Gather", ids, nodes.op("Sub", ends, nodes.integers(1)))
    unknown_words = nodes.op("Equal", last, nodes.integers(UNKNOWN_ID))
    in_known_word = nodes.op("Not", nodes.op("Gather", unknown_words, numbers))
    kept = nodes.op("Or", in_known_word, nodes.op("Equal", ids, nodes.integers(UNKNOWN_ID)))
    return Pieces(words, tokens, ids, numbers, kept)


def _vocabulary(pieces: WordPiece) -> dict[str, int]:
    """Every token with its id, signs in the place of those that were added."""
    return pieces.vocabulary | {pieces.row: ROW_ID} | {sign: index for sign, index, _ in pieces.added}


def _word_numbers(nodes: Nodes, ids: str, starts: str) -> str:
    zero, one = nodes.integers(0), nodes.integers(1)
    nothing = nodes.op("Expand", zero, nodes.op("Shape", ids))
    ones = nodes.op("Expand", one, nodes.op("Shape", starts))
    first = nodes.op("ScatterElements", nothing, starts, ones)
    return nodes.op("Sub", nodes.op("CumSum", first, zero), one)


def _ids(nodes: Nodes, found: Pieces, pieces: WordPiece) -> str:
    known = nodes.op("Compress", found.ids, found.kept, axis=0)
    unknown = nodes.op("Equal", known, nodes.integers(UNKNOWN_ID))
    return nodes.op("Where", unknown, nodes.integers(pieces.vocabulary[pieces.unknown]), known)


def _lengths(nodes: Nodes, found: Pieces, pieces: WordPiece) -> str:
    """Number of characters of the normalized text that each token stands for; of a row's sign none."""
    prefix = pieces.suffix_prefix
    known = {token: len(token.removeprefix(prefix)) for token in pieces.vocabulary}
    added = {sign: len(pieces.normalized[token.content].replace(" ", "")) for sign, _, token in pieces.added}
    own = nodes.lookup(found.tokens, {**known, **added, pieces.row: 0}, 0)
    words = nodes.op("StringLength", found.words, domain=EXTENSIONS)
    whole = nodes.op("Gather", words, found.word_numbers)
    unknown = nodes.op("Equal", found.ids, nodes.integers(UNKNOWN_ID))
    return nodes.op("Compress", nodes.op("Where", unknown, whole, own), found.kept, axis=0)


def _counts(nodes: Nodes, text: str, table: Characters) -> str:
    """Number of characters that each character of a text becomes in words, (rows, characters)."""
    characters = nodes.op(
        "Tokenizer", text, domain="com.microsoft", mark=0, mincharnum=1, pad_value="", separators=[""]
    )
    letters = nodes.op("Reshape", characters, nodes.integers([-1]))
    letters = nodes.regex_replace(letters, character_class({*table.removed, *table.spaces, " "}), "")
    bare = {character: by.replace(" ", "") for character, by in table.replaced.items()}
    counts = nodes.op("StringLength", _replaced(nodes, letters, bare), domain=EXTENSIONS)
    return nodes.op("Reshape", counts, nodes.op("Shape", characters), allowzero=1)  # of an empty text
