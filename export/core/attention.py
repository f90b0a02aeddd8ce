"""Attention as converters are given it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgepress.core.process import quiet_transformers

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

PLAIN = "eager"
"""transformers' name of attention without an operator of its own."""
ATOL = 1e-3
"""Largest difference of a logit at which two ways of attention are one."""


@contextmanager
def plain_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let attention be written as products and a softmax, with a mask of finite numbers, where it can be.

    Torch's own operator makes zeros of rows that see no token, such as padding whose whole local window is
    padding: converters make NaN of them, or write what tests for it in each layer, which costs MiniLM in ONNX
    5 % at 128 tokens. Models whose code chose its attention as it was made, as some do under transformers 4,
    keep theirs.
    """
    before, wanted = getattr(model.config, "_attn_implementation", None) or PLAIN, _example_logits(model)
    _set_attention(model, PLAIN)
    if not _gives(model, wanted):
        _set_attention(model, before)
    try:
        yield
    finally:
        _set_attention(model, before)


def _set_attention(model: PreTrainedModel, name: str) -> None:
    with quiet_transformers():
        model.set_attn_implementation(name)


def _gives(model: PreTrainedModel, wanted: Tensor) -> bool:
    """Whether a model runs, and its logits are these."""
    try:
        return bool((_example_logits(model) - wanted).abs().max() <= ATOL)
    except Exception:  # whatever a mask of another kind trips over
        return False


def _example_logits(model: PreTrainedModel) -> Tensor:
    import torch

    from edgepress.core.inputs import input_names
    from edgepress.core.outputs import model_logits
    from export.core.traceable import example_inputs

    with torch.no_grad():
        return model_logits(model(**dict(zip(input_names(model), example_inputs(model), strict=True))))
