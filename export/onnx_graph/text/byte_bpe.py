"""Byte-level BPE in ONNX (RoBERTa, ModernBERT): GPT-2's words, cut and merged as the tokenizer does it.

The extensions' GPT2Tokenizer has tables of letters and digits, and special tokens, of its own. So the graph
cuts texts into words by the tokenizer's own classes of characters, and uses the operator for two things
that do not hang on them: first, with 256 tokens and without merges, it gives the bytes of a text. Each byte
becomes a letter, and the operator, which leaves a word of letters whole, merges these letters.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import Regex, Tokenizer
from tokenizers.normalizers import Replace

from export.onnx_graph.text import nfc
from export.onnx_graph.text.characters import SURROGATES, UNICODE, character_class
from export.onnx_graph.text.marks import (
    BEGIN,
    CUT,
    END,
    QUOTE,
    QUOTED,
    ROW,
    ROW_ID,
    Added,
    mark_added,
    one_text,
    quote,
    read_added,
    refusal,
)
from export.onnx_graph.text.nodes import EXTENSIONS, Nodes

# Letters that stand for the 256 bytes, and those that stand for marked tokens: each is a letter to the
# operator, and their UTF-8 has one first byte for 64 of them.
BYTE_LETTERS = [chr(0x100 + byte) for byte in range(256)]
TOKEN_LETTERS = 0x4E00
CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
# Settings of the model with which it is what is computed here.
SETTINGS: dict[str, tuple[Any, ...]] = {
    "dropout": (None,),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (False, None),
    "ignore_merges": (False, None),
}


@dataclass(frozen=True)
class Classes:
    """Classes of characters of GPT-2's words, as a regular expression writes them."""

    letters: str
    digits: str
    blanks: str
    others: str


@cache
def classes() -> Classes:
    """Ask the tokenizers library about every code point; marks are in no class."""
    every = "".join(chr(p) for p in UNICODE if p not in SURROGATES)
    groups = [
        set(every) - set(Replace(Regex(f), "").normalize_str(every)) for f in (r"\p{L}", r"\p{N}", r"\s")
    ]
    others = set(every).difference(*groups, (ROW, BEGIN, END, CUT))
    return Classes(*(character_class(group) for group in (*groups, others)))


