"""A teacher's tokens as its last layer sees them: alone, and in texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from compress.training.machine import device
from edgepress.core import console
from edgepress.core.inputs import encode_texts, input_names
from edgepress.core.loading import OpenedModel

# Rows of a forward pass: of single tokens, and of texts.
TOKENS_AT_ONCE, TEXTS_AT_ONCE = 512, 64
# Texts are drawn until they have so many tokens: more would change the means of frequent ones alone.
TOKENS_OF_TEXTS = 200_000
ENCODED_AT_ONCE = 1000


@dataclass(frozen=True)
class TokenStates:
    """Last hidden states of each token, and how often it was read in texts."""

    means: np.ndarray
    """Mean state of each token, (tokens, width) float32."""
    counts: np.ndarray
    """Occurrences in the texts, (tokens,) int64."""


def token_states(teacher: OpenedModel, texts: Sequence[tuple[str, ...]], seed: int) -> TokenStates:
    """Let the teacher read each token alone (Minishlab 2024, "Model2Vec"), and some texts.

    An occurrence in a text counts as much as the token alone.

    Args:
        teacher: a model with layers.
        texts: drawn from at random, until they have 200,000 tokens.
        seed: of that draw.
    """
    before, after = _around(teacher.tokenizer)
    tokens = [[*before, token, *after] for token in range(table_rows(teacher.tokenizer))]
    alone = [{"input_ids": row, "attention_mask": [1] * len(row)} for row in tokens]
    drawn = sorted(
        drawn_texts(teacher, texts, seed, TOKENS_OF_TEXTS, teacher.text_length),
        key=lambda row: len(row["input_ids"]),
    )
    single, _ = _summed(teacher, alone, "the teacher reads tokens", TOKENS_AT_ONCE, place=len(before))
    several, counts = _summed(teacher, drawn, "the teacher reads texts", TEXTS_AT_ONCE)
    means = (single + several) / (1 + counts).unsqueeze(1)
    return TokenStates(means.numpy(), counts.numpy())


def table_rows(tokenizer: PreTrainedTokenizerBase) -> int:
    """Number of rows that a table has to have for a tokenizer's ids."""
    return max(tokenizer.get_vocab().values()) + 1


def _around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The special tokens before and behind a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, special = encoded["input_ids"], encoded["special_tokens_mask"]
    first = special.index(0)
    last = len(special) - special[::-1].index(0)
    return ids[:first], ids[last:]


def drawn_texts(
    teacher: OpenedModel, texts: Sequence[tuple[str, ...]], seed: int, tokens: int, longest: int
) -> Iterator[dict[str, Any]]:
    """Encoded texts in random order, cut to `longest` tokens, until they have so many `tokens`."""
    order, read = np.random.default_rng(seed).permutation(len(texts)), 0
    for start in range(0, len(order), ENCODED_AT_ONCE):
        part = [texts[row] for row in order[start : start + ENCODED_AT_ONCE]]
        encoded = encode_texts(teacher.tokenizer, part, longest)
        for row in range(len(part)):
            if read >= tokens:
                return
            read += len(encoded["input_ids"][row])
            yield {name: ids[row] for name, ids in encoded.items()}


@torch.inference_mode()
def _summed(
    teacher: OpenedModel, rows: list[dict[str, Any]], said: str, at_once: int, place: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of each token's states, (tokens, width), and their numbers, (tokens,).

    Args:
        teacher: reads.
        rows: encoded texts, those of like length side by side.
        said: words of the progress bar.
        at_once: rows of a forward pass.
        place: the only place of a row that counts; None: all but padding.
    """
    tokenizer, model = teacher.tokenizer, teacher.model
    own: Any = model.to(device()).eval()  # type: ignore[arg-type]
    count = table_rows(tokenizer)
    sums = torch.zeros(count, model.config.hidden_size)
    counts = torch.zeros(count, dtype=torch.int64)
    with console.progress() as progress:
        for start in progress.track(range(0, len(rows), at_once), description=said):
            batch = tokenizer.pad(rows[start : start + at_once], return_tensors="pt").to(device())
            states = own.base_model(
                **{name: batch[name] for name in input_names(model) if name in batch}
            ).last_hidden_state
            kept = batch["attention_mask"].bool()
            if place is not None:
                kept &= torch.arange(kept.shape[1], device=kept.device) == place
            ids = batch["input_ids"][kept].cpu()
            sums.index_add_(0, ids, states[kept].float().cpu())
            counts += torch.bincount(ids, minlength=count)
    own.cpu()
    return sums, counts
