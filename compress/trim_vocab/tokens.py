"""Choice of the tokens that stay; a tokenizer and an embedding table of those alone."""

import copy
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress.training.data import encode_examples
from compress.trim_vocab.vocabularies import tokenizer_content, vocabulary_of
from edgepress.core.errors import EdgepressError
from edgepress.core.inputs import rows_before_text
from edgepress.core.loading import OpenedModel
from edgepress.core.splits import Examples

BATCH = 1000
IDS = "_token_id"


def count_tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Counter[int]:
    """Count each token in the texts, which are neither cut nor wrapped in special tokens."""
    counts: Counter[int] = Counter()
    for start in range(0, len(texts), BATCH):
        part = list(texts[start : start + BATCH])
        for ids in tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]:
            counts.update(ids)
    return counts


@dataclass(frozen=True)
class Kept:
    """The tokens that stay: their present ids, in rising order, which are their new ids' places."""

    ids: tuple[int, ...]

    @property
    def new(self) -> dict[int, int]:
        """Present id -> new id."""
        return {old: place for place, old in enumerate(self.ids)}


def choose(
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    counts: Mapping[int, int],
    min_count: int,
    size: int | None,
) -> Kept:
    """The tokens that are frequent enough with all that they are built from, and those that stay in any case.

    In any case stay special tokens, those that the config names, and single characters: of ASCII, and of all
    frequent tokens; or all bytes. With them every text is still split into pieces, down to its letters where
    need be.

    Args:
        tokenizer: its vocabulary is chosen from.
        model: reads it; its config may name special tokens by id.
        counts: how often each id is needed.
        min_count: what is needed less often goes.
        size: of the new vocabulary, at most; the rarest go first.

    Raises:
        EdgepressError: more than `size` have to stay.
    """
    vocabulary = vocabulary_of(tokenizer)
    frequent = [token for token, count in Counter(counts).most_common() if count >= min_count]
    kept = indispensable(tokenizer, model, frequent)
    if size is not None and len(kept) > size:
        raise EdgepressError(
            f"--size {size}: {len(kept)} special tokens and single characters have to stay",
            "name a larger one",
        )
    for token in frequent:
        wanted = vocabulary.parts(token) - kept
        if size is not None and len(kept) + len(wanted) > size:
            break
        kept |= wanted
    return Kept(tuple(sorted(kept)))


def indispensable(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, tokens: Iterable[int]
) -> set[int]:
    """Return the tokens that always stay: special ones, and characters of ASCII and of `tokens`, or bytes."""
    vocabulary = vocabulary_of(tokenizer)
    named = _special(tokenizer, model) | vocabulary.fixed
    return {*chain.from_iterable(map(vocabulary.parts, named | vocabulary.characters(tokens)))}


def _special(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> set[int]:
    """Special tokens; and where positions begin behind the padding id, all up to it, so that it stays."""
    table = model.get_input_embeddings()
    assert isinstance(table, nn.Embedding)
    known = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder, *range(rows_before_text(model))}
    return known | {token for token in _named_ids(model).values() if 0 <= token < table.num_embeddings}


def _named_ids(model: PreTrainedModel) -> dict[str, int]:
    """Names in the config, and the tokens that stand under them."""
    entries = model.config.to_dict().items()
    return {name: token for name, token in entries if name.endswith(IDS) and isinstance(token, int)}


def trimmed_tokenizer(tokenizer: PreTrainedTokenizerBase, kept: Kept) -> PreTrainedTokenizerBase:
    """The same tokenizer with these tokens alone, under their new ids.

    Raises:
        EdgepressError: tokenizers would give its added tokens other ids.
    """
    new, vocabulary = kept.new, vocabulary_of(tokenizer)
    content = tokenizer_content(tokenizer)
    content["model"] = vocabulary.renumbered(new)
    content["added_tokens"] = [{**token, "id": new[token["id"]]} for token in content["added_tokens"]]
    content["post_processor"] = _processor(content["post_processor"], new)
    own: Any = copy.deepcopy(tokenizer)
    own._tokenizer = Tokenizer.from_str(json.dumps(content))
    if own.get_vocab() != {text: new[token] for text, token in vocabulary.ids.items() if token in new}:
        raise EdgepressError(
            "the vocabulary cannot be trimmed: its ids have gaps, and added tokens would get others",
            "save the tokenizer with ids that follow one another",
        )
    if getattr(own, "vocab_file", None):
        own.vocab_file = None  # transformers 4 would put the whole one beside it
    return own


