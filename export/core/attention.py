"""Attention as converters are given it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgepress.core.process import quiet_transformers

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

PLAIN = "eager"
"""transformers' name of attention without an operator of its own."""
BIDIRECTIONAL = "bidirectional_mask_function"
"""transformers' function of a mask in which all tokens see each other."""
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
    with _short_masks():
        _set_attention(model, PLAIN)
        if not _gives(model, wanted):
            _set_attention(model, before)
        try:
            yield
        finally:
            _set_attention(model, before)


@contextmanager
def _short_masks() -> Iterator[None]:
    """Let plain attention have a mask (batch, 1, 1, sequence) by few operations, where tokens see all others.

    transformers 5 writes some 30 for it, of indices and shapes, all of which a graph keeps, and a mask of
    (batch, 1, sequence, sequence). Masks of another kind, as of local attention, are made as before.
    """
    from transformers import masking_utils

    bidirectional = getattr(masking_utils, BIDIRECTIONAL, None)
    if bidirectional is None:  # transformers 4: its models write the short one
        yield
        return
    registered = masking_utils.ALL_MASK_ATTENTION_FUNCTIONS
    usual = registered[PLAIN]
    registered[PLAIN] = _shortened(usual, bidirectional)
    try:
        yield
    finally:
        registered[PLAIN] = usual


def _shortened(usual: Callable[..., Any], bidirectional: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a mask: `usual`, but for a mask of padding alone."""

    def mask(**options: Any) -> Any:
        import torch

        padding = options.get("attention_mask")
        if options.get("mask_function") is not bidirectional or padding is None:
            return usual(**options)
        number = options.get("dtype", torch.float32)
        return (1 - padding[:, None, None, :].to(number)) * torch.finfo(number).min

    return mask


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
