"""A model as a Trainer trains it, where its own forward does not give one loss and one array of logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import PreTrainedModel

from edgepress.core.inputs import input_names

if TYPE_CHECKING:
    from edgepress.core.tasks.kind import TaskKind


class TaskModule(nn.Module):
    """A model with the loss of its kind of task."""

    def __init__(self, model: PreTrainedModel, kind: TaskKind) -> None:
        super().__init__()
        self.model = model
        self._kind = kind
        self.taken = input_names(model)

    def forward(self, labels: torch.Tensor, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """The loss of a batch, and its logits.

        Args:
            labels: as the kind's collator gives them.
            inputs: `input_ids`, `attention_mask`, ... (rows, tokens); those that the model does not take are
                left out.
        """
        own = {name: inputs[name] for name in self.taken if name in inputs}
        loss, logits, _ = self._kind.loss_and_logits(self.model, own, labels)
        return {"loss": loss, "logits": logits}