def _processor(content: dict[str, Any] | None, new: Mapping[int, int]) -> dict[str, Any] | None:
    """What puts special tokens around a text."""
    if content is None:
        return None
    if content["type"] == "Sequence":
        return {**content, "processors": [_processor(each, new) for each in content["processors"]]}
    if content["type"] == "TemplateProcessing":
        special = content["special_tokens"]
        ids = {name: [new[token] for token in own["ids"]] for name, own in special.items()}
        return {
            **content,
            "special_tokens": {name: {**own, "ids": ids[name]} for name, own in special.items()},
        }
    named = {key: content[key] for key in ("sep", "cls") if key in content}  # BERT's and RoBERTa's own
    return {**content, **{key: [text, new[token]] for key, (text, token) in named.items()}}


def trim_embeddings(model: PreTrainedModel, kept: Kept) -> None:
    """Leave only these rows of the embedding table, in place; the config says its size and special ids."""
    table = model.get_input_embeddings()
    assert isinstance(table, nn.Embedding)
    new, padding = kept.new, table.padding_idx
    rows = table.weight.detach()[torch.tensor(kept.ids)]
    count, width = rows.shape
    own = nn.Embedding(count, width, padding_idx=None if padding is None else new[padding])
    own.weight = nn.Parameter(rows.clone())
    model.set_input_embeddings(own)
    model.config.vocab_size = len(kept.ids)
    for name, token in _named_ids(model).items():
        if token in new:
            setattr(model.config, name, new[token])


def encode_with_dropout(
    opened: OpenedModel, examples: Examples, max_length: int, dropout: float, seed: int
) -> Dataset:
    """Encode as `encode_examples` does, by vocabularies that lack some of the model's tokens.

    Kudo 2018 draws one of a text's likely splits, MaxMatch-Dropout (Hiraoka 2022) lets WordPiece's search for
    the longest match overlook tokens. Here tokens are left out of the vocabulary itself, as trimming does,
    and so it serves every kind; of byte pairs, what is built from a missing token is missing with it.

    Args:
        opened: its tokenizer is one that can be trimmed.
        examples: drawn at random into groups that share a vocabulary, since it takes longer to make one than
            to split a text.
        max_length: longer texts are cut [tokens].
        dropout: chance of each token to be missing.
        seed: of all draws.
    """
    rng = np.random.default_rng(seed)
    tokenizer = opened.tokenizer
    always = indispensable(tokenizer, opened.model, range(len(tokenizer)))
    # In the order of the texts, which may be that of their labels, a split would tell the label.
    order, parts = rng.permutation(len(examples)), []
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        part = Examples([examples.texts[row] for row in rows], examples.labels[rows])
        stays = rng.random(len(tokenizer)) >= dropout
        kept = Kept(tuple(sorted(always | {*np.flatnonzero(stays).tolist()})))
        parts.append(_encoded(opened, kept, part, max_length))
    return concatenate_datasets(parts).select(np.argsort(order))


def _encoded(opened: OpenedModel, kept: Kept, examples: Examples, max_length: int) -> Dataset:
    """Split by what is kept, under the ids of all."""
    own = trimmed_tokenizer(opened.tokenizer, kept)
    rows = encode_examples(own, opened.text_task, examples, max_length).to_dict()
    return Dataset.from_dict(
        {**rows, "input_ids": [[kept.ids[token] for token in row] for row in rows["input_ids"]]}
    )
