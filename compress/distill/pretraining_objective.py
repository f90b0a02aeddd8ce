"""DistilBERT's triple loss (Sanh et al. 2019, section 3), student and teacher side by side."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from compress.distill.config import DistillOptions
from compress.distillation import losses
from compress.training.masked_lm import IGNORED, masked_lm_loss, vocabulary_head
from edgepress.core.errors import EdgepressError


class PretrainingDistillation(nn.Module):
    """L_ce between the two models' softened answers and L_mlm against the hidden tokens, at the masked
    positions; L_cos between their last hidden states, at all tokens.

    In evaluation it is L_mlm alone, so that held-out losses compare whatever the weights are.
    """

    def __init__(self, student: PreTrainedModel, teacher: PreTrainedModel, config: DistillOptions) -> None:
        """Put the parts together, and freeze the teacher.

        Raises:
            EdgepressError: the two models' hidden states have no angle.
        """
        super().__init__()
        widths = student.config.hidden_size, teacher.config.hidden_size
        if config.cosine_weight and widths[0] != widths[1]:
            raise EdgepressError(
                f"hidden states of width {widths[0]} and {widths[1]} have no angle",
                "--cosine-weight 0 leaves it away",
            )
        self.student = student
        # Not as a submodule: its weights are neither trained nor kept in checkpoints.
        self._teacher: list[Any] = [teacher.eval().requires_grad_(False)]
        self.config = config

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch.

        Args:
            input_ids: (rows, tokens).
            attention_mask: (rows, tokens), 1 for a token and 0 for padding.
            labels: (rows, tokens), the hidden tokens, and -100 elsewhere.
        """
        masked = labels != IGNORED
        states, logits = _read(self.student, input_ids, attention_mask, masked)
        hidden_tokens = masked_lm_loss(logits, labels[masked])
        if not self.training:
            return {"loss": hidden_tokens}
        loss = (self.config.label_weight or 0.0) * hidden_tokens
        if self.config.response_weight or self.config.cosine_weight:
            loss = loss + self._taught(states, logits, input_ids, attention_mask, masked)
        return {"loss": loss}

    def _taught(
        self,
        states: torch.Tensor,
        logits: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        masked: torch.Tensor,
    ) -> torch.Tensor:
        """What the teacher has to say, weighted."""
        teacher = self._teacher[0].to(input_ids.device)  # no submodule: nobody else moves it
        with torch.no_grad():
            their_states, their_logits = _read(teacher, input_ids, attention_mask, masked)
        loss = logits.new_zeros((), dtype=torch.float32)
        if self.config.response_weight and len(logits):
            loss = loss + self.config.response_weight * self._response(logits, their_logits)
        if self.config.cosine_weight:
            angle = losses.hidden_cosine(states, their_states, attention_mask)
            loss = loss + self.config.cosine_weight * angle
        return loss

    def _response(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        if self.config.response == "mse":
            return losses.response_mse(ours, theirs)
        return losses.response_kl(ours, theirs, self.config.temperature, "single_label_classification")


def _read(
    model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, masked: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Last hidden states (rows, tokens, width), and logits (masked tokens, vocabulary) of the masked tokens
    alone: those of all tokens would cost more than the model."""
    states = model.base_model(input_ids, attention_mask=attention_mask).last_hidden_state
    return states, vocabulary_head(model)(states[masked])
