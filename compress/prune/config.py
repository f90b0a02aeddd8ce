"""The flags of `compress.prune`."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from compress.distillation.options import CompressionConfig, DistillationOptions
from edgepress.core.errors import EdgepressError
from edgepress.core.option_values import FROM_0, PART, Ranges

Importance = Literal["l1", "l2", "taylor", "activation"]
Scope = Literal["layer", "global"]
# What is cut -> what its flag counts.
KINDS = ("heads", "ffn", "hidden", "layers")


@dataclass(frozen=True, kw_only=True)
class PruneOptions(DistillationOptions):
    """Options of pruning: shares to cut, and the measure of importance."""

    heads: float | tuple[float, ...] = 0.0
    """Share of each layer's attention heads to cut, from 0 to below 1; or one a layer."""
    ffn: float | tuple[float, ...] = 0.0
    """Share of the units between the two feed-forward matrices of each layer; or one a layer."""
    hidden: float = 0.0
    """Share of the width that runs through all layers, and of each head's with it."""
    layers: float = 0.0
    """Share of whole layers."""
    scope: Scope = "layer"
    """layer: each layer loses its own least important heads and units, and all of them keep one shape;
    global: they are ranked over all layers, of which some lose more than others."""
    importance: Importance = "l2"
    """Measure of what is worth keeping. l1, l2: large weights; taylor: what the loss would miss, by its
    gradient on the task; activation: what is active on texts of the task, times the weights that read it."""
    importance_samples: int = 256
    """Texts of the train split that taylor and activation look at."""
    iterations: int = 1
    """Cut in so many equal steps, with --epochs of recovery after each."""
    epochs: float | None = 0.0
    """Passes over the train split after each cut, to recover. 0: none."""

    RANGES: ClassVar[Ranges] = {"epochs": FROM_0, "heads": PART}

    @property
    def ratios(self) -> dict[str, tuple[float, ...]]:
        """Kind -> share to cut, one for all layers or one each; only what is cut at all."""
        given = {kind: getattr(self, kind) for kind in KINDS}
        found = {kind: own if isinstance(own, tuple) else (own,) for kind, own in given.items()}
        return {kind: shares for kind, shares in found.items() if any(shares)}

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        super().check()
        ratios = self.ratios
        if not ratios:
            raise EdgepressError("nothing to cut", "give one of --heads, --ffn, --hidden, --layers")
        if self.scope == "global" and any(len(shares) > 1 for shares in ratios.values()):
            raise EdgepressError("--scope global shares a cut out itself", "give one number, not one a layer")
        if self.iterations > 1 and not self.epochs:
            raise EdgepressError(
                "--iterations without --epochs cuts the same in more steps", "give --epochs for each"
            )


@dataclass(frozen=True, kw_only=True)
class PruneConfig(PruneOptions, CompressionConfig):
    """Cut attention heads, feed-forward units, hidden width or whole layers out of a classifier: what is left
    is smaller on disk and faster in every format. With --epochs it recovers on its task, taught by the
    unpruned model. Run again to resume an interrupted run.

    python -m compress.prune --model outputs/minilm-sst2 --ffn 0.5 --heads 0.25 --importance taylor --epochs 1

    python -m compress.prune --model distilbert --ffn 0.5 --heads 0.5

    accelerate launch --module compress.prune --model outputs/minilm-sst2 --ffn 0.5 --epochs 1
    """

    SUFFIX = "pruned"
