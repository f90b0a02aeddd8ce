"""A model as a plain function of tensors, which is what tracers take."""

import torch
from torch import nn
from transformers import PreTrainedModel

from edgepress.core.inputs import input_names
from edgepress.core.outputs import model_outputs

# Tracers keep a size of 1 as a constant; the ids are the smallest vocabulary's.
EXAMPLE_ROWS = 2
EXAMPLE_LENGTH = 16


class Traceable(nn.Module):
    """Takes `input_ids, attention_mask[, token_type_ids]` by position and gives the logits alone; those of
    start and end, where it answers questions, or the vector of a text.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self.names = input_names(model)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Logits (batch, labels) or (batch, sequence, labels) of inputs (batch, sequence) int64; or those of
        start and end, (batch, sequence) each.
        """
        found = model_outputs(self.model(**dict(zip(self.names, inputs, strict=True))))
        return found[0] if len(found) == 1 else found


def example_inputs(
    model: PreTrainedModel, rows: int = EXAMPLE_ROWS, length: int = EXAMPLE_LENGTH
) -> tuple[torch.Tensor, ...]:
    """Inputs to trace with, (rows, length) int64; the last token of the first row is padding."""
    ids = torch.ones((rows, length), dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[0, 1:][-1:] = 0
    examples = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    return tuple(examples[name] for name in input_names(model))
