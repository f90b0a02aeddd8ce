"""Choice of the tokens that stay; a tokenizer and an embedding table of those alone.

Of a WordPiece or Unigram vocabulary the tokens that a text is split into are enough to split it so again: the
longest match, or the likeliest split, is still there, and nothing that could beat it has come. A byte-pair
vocabulary is put together by merges, whose way leads over tokens that no text ends with.
"""

import copy
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from tokenizers import Tokenizer
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from compress.training.data import encode_examples
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel
from edgepress.core.splits import Examples

# What a token that does not begin a word, or one that does, has before its characters.
MARKS = {"WordPiece": "##", "Unigram": "▁"}
BATCH = 1000
IDS = "_token_id"


def check_trimmable(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuse a vocabulary that cannot be thinned out.

    Raises:
        EdgepressError: it is a byte-pair encoding, or not one of the tokenizers library.
    """
    kind = _content(tokenizer)["model"]["type"] if tokenizer.is_fast else "slow"
    if kind not in MARKS:
        raise EdgepressError(
            f"the vocabulary of {name} ({kind}) cannot be trimmed: its tokens are built from one another",
            f"models with {' or '.join(MARKS)} can: bert, distilbert, minilm, mpnet, tinybert, albert",
        )


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
    config: PretrainedConfig,
    counts: Mapping[int, int],
    min_count: int,
    size: int | None,
) -> Kept:
    """The tokens that are frequent enough, and those that stay in any case.

    In any case stay special tokens, those that the config names, and single characters: of ASCII, and of all
    frequent tokens. With them every text is still split into pieces, down to its letters where need be.

    Args:
        tokenizer: its vocabulary is chosen from.
        config: may name special tokens by id.
        counts: how often each id is needed.
        min_count: what is needed less often goes.
        size: of the new vocabulary, at most; the rarest go first.

    Raises:
        EdgepressError: more than `size` have to stay.
    """
    frequent = [token for token, count in Counter(counts).most_common() if count >= min_count]
    always = indispensable(tokenizer, config, frequent)
    if size is not None and len(always) > size:
        raise EdgepressError(
            f"--size {size}: {len(always)} special tokens and single characters have to stay",
            "name a larger one",
        )
    wanted = [token for token in frequent if token not in always]
    room = None if size is None else size - len(always)
    return Kept(tuple(sorted(always | set(wanted[:room]))))


def indispensable(
    tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, tokens: Iterable[int]
) -> set[int]:
    """Return the tokens that always stay: special ones, and characters of ASCII and of `tokens`."""
    return _special(tokenizer, config) | _characters(tokenizer, tokens)


def _special(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> set[int]:
    own = [token for name, token in config.to_dict().items() if name.endswith(IDS)]
    return {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder, *(i for i in own if i is not None)}


def _characters(tokenizer: PreTrainedTokenizerBase, frequent: Iterable[int]) -> set[int]:
    mark = MARKS[_content(tokenizer)["model"]["type"]]
    bare = {token: text.removeprefix(mark) for text, token in tokenizer.get_vocab().items()}
    wanted = {character for token in frequent for character in bare.get(token, "")}
    return {token for token, text in bare.items() if len(text) == 1 and (text.isascii() or text in wanted)}


def trimmed_tokenizer(tokenizer: PreTrainedTokenizerBase, kept: Kept) -> PreTrainedTokenizerBase:
    """The same tokenizer with these tokens alone, under their new ids."""
    content = _renumbered(_content(tokenizer), kept.new)
    own: Any = copy.deepcopy(tokenizer)
    own._tokenizer = Tokenizer.from_str(json.dumps(content))
    return own


def _content(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return content


def _renumbered(content: dict[str, Any], new: Mapping[int, int]) -> dict[str, Any]:
    """tokenizer.json with the new ids wherever it names one."""
    model = content["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {text: new[token] for text, token in model["vocab"].items() if token in new}
    else:  # Unigram's is a list of (token, log probability)
        model["vocab"] = [entry for token, entry in enumerate(model["vocab"]) if token in new]
        model["unk_id"] = new[model["unk_id"]]
    content["added_tokens"] = [{**token, "id": new[token["id"]]} for token in content["added_tokens"]]
    content["post_processor"] = _processor(content["post_processor"], new)
    return content


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
    for name, token in model.config.to_dict().items():
        if name.endswith(IDS) and token is not None:
            setattr(model.config, name, new[token])


def encode_with_dropout(
    opened: OpenedModel, examples: Examples, max_length: int, dropout: float, seed: int
) -> Dataset:
    """Encode as `encode_examples` does, by vocabularies that lack some of the model's tokens.

    Kudo 2018 draws one of a text's likely splits, MaxMatch-Dropout (Hiraoka 2022) lets WordPiece's search for
    the longest match overlook tokens. Here tokens are left out of the vocabulary itself, as trimming does,
    and so it serves both kinds.

    Args:
        opened: its tokenizer is WordPiece or Unigram.
        examples: drawn at random into groups that share a vocabulary, since it takes longer to make one than
            to split a text.
        max_length: longer texts are cut [tokens].
        dropout: chance of each token to be missing.
        seed: of all draws.
    """
    rng = np.random.default_rng(seed)
    tokenizer = opened.tokenizer
    always = indispensable(tokenizer, opened.model.config, range(len(tokenizer)))
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
