"""Which inputs a classifier takes."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def input_names(model: PreTrainedModel) -> tuple[str, ...]:
    """`input_ids, attention_mask`, and `token_type_ids` where the model tells token types apart.

    RoBERTa's forward takes token types, and its table of them has one row.
    """
    tells_types = getattr(model.config, "type_vocab_size", 0) > 1
    taken = inspect.signature(model.forward).parameters
    names = ("input_ids", "attention_mask", *(("token_type_ids",) if tells_types else ()))
    return tuple(name for name in names if name in taken)
