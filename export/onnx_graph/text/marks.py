"""Marks within a text that may itself have any character: between rows, and around added tokens.

The marks are characters of the private use area. Where a text has one of them, it becomes two characters,
`QUOTE` and another one; and so does NUL, at which the extensions' operators would end a string. What takes
a text apart into characters (`CHARACTER`) therefore takes these two as one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import AddedToken, Tokenizer

from edgepress.core.errors import EdgepressError
from export.onnx_graph.text.characters import character_class
from export.onnx_graph.text.nodes import Nodes

QUOTE = "\ue000"
ROW, BEGIN, END, CUT = "\ue010", "\ue011", "\ue012", "\ue013"
"""Marks before each row, before and behind an added token, and between words."""
MARKS = ROW + BEGIN + END + CUT
ROW_ID = -1
NUL = "\0"
# What stands behind QUOTE, for each character that is quoted.
QUOTED = {character: chr(ord(QUOTE) + 1 + number) for number, character in enumerate((QUOTE, *MARKS, NUL))}
CHARACTER = f"(?s)({BEGIN}[^{END}]*{END}|{QUOTE}.|.)"
# White_Space of Unicode, which is what tokens that take blanks along look for.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
BLANKS = character_class(WHITE_SPACE + "\u2028\u2029\u202f\u205f\u3000")


def quoted(text: str) -> str:
    """A text as it stands in the graph."""
    return "".join(QUOTE + QUOTED[c] if c in QUOTED else c for c in text)


def quote(nodes: Nodes, text: str) -> str:
    """Nodes that do the same to each string, (rows,)."""
    parts = nodes.op(
        "Tokenizer",
        text,
        domain="com.microsoft",
        mark=0,
        mincharnum=1,
        pad_value="",
        tokenexp=r"(?s)[^\x00]+|\x00",
    )
    is_nul = nodes.op("Cast", nodes.lookup(parts, {NUL: 1}, 0), to=9)
    for character in (QUOTE, *MARKS):
        parts = nodes.regex_replace(parts, character, QUOTE + QUOTED[character])
    return nodes.join(nodes.op("Where", is_nul, nodes.strings(quoted(NUL)), parts), "", axis=1)


@dataclass(frozen=True)
class Added:
    """Added tokens and what is looked for in the graph's text: the raw one, or the normalized one."""

    raw: tuple[tuple[AddedToken, str], ...]
    normalized: tuple[tuple[AddedToken, str], ...]
    ids: dict[str, int]
    """What is looked for -> id."""

    @property
    def marked(self) -> dict[str, int]:
        """The tokens with their marks -> id."""
        return {BEGIN + content + END: index for content, index in self.ids.items()}


def read_added(tokenizer: Tokenizer) -> Added:
    """The added tokens, the longest first, as the longest of those that begin at one place counts.

    Raises:
        EdgepressError: tokens that the graph could not find as the tokenizer does.
    """
    normalizer = tokenizer.normalizer
    tokens = sorted(tokenizer.get_added_tokens_decoder().items(), key=lambda entry: -len(entry[1].content))
    contents = {
        token.content: quoted(
            normalizer.normalize_str(token.content) if normalizer and token.normalized else token.content
        )
        for _, token in tokens
    }
    entries = [(token, contents[token.content]) for _, token in tokens]
    raw = tuple(entry for entry in entries if not entry[0].normalized)
    normalized = tuple(entry for entry in entries if entry[0].normalized and entry[1])
    _require_findable(raw, normalized)
    return Added(raw, normalized, {contents[token.content]: index for index, token in tokens})


def _require_findable(
    raw: Sequence[tuple[AddedToken, str]], normalized: Sequence[tuple[AddedToken, str]]
) -> None:
    for token, content in (*raw, *normalized):
        if token.single_word:
            raise refusal(f"its token {token.content!a} matches whole words only (single_word)")
        if any(content in other for _, other in raw) and token.normalized:
            raise refusal(f"its token {token.content!a} is a part of another one")
    for group in (raw, normalized):
        takes_blanks = any(token.lstrip or token.rstrip for token, _ in group)
        blank = next((c for _, c in group if c != c.strip()), None)
        if takes_blanks and blank is not None:
            raise refusal(f"its token {blank!a} has blanks that others of its tokens take along")


def refusal(why: str) -> EdgepressError:
    """The error for a tokenizer that the graph cannot follow."""
    return EdgepressError(
        f"no ONNX graph for this tokenizer: {why}",
        "export without --with-tokenizer; tokenizer.json is beside the model",
    )


def mark_added(nodes: Nodes, text: str, tokens: Iterable[tuple[AddedToken, str]]) -> str:
    """Put marks around the added tokens in each string, and take the blanks beside them that they take."""
    kinds: dict[tuple[bool, bool], list[str]] = {}
    for token, content in tokens:
        kinds.setdefault((token.lstrip, token.rstrip), []).append(re.escape(content))
    if not kinds:
        return text
    pattern = "|".join(
        f"{BLANKS + '*' if left else ''}({'|'.join(contents)}){BLANKS + '*' if right else ''}"
        for (left, right), contents in kinds.items()
    )
    found = "".join(rf"\{number}" for number in range(1, len(kinds) + 1))
    return nodes.regex_replace(text, pattern, BEGIN + found + END)


def one_text(nodes: Nodes, text: str) -> str:
    """Join all rows to one string, (1,), with `ROW` before each."""
    return nodes.join(nodes.regex_replace(text, r"\A", ROW), "", axis=0)