@cache
def byte_characters() -> list[str]:
    """The character that stands for each byte in vocabularies (Radford et al. 2019, GPT-2)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(256 + hidden.index(byte)) if byte in hidden else chr(byte) for byte in range(256)]


@dataclass(frozen=True)
class ByteBpe:
    """Tables of a byte-level BPE tokenizer that the graph holds."""

    vocabulary: dict[str, int]
    merges: tuple[tuple[str, str], ...]
    added: Added
    composed: bool
    """Whether texts are normalized (NFC)."""


def read(tokenizer: Tokenizer) -> ByteBpe:
    """Take a tokenizer apart.

    Raises:
        EdgepressError: its normalizer, its words or its merging are others.
    """
    parts = json.loads(tokenizer.to_str())
    model, words, normalizer = parts["model"], parts["pre_tokenizer"] or {}, parts["normalizer"]
    if normalizer not in (None, {"type": "NFC"}):
        raise refusal(f"its normalizer is {normalizer['type']}; a byte-level BPE may have NFC or none")
    if words.get("type") != "ByteLevel" or not words.get("use_regex", True):
        raise refusal(f"its words are those of {words.get('type')}; a BPE may have ByteLevel's")
    if words["add_prefix_space"]:
        raise refusal("it puts a blank before each text (add_prefix_space)")
    for setting, allowed in SETTINGS.items():
        if model.get(setting) not in allowed:
            raise refusal(f"its model has {setting} {model[setting]!r}")
    if missing := set(byte_characters()) - model["vocab"].keys():
        raise refusal(f"its vocabulary lacks {len(missing)} of the 256 bytes")
    merges = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    return ByteBpe(
        tokenizer.get_vocab(with_added_tokens=False),
        tuple((left, right) for left, right in merges),
        read_added(tokenizer),
        composed=normalizer is not None,
    )


def token_ids(nodes: Nodes, text: str, pieces: ByteBpe) -> str:
    """Nodes that give the ids of all rows behind each other, (tokens,) int64; `ROW_ID` before each row.

    Args:
        nodes: where they are added.
        text: name of the strings, (rows,).
        pieces: from `read`.
    """
    text = mark_added(nodes, quote(nodes, text), pieces.added.raw)
    text = one_text(nodes, text)
    if pieces.composed:
        text = nfc.composed_text(nodes, text)
    text = mark_added(nodes, text, pieces.added.normalized)
    return _merged(nodes, _words(nodes, text), pieces)


def _words(nodes: Nodes, text: str) -> str:
    r"""GPT-2's words and the marks, (words,).

    RE2 has no `\s+(?!\S)`: blanks before a word stay together, but for the last one, which is cut off first.
    """
    c = classes()
    text = nodes.regex_replace(
        text, f"({c.blanks}+)({c.blanks})({c.letters}|{c.digits}|{c.others})", rf"\1{CUT}\2\3"
    )
    words = (*CONTRACTIONS, *(f" ?{part}+" for part in (c.letters, c.digits, c.others)), f"{c.blanks}+")
    pattern = "|".join((f"{BEGIN}[^{END}]*{END}", ROW, CUT, *words))
    return nodes.regex_split(text, f"(?s)({pattern})", f"(?s)([^{CUT}]+)")


def _merged(nodes: Nodes, words: str, pieces: ByteBpe) -> str:
    """Words to ids; an id beyond the vocabulary is a blank between words."""
    marked = {ROW: ROW_ID, **pieces.added.marked}
    number = nodes.lookup(words, {token: at for at, token in enumerate(marked)}, -1)
    letters = nodes.op(
        "Gather", nodes.strings(*_token_letters(len(marked))), nodes.op("Max", number, nodes.integers(0))
    )
    is_marked = nodes.op("GreaterOrEqual", number, nodes.integers(0))
    words = nodes.op("Where", is_marked, letters, _byte_letters(nodes, words))
    beyond = 1 + max((*pieces.vocabulary.values(), *marked.values()))
    row_id = beyond + 256
    vocabulary, merges = recoded(pieces, {**marked, ROW: row_id}, beyond)
    ids = _gpt2(nodes, nodes.join(words, " ", axis=0), vocabulary, merges)
    is_row = nodes.op("Equal", ids, nodes.integers(row_id))
    ids = nodes.op("Where", is_row, nodes.integers(ROW_ID), ids)
    return nodes.op("Compress", ids, nodes.op("Less", ids, nodes.integers(beyond)), axis=0)


def _byte_letters(nodes: Nodes, words: str) -> str:
    """Each word with a letter for every byte of it, (words,)."""
    vocabulary = {character: byte for byte, character in enumerate(byte_characters())}
    data = _gpt2(nodes, nodes.join(words, CUT, axis=0), vocabulary, [])
    letters = nodes.join(nodes.op("Gather", nodes.strings(*BYTE_LETTERS), data), "", axis=0)
    letters = nodes.regex_split(letters, f"({_in_letters(CUT)})", "")
    for character, behind in reversed(QUOTED.items()):  # QUOTE itself last: what follows it then is text
        letters = nodes.regex_replace(letters, _in_letters(QUOTE + behind), _in_letters(character))
    return letters


def _in_letters(text: str) -> str:
    return "".join(BYTE_LETTERS[byte] for byte in text.encode())


def _token_letters(count: int) -> list[str]:
    return [chr(TOKEN_LETTERS + number) for number in range(count)]


def recoded(pieces: ByteBpe, marked: dict[str, int], beyond: int) -> tuple[dict[str, int], list[str]]:
    """The vocabulary and the merges as the operator takes them, of letters instead of bytes.

    It merges the bytes of each letter's UTF-8 first, then the letters as the tokenizer merges bytes.

    Args:
        pieces: the tokenizer.
        marked: the marked tokens and their ids.
        beyond: the first id that is no token's; the 256 from it on are for parts of letters.
    """
    shown = byte_characters()
    letter_of = dict(zip(shown, BYTE_LETTERS, strict=True))
    tokens = dict(zip(marked, _token_letters(len(marked)), strict=True))
    vocabulary = {character: beyond + byte for byte, character in enumerate(shown)}
    merges = []
    unused = beyond + len(vocabulary) + 1
    for letter in (*BYTE_LETTERS, *tokens.values()):
        data = letter.encode()
        for end in range(1, len(data)):
            head, tail = _shown(data[:end]), _shown(data[end : end + 1])
            if head + tail not in vocabulary:
                vocabulary[head + tail] = unused = unused + 1
                merges.append(f"{head} {tail}")

    def recode(token: str) -> str:
        return _shown("".join(letter_of[character] for character in token).encode())

    vocabulary |= {recode(t): i for t, i in pieces.vocabulary.items() if letter_of.keys() >= set(t)}
    vocabulary |= {_shown(letter.encode()): marked[token] for token, letter in tokens.items()}
    return vocabulary, merges + [f"{recode(left)} {recode(right)}" for left, right in pieces.merges]


def _shown(data: bytes) -> str:
    return "".join(byte_characters()[byte] for byte in data)


def _gpt2(nodes: Nodes, text: str, vocabulary: dict[str, int], merges: list[str]) -> str:
    """Ids of one string, (tokens,)."""
    ids, _ = nodes.ops(
        "GPT2Tokenizer",
        text,
        outputs=2,
        domain=EXTENSIONS,
        vocab=json.dumps(vocabulary),
        merges="\n".join(["#version: 0.2", *merges, ""]),
    )
    return nodes.op("Reshape", ids, nodes.integers([-1]))
