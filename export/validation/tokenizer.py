"""Tokenizer parity: whether what ships gives the token ids that the model was trained with."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgepress.core.errors import EdgepressError, ExpectationError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Strings on which tokenizers differ, by what is hard in them. Written in escapes, so that editors and version
# control leave them as they are. Lone surrogates are not among them: they are no text.
HARD_STRINGS = {
    "empty": "",
    "one space": " ",
    "only white space": " \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000 ",
    "white space between words": "one\ttwo\nthree\r\nfour\xa0five\u3000six\u2028seven  eight",
    "plain": "The film is a quiet delight, and its ending holds up well.",
    "capitals": "THE FILM Is A mEsS",
    "accents": "Caf\xe9 na\xefve \xc5ngstr\xf6m pi\xf1ata \xc7a fa\xe7ade \u0141\xf3d\u017a",
    "combining accents": "Cafe\u0301 nai\u0308ve A\u030angstro\u0308m pin\u0303ata o\u0302\u0323",
    "many combining accents": "z\u0351\u036b\u0343a\u0321\u034al\u0334\u0312g\u0321\u0306o\u0309\u036d",
    "Vietnamese": "Phim n\xe0y th\u1eadt tuy\u1ec7t v\u1eddi, \u0110\u1ea1o di\u1ec5n gi\u1ecfi",
    "Turkish i": "\u0130stanbul I\u015fIK d\u0131\u015f i\u0307",
    "sharp s and digraphs": "Stra\xdfe STRA\u1e9eE \u01c4 \u01c5 \u01c6 \u0132sselmeer",
    "Greek": "\u039f\u0394\u039f\u03a3 \u1f08\u03b8\u1fc6\u03bd\u03b1\u03b9 \u03ac\u1fb3",
    "Cyrillic": "\u0424\u0438\u043b\u044c\u043c \u041e\u0442\u043b\u0438\u0447\u043d\u044b\u0439 \u0451",
    "Chinese": "\u8fd9\u90e8\u7535\u5f71\u5f88\u597d\uff0c\u7ed3\u5c40\u4e5f\u597d\u3002",
    "Chinese within Latin": "the\u7535\u5f71film 3\u90e8 \u4e2dA\u6587b",
    "rare ideographs": "\U00020000\U0002a6d6 \U0002b740\U0003134f \uf900\ufa0e \U0002f800 \u3400 \u3007",
    "Japanese": "\u6620\u753b\u306f\u3068\u3066\u3082\u30ac\u304b\u3099 \uff76\uff9e \u3005\u30fc",
    "Korean": "\uc601\ud654\uac00 \uc815\ub9d0 \uc88b\uc558\ub2e4 \u1112\u1161\u11ab \u3131",
    "Arabic": "\u0641\u064a\u0644\u0645 \u0631\u064e\u0627\u0626\u0650\u0639\u064c\u060c \u0644\u0640\u0627",
    "Hebrew": "\u05e1\u05b6\u05e8\u05b6\u05d8 \u05d8\u05d5\u05d1 \u05de\u05d0\u05d5\u05d3\u05be \u05f4",
    "right to left with overrides": "good \u202efilm\u202c \u2067\u05d8\u05d5\u05d1\u2069 \u200fend\u061c",
    "Hindi": "\u092b\u093c\u093f\u0932\u094d\u092e \u0905\u091a\u094d\u091b\u0940 \u0964",
    "Thai": "\u0e2b\u0e19\u0e31\u0e07\u0e14\u0e35\u0e21\u0e32\u0e01\u0e46",
    "Tamil": "\u0ba4\u0bbf\u0bb0\u0bc8\u0baa\u0bcd\u0baa\u0b9f\u0bae\u0bcd \u0ba8\u0bb2\u0bcd",
    "newer scripts": "\U0001e900\U0001e943 \u13a0\uab70 \u10d0\u1c90 \U00011900\U0001193e \U00010570",
    "emoji": "great \U0001f600\U0001f44d film\u2764\ufe0f \u2603 \U0001faf6",
    "emoji of several code points": "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd "
    "\U0001f1e9\U0001f1ea 1\ufe0f\u20e3 \U0001f3f4\U000e0067\U000e0062\U000e007f",
    "control characters": "a\x01b\x07c\x08d \x1b[31mred\x1b[0m e\x7ff\x80g\x9fh",
    "NUL": "before\x00after \x00 \x00\x00end\x00",
    "only NUL": "\x00",
    "format characters": "a\u200bb\u200cc\u200dd\u2060e\ufefff\xadg \u180e \u034f",
    "replacement character": "a\ufffdb \ufffd \ufffc",
    "private use": "a\ue000b \ue001 \uf8ff \ue005c \U000f0000",
    "unassigned and noncharacters": "a\u0378b \ufdd0 \uffff \U0001ffff \U0010ffff \U000e0fff",
    "ASCII punctuation": string.punctuation,
    "punctuation between words": "well-made,isn't it?(yes)...a/b\\c_d @x #y 50% $9 `z` ~1^2|3",
    "typographic punctuation": "\u201cIt\u2019s\u201d \u2014 a mess\u2026 \xabno\xbb \u2013 \xa7 \u203d",
    "symbols": "\u20ac5 \xa33 \xa9 \xae \u2122 \xb0C \xb1 \xd7 \xf7 \u2260 \u2264 \u221e \u2192 \u25a0",
    "wide and other letters": "\uff26\uff29\uff2c\uff2d \ufb01lm \u2167 \xb2 \U0001d40c\U0001d428 \u212b",
    "digits": "3.14 1,000 0x1F 1e-5 \u0663\u0664 \u0967 \xbd \u2460 2026-11-20",
    "a word of 100 letters": "a" * 100,
    "a word of 101 letters": "a" * 101,
    "a word of 200 letters": "so " + "supercalifragilistic" * 10 + " good",
    "200 accented letters": "e\u0301" * 100,
    "200 ideographs": "\u597d" * 200,
    "a word that is known in part": "film\u2603ic go\u0138ld the\u0e01",
    "special tokens": "[CLS] a [SEP] b[MASK]c [PAD][UNK] <s> </s><mask> <pad>",
    "nearly special tokens": "[sep] [ SEP ] [S\x00EP] [S\ue000EP] [S\u200bEP] [Sep] <S> ##ing ## [unused1]",
    "address": "https://example.org/a?b=c&d=%20#e me@example.org",
    "markup": "<br /><p class='x'>A &amp; B</p> {{x}} \\n \\u00e9",
    "longer than the model": "The second half is dull, and far too long. " * 120,
}

HARD_SINGLES = {name: (text,) for name, text in HARD_STRINGS.items()}

HARD_PAIRS = {
    f"{one} / {other}": (HARD_STRINGS[one], HARD_STRINGS[other])
    for one, other in (
        ("plain", "capitals"),
        ("plain", "empty"),
        ("empty", "plain"),
        ("empty", "empty"),
        ("accents", "Chinese"),
        ("special tokens", "NUL"),
        ("longer than the model", "plain"),
        ("plain", "longer than the model"),
        ("longer than the model", "longer than the model"),
        ("200 ideographs", "longer than the model"),
    )
}


HARD_CASES = {**HARD_SINGLES, **HARD_PAIRS}

Encode = Callable[..., list[int]]
"""One or two texts to ids, special tokens among them."""

SHOWN = 60


def require_tokenizer_parity(folder: Path, tokenizer: PreTrainedTokenizerBase, longest: int) -> None:
    """Load what ships in every way that others load it, and compare the ids of the hard strings.

    Loaded are the folder (by `AutoTokenizer`), `tokenizer.json` by itself, as runtimes without
    transformers do, and `vocab.txt` as a list. The slow tokenizer that transformers can still make of
    `vocab.txt` is not a judge: its tables of Unicode are Python's, which change from version to version.

    Args:
        folder: what `save_pretrained` wrote.
        tokenizer: the one the model was trained with.
        longest: the model's longest input [tokens].

    Raises:
        EdgepressError: the tokenizer cuts texts at their beginning.
        ExpectationError: an id differs; the message names the file, the string and the first id.
    """
    from transformers import AutoTokenizer

    _require_cut_at_the_end(tokenizer)
    shipped = AutoTokenizer.from_pretrained(folder)
    compare_tokenizers(str(folder), encoder(tokenizer, longest), encoder(shipped, longest))
    if (folder / "tokenizer.json").is_file():
        _require_file_parity(folder / "tokenizer.json", tokenizer, longest)
    if (folder / "vocab.txt").is_file() and _has_word_pieces(tokenizer):
        _require_same_vocabulary(folder / "vocab.txt", tokenizer)


def compare_tokenizers(
    what: str, parent: Encode, child: Encode, cases: Mapping[str, tuple[str, ...]] = HARD_CASES
) -> None:
    """Compare the ids of the hard strings.

    Args:
        what: what `child` was made from, for the message.
        parent: the training tokenizer.
        child: the one that ships.
        cases: what is hard -> the one or two texts.

    Raises:
        ExpectationError: an id differs.
    """
    for name, texts in cases.items():
        require_same_ids(what, name, texts, parent(*texts), child(*texts))


def require_same_ids(what: str, name: str, texts: tuple[str, ...], wanted: list[int], got: list[int]) -> None:
    """Raise if the ids of one text or pair differ.

    Args:
        what: what gave `got`, and `name`: what is hard in `texts`, for the message.
    """
    if wanted == got:
        return
    place = next(
        (at for at, both in enumerate(zip(wanted, got, strict=False)) if both[0] != both[1]),
        min(len(wanted), len(got)),
    )
    shown = " / ".join(ascii(text[:SHOWN]) + "..." * (len(text) > SHOWN) for text in texts)
    raise ExpectationError(
        f"tokenizer parity of {what} failed on '{name}' ({shown}): token {place} is {_at(got, place)}, "
        f"the training tokenizer's is {_at(wanted, place)} (of {len(got)} and {len(wanted)} tokens)",
        "ship the tokenizer that the model was trained with",
    )


def _at(ids: list[int], place: int) -> str:
    return str(ids[place]) if place < len(ids) else "missing"


def encoder(tokenizer: PreTrainedTokenizerBase, longest: int | None) -> Encode:
    """The tokenizer as transformers calls it, cut at `longest` tokens where that is given."""

    def encode(*texts: str) -> list[int]:
        columns = ([text] for text in texts)  # a batch: by itself an empty second text counts as none
        encoded = tokenizer(*columns, truncation=longest is not None, max_length=longest, verbose=False)
        return [*encoded["input_ids"][0]]

    return encode


def offsets(tokenizer: PreTrainedTokenizerBase, longest: int) -> Encode:
    """Places of the tokens of a text as transformers gives them: begin and end of each, one after another."""

    def encode(*texts: str) -> list[int]:
        columns = ([text] for text in texts)
        cut = {"truncation": True, "max_length": longest, "verbose": False}
        encoded = tokenizer(*columns, return_offsets_mapping=True, **cut)
        return [place for span in encoded["offset_mapping"][0] for place in span]

    return encode


def _require_cut_at_the_end(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise for a tokenizer that cuts texts where whoever has only its file does not.

    Raises:
        EdgepressError: it cuts at the beginning.
    """
    if tokenizer.truncation_side != "right":
        raise EdgepressError(
            "the tokenizer cuts long texts at their beginning (truncation_side), which its file does not say",
            'write "truncation_side": "right" into tokenizer_config.json',
        )


