"""Encoders that give one vector a text: pooling and normalization stand inside the model, and so in every
file that is made of it.

A class of transformers without a head, whose weights keep their names: other loaders open the folder as the
encoder that it is. The pooling stands in the config (`sentence_folder.RECORD`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput

from edgepress.core.embedding_losses import pair_loss
from edgepress.core.matryoshka import trained_dimensions
from edgepress.core.sentence_folder import GIVES_VECTORS, RECORD, Pooling, PoolingMode

IDS, MASK = "input_ids", "attention_mask"
STATES_TOO = "gives_states_too"
NO_POOLER = "add_pooling_layer"
SHORTEST = 1e-12
"""Vectors that are shorter are not scaled up to length 1."""


@dataclass
class EmbeddingOutput(ModelOutput):
    """What an embedding model gives."""

    loss: torch.Tensor | None = None
    """The loss of the batch, where labels were given."""
    sentence_embedding: torch.Tensor | None = None
    """Vectors of the texts (rows, width)."""
    last_hidden_state: torch.Tensor | None = None
    """States of the tokens (rows, tokens, width), where they are given too."""
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


def gives_states(model: nn.Module) -> bool:
    """Whether a model of vectors gives the states of tokens beside them, as `with_states` lets it."""
    return bool(getattr(model, STATES_TOO, False))


@contextmanager
def with_states(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Let a model of vectors give the states of tokens too, for other loaders that pool them themselves."""
    setattr(model, STATES_TOO, wanted)
    try:
        yield
    finally:
        delattr(model, STATES_TOO)


def pooled(states: torch.Tensor, mask: torch.Tensor, mode: PoolingMode) -> torch.Tensor:
    """One vector of the states of a text's tokens.

    Args:
        states: (rows, tokens, width).
        mask: (rows, tokens), 1 for a token and 0 for padding.
        mode: the mean of all tokens, the first, or the last one.

    Returns:
        (rows, width).
    """
    if mode == "cls":
        return states[:, 0]
    if mode == "last":
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(1)
        return states[torch.arange(states.shape[0], device=states.device), last]
    kept = mask.unsqueeze(-1).to(states.dtype)
    return (states * kept).sum(1) / kept.sum(1).clamp(min=1)


def normalized(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors (rows, width) of length 1."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=SHORTEST)


@functools.cache
def embedder_class(encoder: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """The class of an encoder of transformers that gives vectors of texts.

    It takes the inputs of the encoder and `labels`, and has no pooler: nothing reads that.
    """
    without_pooler = {NO_POOLER: False} if NO_POOLER in inspect.signature(encoder.__init__).parameters else {}

    def build(self: Any, config: PretrainedConfig) -> None:
        encoder.__init__(self, config, **without_pooler)

    names = [*inspect.signature(encoder.forward).parameters][1:]

    @functools.wraps(encoder.forward)
    def forward(self: Any, *inputs: Any, **named: Any) -> EmbeddingOutput:
        named |= {**dict(zip(names, inputs, strict=False)), "return_dict": True}
        labels = named.pop("labels", None)
        if named.get(MASK) is None:
            named[MASK] = torch.ones_like(named[IDS])
        found, mask = encoder.forward(self, **named), named[MASK]
        pooling = Pooling.of(getattr(self.config, RECORD, Pooling().recorded))
        vectors = pooled(found.last_hidden_state, mask, pooling.mode)
        vectors = normalized(vectors) if pooling.normalize else vectors
        return EmbeddingOutput(
            loss=None if labels is None else pair_loss(vectors, labels, trained_dimensions(self.config)),
            sentence_embedding=vectors,
            last_hidden_state=found.last_hidden_state if gives_states(self) else None,
            hidden_states=getattr(found, "hidden_states", None),
            attentions=getattr(found, "attentions", None),
        )

    own = {"__init__": build, "forward": forward, "__module__": encoder.__module__, GIVES_VECTORS: True}
    # transformers goes by the name of a class, and writes it into the config.
    return type(encoder.__name__, (encoder,), own)
