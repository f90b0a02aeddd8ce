"""The flags of `compress.sparsify`."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from compress.distillation.options import CompressionConfig, DistillationOptions
from edgepress.core.errors import EdgepressError
from edgepress.core.option_values import FROM_0, Ranges

Pattern = Literal["any", "2:4"]
Method = Literal["magnitude", "movement"]
HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class SparsifyOptions(DistillationOptions):
    """Options of sparsification: the share of weights that become zero, and the choice of them."""

    sparsity: float = HALF
    """Share of each matrix' weights that are zero in the end, above 0 and below 1."""
    pattern: Pattern = "any"
    """any: wherever; 2:4: two of every four in a row, which sparse tensor cores of GPUs multiply faster."""
    method: Method = "magnitude"
    """Weights that become zero. magnitude: the smallest; movement: those that training moves towards zero
    (needs --epochs)."""
    epochs: float | None = 0.0
    """Passes over the train split, in which sparsity rises. 0: at once, without training."""
    cooldown: float = 0.3
    """Share of the steps, at the end, in which sparsity stays as it is."""
    formats: tuple[str, ...] = ("onnx", "torchscript")
    """Formats in which size and latency are measured before and after; none after the flag: in none."""
    sequence_length: int = 32
    """Length to time at, batch 1 [tokens]."""
    time_budget: float = 20.0
    """Most time to spend on that timing, but each file is started three times in any case [s]."""

    RANGES: ClassVar[Ranges] = {"epochs": FROM_0}
    AFTER_TRAINING = DistillationOptions.AFTER_TRAINING | {"formats", "sequence_length", "time_budget"}

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        super().check()
        if self.pattern == "2:4" and self.sparsity != HALF:
            raise EdgepressError(f"--pattern 2:4 is a sparsity of 0.5, not of {self.sparsity:g}")
        if self.method == "movement" and not self.epochs:
            raise EdgepressError("--method movement learns what to keep", "give --epochs")
        if self.method == "movement" and self.pattern == "2:4":
            raise EdgepressError("--pattern 2:4 goes by magnitude", "leave --method away")


@dataclass(frozen=True, kw_only=True)
class SparsifyConfig(SparsifyOptions, CompressionConfig):
    """Set weights of the layers' matrices to zero (unstructured pruning). Their shapes stay: a compressed
    file becomes smaller, a runtime no faster, and the table says so for each. With --epochs weights go step
    by step while the model learns, taught by itself as it was. Run again to resume an interrupted run.

    python -m compress.sparsify --model outputs/minilm-sst2 --sparsity 0.8 --epochs 2

    python -m compress.sparsify --model outputs/minilm-sst2 --pattern 2:4
    """

    SUFFIX = "sparse"
