"""Rounding as int8-dynamic does it, in torch and with gradients.

The forward pass sees rounded numbers, the gradient passes through as if they were not (Jacob et al. 2018,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", section 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from export.onnx_graph.tables import SMALLEST_BYTES

# Weights -127..127, symmetric and one scale an output channel; activations 0..255 with a zero point, and a
# range that each run finds.
LARGEST, LEVELS = 127, 255
SMALLEST_SCALE = 1e-8


class RoundedRows(nn.Module):
    """A parametrization: a matrix, each row on the grid of its own scale."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Round each row of a weight (rows, columns) to int8 steps of its own scale; return it in fp32."""
        with torch.no_grad():
            scale = (weight.abs().amax(1) / LARGEST).clamp(min=SMALLEST_SCALE).float()
            zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight.float(), scale, zero, 0, -LARGEST, LARGEST)


def rounded(values: torch.Tensor) -> torch.Tensor:
    """Activations on the grid between their least and greatest, 0 among them, as DynamicQuantizeLinear."""
    with torch.no_grad():
        low, high = values.amin().clamp(max=0).float(), values.amax().clamp(min=0).float()
        scale = ((high - low) / LEVELS).clamp(min=SMALLEST_SCALE)
        zero = torch.round(-low / scale).clamp(0, LEVELS).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(values.float(), scale, zero, 0, LEVELS)


@contextmanager
def rounding(model: PreTrainedModel) -> Iterator[None]:
    """Let a model compute as its int8-dynamic file will: matrices, their inputs, and embedding tables.

    Afterwards it has the weights that rounded so, not rounded themselves: the quantizer does it.
    """
    found = [module for module in model.modules() if _is_rounded(module)]
    products = [module for module in found if isinstance(module, nn.Linear)]
    hooks = [module.register_forward_pre_hook(_round_input) for module in products]
    for module in found:
        parametrize.register_parametrization(module, "weight", RoundedRows())
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module in found:
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)


def _is_rounded(module: nn.Module) -> bool:
    """Small tables (token types) stay in float in the file, too."""
    if isinstance(module, nn.Embedding):
        return module.weight.nbytes >= SMALLEST_BYTES
    return isinstance(module, nn.Linear)


def _round_input(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (rounded(inputs[0]), *inputs[1:])
