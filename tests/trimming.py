"""Tokenizers of each kind that is trimmed, and trimming in one call."""

from collections.abc import Callable
from functools import cache

from conftest import SENTENCES
from small_models import ARCHITECTURES
from tokenizer_kinds import KINDS, fast
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from compress.trim_vocab.tokens import choose, count_tokens, trimmed_tokenizer

TEXTS = [text for text, _ in SENTENCES]
CORPUS = TEXTS[::3]


def unigram() -> PreTrainedTokenizerFast:
    pieces = Tokenizer(models.Unigram())
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<pad>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    pieces.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="<pad>", unk_token="<unk>")


def byte_bpe() -> PreTrainedTokenizerFast:
    return published("RoBERTa")


@cache
def published(kind: str) -> PreTrainedTokenizerFast:
    return fast(KINDS[kind]())


@cache
def reader() -> PreTrainedModel:
    return ARCHITECTURES["bert"]()


def trim(tokenizer, model, texts, min_count=1, size=None):
    kept = choose(tokenizer, model, count_tokens(tokenizer, texts), min_count, size)
    return kept, trimmed_tokenizer(tokenizer, kept)


# Kind -> a tokenizer of it, of the WordPiece one that the tests have anyway.
TRIMMED: dict[str, Callable[[PreTrainedTokenizerFast], PreTrainedTokenizerFast]] = {
    "wordpiece": lambda wordpiece: wordpiece,
    "unigram": lambda _: unigram(),
    "byte-level BPE": lambda _: byte_bpe(),
}
