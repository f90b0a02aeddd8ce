"""Kinds of vocabularies: what a token is built from, what always stays, and how tokens are taken out.

Of a WordPiece or Unigram vocabulary the tokens that a text is split into are enough to split it so again:
the longest match, or the likeliest split, is still there, and nothing that could beat it has come. What an
unknown character costs a Unigram hangs on its least likely piece, which is kept.

A byte-pair vocabulary is put together by merges, and the way to a token leads over others that no text ends
with. They are kept with it. Merges are applied by rank, leftmost first, so what happens inside a token of a
text is what happens where the token stands alone: the text's way is made of the ways of its tokens. A merge
stays where both its parts and its result do. So on the way of a text whose tokens are kept each merge that
was chosen is still there, and no other has come that could be chosen before it: the split is the same.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerBase

from edgepress.core.errors import EdgepressError

# Settings with which the tokens of a byte-pair model are what its merges give, and nothing else.
BPE_SETTINGS: dict[str, tuple[Any, ...]] = {
    "dropout": (None,),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (False, None),
}


class TrimmableVocabulary(ABC):
    """The model of a fast tokenizer, as tokenizer.json has it.

    Args:
        model: its entry `model`.
        ids: text -> id, added tokens among them.
    """

    def __init__(self, model: dict[str, Any], ids: Mapping[str, int]) -> None:
        self.model = model
        self.ids = ids

    def parts(self, token: int) -> frozenset[int]:
        """Return the token and all that it is built from."""
        return frozenset((token,))

    @property
    def fixed(self) -> set[int]:
        """Tokens that the model names, or whose ids may not change."""
        unknown = self.ids.get(self.model.get("unk_token") or "")
        return set() if unknown is None else {unknown}

    @abstractmethod
    def characters(self, frequent: Iterable[int]) -> set[int]:
        """Return the tokens into which any text is split where need be; some only of what `frequent` has."""

    @abstractmethod
    def renumbered(self, new: Mapping[int, int]) -> dict[str, Any]:
        """Return the entry `model` with the tokens of `new` alone, under their new ids."""

    def _entries(self, new: Mapping[int, int]) -> dict[str, int]:
        vocabulary: dict[str, int] = self.model["vocab"]
        return {text: new[token] for text, token in vocabulary.items() if token in new}


class _MarkedVocabulary(TrimmableVocabulary):
    """A vocabulary whose tokens begin with a mark, inside a word or at its beginning."""

    mark: str

    def characters(self, frequent: Iterable[int]) -> set[int]:
        bare = {token: text.removeprefix(self.mark) for text, token in self.ids.items()}
        wanted = {character for token in frequent for character in bare.get(token, "")}
        return {
            token for token, text in bare.items() if len(text) == 1 and (text.isascii() or text in wanted)
        }


class WordPieceVocabulary(_MarkedVocabulary):
    """BERT's: the longest match from the left."""

    mark = "##"

    def renumbered(self, new: Mapping[int, int]) -> dict[str, Any]:
        return {**self.model, "vocab": self._entries(new)}


class UnigramVocabulary(_MarkedVocabulary):
    """SentencePiece's: the likeliest split."""

    mark = "▁"

    @property
    def fixed(self) -> set[int]:
        """The least likely piece; the unknown one with all before it, since transformers 5 knows its id."""
        scores = [score for _, score in self.model["vocab"]]
        unknown = self.model["unk_id"]
        return {scores.index(min(scores)), *range(0 if unknown is None else unknown + 1)}

    def renumbered(self, new: Mapping[int, int]) -> dict[str, Any]:
        pieces = [entry for token, entry in enumerate(self.model["vocab"]) if token in new]
        unknown = self.model["unk_id"]
        return {**self.model, "vocab": pieces, "unk_id": None if unknown is None else new[unknown]}


class ByteBpeVocabulary(TrimmableVocabulary):
    """A byte-level BPE (GPT-2's, RoBERTa's, ModernBERT's): bytes, and merges of neighbours by rank."""

    def __init__(self, model: dict[str, Any], ids: Mapping[str, int]) -> None:
        super().__init__(model, ids)
        self._texts = {token: text for text, token in model["vocab"].items()}
        self._ranks = {(left, right): rank for rank, (left, right) in enumerate(model["merges"])}

    def parts(self, token: int) -> frozenset[int]:
        text = self._texts.get(token)
        if text is None:  # an added token, which is looked for before anything is merged
            return frozenset((token,))
        vocabulary = self.model["vocab"]
        return frozenset((token, *(vocabulary[part] for part in self._way(text))))

    def _way(self, text: str) -> set[str]:
        """All symbols on the way from bytes to a token; none where merges do not lead to it."""
        symbols = list(text)
        met = set(symbols)
        while len(symbols) > 1:
            ranks = [self._ranks.get(pair, len(self._ranks)) for pair in pairwise(symbols)]
            lowest = min(ranks)
            if lowest == len(self._ranks):
                return set()
            at = ranks.index(lowest)
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
            met.add(symbols[at])
        return met if met <= self.model["vocab"].keys() else set()

    def characters(self, frequent: Iterable[int]) -> set[int]:  # noqa: ARG002  # every byte, whatever is read
        return {self.ids[byte] for byte in pre_tokenizers.ByteLevel.alphabet()}

    def renumbered(self, new: Mapping[int, int]) -> dict[str, Any]:
        vocabulary = self._entries(new)
        merges = [
            [left, right]
            for left, right in self.model["merges"]
            if left in vocabulary and right in vocabulary and left + right in vocabulary
        ]
        return {**self.model, "vocab": vocabulary, "merges": merges}


KINDS: dict[str, type[TrimmableVocabulary]] = {
    "WordPiece": WordPieceVocabulary,
    "Unigram": UnigramVocabulary,
    "BPE": ByteBpeVocabulary,
}


def tokenizer_content(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Content of the tokenizer.json of a fast tokenizer."""
    content: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return content


def vocabulary_of(tokenizer: PreTrainedTokenizerBase) -> TrimmableVocabulary:
    """The vocabulary of a fast tokenizer that `check_trimmable` has let pass."""
    model = tokenizer_content(tokenizer)["model"]
    return KINDS[model["type"]](model, tokenizer.get_vocab())


def check_trimmable(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuse a vocabulary that cannot be thinned out.

    Args:
        tokenizer: the one in question.
        name: of its model, for the message.

    Raises:
        EdgepressError: it is not one of the tokenizers library, or none of the kinds.
    """
    reason = _obstacle(tokenizer_content(tokenizer)["model"]) if tokenizer.is_fast else "it is a slow one"
    if reason:
        raise EdgepressError(
            f"the vocabulary of {name} cannot be trimmed: {reason}",
            "those of fast tokenizers can: WordPiece, Unigram and byte-level BPE",
        )


def _obstacle(model: Mapping[str, Any]) -> str:
    """Why a model cannot be trimmed; empty where it can."""
    if model["type"] not in KINDS:
        return f"it is a {model['type']}"
    if model["type"] != "BPE":
        return ""
    if missing := set(pre_tokenizers.ByteLevel.alphabet()) - model["vocab"].keys():
        return f"it is a BPE, and lacks {len(missing)} of the 256 bytes"
    other = [name for name, allowed in BPE_SETTINGS.items() if model.get(name) not in allowed]
    return f"it is a BPE with {other[0]} {model[other[0]]!r}" if other else ""
