"""Texts in other pieces than their own, drawn at random: subword regularization.

Kudo 2018 draws one of a text's likely splits, MaxMatch-Dropout (Hiraoka 2022) lets WordPiece's search for the
longest match overlook tokens. Here tokens are left out of the vocabulary itself, as trimming does, and so it
serves both kinds.
"""

import numpy as np
from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from compress.training.data import encode_examples
from compress.trim_vocab.tokens import BATCH, Kept, indispensable, trimmed_tokenizer
from edgepress.core.loading import OpenedModel
from edgepress.core.splits import Examples


def encode_with_dropout(
    opened: OpenedModel, examples: Examples, max_length: int, dropout: float, seed: int
) -> Dataset:
    """As `encode_examples`, with texts split by vocabularies that lack some of the model's tokens.

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
        parts.append(_encoded(tokenizer, kept, part, max_length))
    return concatenate_datasets(parts).select(np.argsort(order))


def _encoded(tokenizer: PreTrainedTokenizerBase, kept: Kept, examples: Examples, max_length: int) -> Dataset:
    """Split by what is kept, under the ids of all."""
    rows = encode_examples(trimmed_tokenizer(tokenizer, kept), examples, max_length).to_dict()
    return Dataset.from_dict(
        {**rows, "input_ids": [[kept.ids[token] for token in row] for row in rows["input_ids"]]}
    )
