"""Outputs of models and of their files: one array of logits or vectors, or those of start and end, stacked.

Whoever runs a file needs neither torch nor transformers: this imports none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepress.core.errors import EdgepressError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

LOGITS = ("logits",)
SPANS = ("start_logits", "end_logits")
"""transformers' and transformers.js' names, of models that answer questions: (rows, tokens) each."""
VECTORS = ("sentence_embedding",)
"""sentence-transformers' name, of models that give a vector a text: (rows, width)."""
STATES = "last_hidden_state"
"""transformers' name of the states of tokens, (rows, tokens, width), which a file of vectors may give too."""


def output_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Names of a model's outputs, in their order."""
    from edgepress.core.embedder import gives_states
    from edgepress.core.heads import EMBEDDING, QUESTION_ANSWERING, head_of_class

    if head_of_class(model) is EMBEDDING and gives_states(model):
        return (*VECTORS, STATES)
    return {QUESTION_ANSWERING: SPANS, EMBEDDING: VECTORS}.get(head_of_class(model), LOGITS)


def model_outputs(found: Any) -> tuple[torch.Tensor, ...]:
    """The outputs of what a model of transformers gave, in the order of `output_names`."""
    names = next((own for own in (SPANS, VECTORS) if hasattr(found, own[0])), LOGITS)
    if names is VECTORS and getattr(found, STATES) is not None:
        names = (*VECTORS, STATES)
    return tuple(getattr(found, name) for name in names)


def model_logits(found: Any) -> torch.Tensor:
    """The outputs of what a model of transformers gave, as one tensor: (rows, ..., labels)."""
    import torch

    parts = model_outputs(found)
    return torch.stack(parts, -1) if hasattr(found, SPANS[0]) else parts[0]


def file_outputs(names: Collection[str], where: str) -> tuple[str, ...]:
    """Return the names of a file's outputs that hold logits.

    Raises:
        EdgepressError: it has none of these names.
    """
    for known in (LOGITS, SPANS, VECTORS):
        if set(known) <= {*names}:
            return known
    raise EdgepressError(
        f"{where}: its outputs are {', '.join(sorted(names))}, not {LOGITS[0]}", "name a file of a classifier"
    )


def as_one(parts: tuple[np.ndarray, ...] | list[np.ndarray]) -> np.ndarray:
    """Logits as one array: those of start and end are stacked, (rows, tokens, 2)."""
    return parts[0] if len(parts) == 1 else np.stack(parts, -1)


def named_as_one(found: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return outputs by name as `as_one` returns those in order."""
    return as_one([found[name] for name in file_outputs(found.keys(), "the file")])
