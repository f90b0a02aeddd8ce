"""Masks of masked language models: tokens that are hidden, drawn by the content of what is read."""

import hashlib
from typing import Any

import numpy as np
import torch
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerBase

MASKED_SHARE = 0.15
IGNORED = -100


class Masking:
    """Hides 15 % of the tokens of a batch: 80 % of them become [MASK], 10 % another token, 10 % stay
    (Devlin et al. 2019, section 3.1).

    Masks are drawn by the content of the batch. Batches are composed anew each epoch, so that a text has
    another mask each time it comes (dynamic masking, Liu et al. 2019, section 4.1); those of the held-out
    part are always the same, and a resumed run draws those that the whole run would have drawn.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, seed: int) -> None:
        self._collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=MASKED_SHARE)
        self._seed = seed

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Inputs of shape (rows, tokens), and `labels`: the hidden tokens, -100 where nothing is hidden."""
        digest = hashlib.sha256(str(self._seed).encode())
        for row in rows:
            digest.update(np.asarray(row["input_ids"], dtype=np.int32).tobytes())
        drawn_by = int.from_bytes(digest.digest()[:7], "big")
        self._collate.generator = torch.Generator().manual_seed(drawn_by)
        return dict(self._collate(rows))