def _require_file_parity(path: Path, tokenizer: PreTrainedTokenizerBase, longest: int) -> None:
    """Raise if the file cuts or pads by itself, or cuts otherwise than the training tokenizer does."""
    from tokenizers import Tokenizer

    shipped = Tokenizer.from_file(str(path))

    def encode(*texts: str) -> list[int]:
        return [*shipped.encode(*texts).ids]  # type: ignore[arg-type]

    compare_tokenizers(str(path), encoder(tokenizer, None), encode)
    shipped.enable_truncation(longest)
    compare_tokenizers(f"{path}, cut", encoder(tokenizer, longest), encode)


def _has_word_pieces(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether its vocab.txt is a list; others write a token and its count on each line."""
    from tokenizers.models import WordPiece
    from transformers import BertTokenizer

    if tokenizer.is_fast:
        return isinstance(tokenizer.backend_tokenizer.model, WordPiece)
    return isinstance(tokenizer, BertTokenizer)


def _require_same_vocabulary(path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """A line's number is its token's id."""
    lines = path.read_text(encoding="utf-8").split("\n")
    vocabulary = tokenizer.get_vocab()
    for line, token in enumerate(lines):
        if token and vocabulary.get(token) != line:
            raise ExpectationError(
                f"tokenizer parity of {path} failed: line {line} is {token!a}, "
                f"which is {vocabulary.get(token, 'no token')} to the training tokenizer",
                "ship the vocabulary that the model was trained with",
            )
