"""The flags of `compress.qat`."""

from dataclasses import dataclass

from compress.distillation.options import CompressionConfig, DistillationOptions
from edgepress.core.errors import EdgepressError
from edgepress.core.models import Weights


@dataclass(frozen=True, kw_only=True)
class QatOptions(DistillationOptions):
    """When to train with rounding, and how."""

    max_drop: float = 0.0
    """Train only where rounding alone loses more than this [points of the metric]."""
    epochs: float | None = 1.0
    """Passes over the train split."""
    learning_rate: float | None = 1e-5
    """Peak of the linear schedule: weights have to move by less than their rounding."""

    AFTER_TRAINING = DistillationOptions.AFTER_TRAINING | {"max_drop"}  # whether to train at all, not how


@dataclass(frozen=True, kw_only=True)
class QatConfig(QatOptions, CompressionConfig):
    """Train a classifier with the rounding of int8-dynamic in the way (quantization-aware training), taught
    by itself as it was: quantized afterwards it loses less. The last step before compress.quantize, for
    where that loses more than it may. Run again to resume an interrupted run.

    python -m compress.qat --model outputs/minilm-sst2-pruned --max-drop 0.5

    python -m compress.quantize --model outputs/minilm-sst2-pruned-qat
    """

    SUFFIX = "qat"

    weights: Weights = "pretrained"
    """pretrained: local, Hub, package index; there is nothing to lose with random ones."""

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        super().check()
        if self.weights != "pretrained":
            raise EdgepressError(f"--weights {self.weights}: rounding costs random weights nothing")
