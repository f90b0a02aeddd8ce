"""The flags of `python -m export.coreml`."""

from dataclasses import dataclass
from typing import Literal

from edgepress.core.console import warn
from edgepress.core.errors import EdgepressError
from edgepress.core.option_values import Range, out_of_range, require_numbers
from export.core.config import ExportConfig
from export.core.shapes import Shapes


@dataclass(frozen=True, kw_only=True)
class CoreMlConfig(ExportConfig):
    """Write a model as a Core ML package, and compare the package with the model before it is kept.

    python -m export.coreml --model outputs/minilm-movie_reviews --scheme fp16 palette4
    """

    sequence_lengths: tuple[int, ...] = ()
    """Sequence lengths that the package takes, listed [tokens]: a text is padded to the next; needs iOS 18,
    and raises the deployment target to it."""
    min_length: int = 1
    """Shortest input of a package that takes a range of lengths, which ends with --max-length [tokens]."""
    minimum_deployment_target: Literal["iOS16", "iOS17", "iOS18"] = "iOS16"
    """Oldest system that runs the package (macOS 13, 14, 15 go with them)."""
    sparsity: float = 0.5
    """Share of each matrix that the scheme pruned sets to zero, smallest magnitudes first."""

    @property
    def shapes(self) -> Shapes:
        """Shapes of the inputs that the package takes; Core ML fixes the batch size."""
        batch = self.batch_size or 1
        lengths = tuple(sorted(set(self.sequence_lengths))) or super().shapes.lengths
        return Shapes(batch, lengths) if lengths else Shapes(batch, (), self.min_length, self.max_length)

    @property
    def deployment_target(self) -> str:
        """The system that the package is written for."""
        return "iOS18" if len(self.shapes.lengths) > 1 else self.minimum_deployment_target


def check(config: CoreMlConfig) -> None:
    """Raise for flags that are out of range or contradict each other; say what they entail."""
    require_numbers(type(config), vars(config))
    if config.max_length is not None and config.max_length < config.min_length:
        raise out_of_range("max_length", config.max_length, Range(config.min_length))
    if config.sequence_lengths and config.sequence_length:
        raise EdgepressError(
            "--sequence-lengths and --sequence-length exclude each other", "name one of them"
        )
    if (config.min_length, config.max_length) != (1, None) and config.shapes.lengths:
        raise EdgepressError(
            "--min-length and --max-length are for a range of lengths",
            "leave out --sequence-lengths and --sequence-length",
        )
    if config.deployment_target != config.minimum_deployment_target:
        warn(f"several lengths need iOS 18: the package will not run on {config.minimum_deployment_target}")
