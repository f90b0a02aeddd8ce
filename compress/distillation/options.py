"""Options of learning from another model."""

from dataclasses import dataclass
from typing import Literal

from compress.training.config import ClassifierStepFlags, TrainingOptions
from edgepress.core.errors import EdgepressError

Response = Literal["kl", "mse"]
WEIGHTS = {"response_weight": 0.5, "label_weight": 0.5, "cosine_weight": 0.0}


@dataclass(frozen=True, kw_only=True)
class DistillationOptions(TrainingOptions):
    """Options of the distillation loss: comparisons of logits and hidden states, and their weights."""

    response: Response = "kl"
    """How logits are compared: kl at --temperature, or mse; vectors by their angle, or mse."""
    temperature: float = 2.0
    """Divisor of logits before the softmax."""
    response_weight: float | None = None
    """Weight of the loss between the two models' logits; default: 0.5, and 5 in distill's pretrain stage."""
    label_weight: float | None = None
    """Weight of the loss against the labels, or the masked tokens; default: 0.5, and 2 in the pretrain
    stage."""
    cosine_weight: float | None = None
    """Weight of the angle between the last hidden states (DistilBERT); default: 0, and 1 in the
    pretrain stage."""
    hidden_weight: float = 0.0
    """Weight of the squared difference of hidden states, layer by layer, through a learned projection
    (TinyBERT)."""
    attention_weight: float = 0.0
    """Weight of the squared difference of attention maps, layer by layer (TinyBERT)."""

    def __post_init__(self) -> None:
        for name, weight in self._default_weights().items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, weight)

    def _default_weights(self) -> dict[str, float]:
        return WEIGHTS

    @property
    def loss_weights(self) -> dict[str, float]:
        """Flag -> weight of its loss."""
        return {
            "--response-weight": self.response_weight or 0.0,
            "--label-weight": self.label_weight or 0.0,
            "--cosine-weight": self.cosine_weight or 0.0,
            "--hidden-weight": self.hidden_weight,
            "--attention-weight": self.attention_weight,
        }

    @property
    def compares_states(self) -> bool:
        """Whether the teacher has to run beside the student: its logits alone would be kept."""
        return any((self.cosine_weight, self.hidden_weight, self.attention_weight))

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        super().check()
        if not any(self.loss_weights.values()):
            raise EdgepressError(
                "the weights of all losses are 0: there is nothing to learn",
                f"give one of {', '.join(self.loss_weights)}",
            )


@dataclass(frozen=True, kw_only=True)
class CompressionConfig(DistillationOptions, ClassifierStepFlags):
    """Flags of the commands that make a classifier smaller and let it learn from itself as it was."""
