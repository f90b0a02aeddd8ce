"""Tokenizer parity: whether what ships gives the token ids that the model was trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgepress.core.errors import EdgepressError, ExpectationError
from export.validation.hard_strings import HARD_PAIRS, HARD_SINGLES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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
        return [*shipped.encode(*texts).ids]

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
