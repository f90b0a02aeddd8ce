"""Core ML: the ML Program package that iOS and macOS run.

`python -m export.coreml --model MODEL` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgepress.console import warn
from edgepress.errors import EdgepressError, require_flags
from export.base.config import ExportConfig
from export.base.format import Format
from export.base.runner import Runner
from export.base.shapes import Shapes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from export.base.scheme import Scheme
    from export.mil.convert import Signature


@dataclass(frozen=True, kw_only=True)
class CoreMlConfig(ExportConfig):
    """Write a model as a Core ML package, and compare the package with the model before it is kept.

    python -m export.coreml --model outputs/minilm-movie_reviews --precision fp16,palette4
    """

    lengths: tuple[int, ...] = ()
    """Sequence lengths that the package takes, listed [tokens]: a text is padded to the next; needs iOS 18,
    and raises the deployment target to it."""
    min_length: int = 1
    """Shortest input of a package that takes a range of lengths [tokens]."""
    max_length: int | None = None
    """Longest input of a package that takes a range of lengths [tokens]; default: the model's longest."""
    minimum_deployment_target: Literal["iOS16", "iOS17", "iOS18"] = "iOS16"
    """Oldest system that runs the package (macOS 13, 14, 15 go with them)."""
    sparsity: float = 0.5
    """For precision pruned: share of each matrix that becomes zero, smallest magnitudes first."""

    @property
    def shapes(self) -> Shapes:
        """What the package takes; Core ML fixes the batch size."""
        return Shapes(self.batch_size or 1, self.lengths or super().shapes.lengths)

    @property
    def deployment_target(self) -> str:
        """The system that the package is written for."""
        return "iOS18" if len(self.lengths) > 1 else self.minimum_deployment_target


class CoreMlFormat(Format):
    """Core ML packages, run by Core ML on macOS and by an interpreter elsewhere."""

    name = "coreml"
    title = "Core ML"
    file = "coreml/model.mlpackage"
    precision = "fp16"
    config = CoreMlConfig
    modules = ("coremltools",)
    extra = "coreml"

    def write(self, model: PreTrainedModel, target: Path, config: ExportConfig) -> None:
        write(model, target, config, "fp16")

    def open(self, path: Path, threads: int) -> Runner:  # noqa: ARG002 - neither runtime takes a number
        from export.mil.runner import CoreMlRunner

        return CoreMlRunner(path)

    def schemes(self) -> Mapping[str, Scheme]:
        from export.mil.schemes import SCHEMES

        return SCHEMES

    def describe(self, path: Path, facts: Mapping[str, str]) -> None:
        from export.mil.package import describe

        describe(path, facts)

    def check(self, config: ExportConfig) -> None:
        check(core_ml(config))


def core_ml(config: ExportConfig) -> CoreMlConfig:
    """The config of this format: a command for all formats has the shared flags only."""
    if isinstance(config, CoreMlConfig):
        return config
    return CoreMlConfig(**{field.name: getattr(config, field.name) for field in fields(ExportConfig)})


def check(config: CoreMlConfig) -> None:
    """Raise for flags that are out of range or contradict each other; say what they entail."""
    require_flags(
        {
            "--lengths": all(length > 0 for length in config.lengths),
            "--min-length": config.min_length > 0,
            "--max-length": config.max_length is None or config.max_length >= config.min_length,
            "--sparsity": 0 < config.sparsity < 1,
        }
    )
    if config.lengths and config.sequence_length:
        raise EdgepressError("--lengths and --sequence-length exclude each other", "name one of them")
    if (config.min_length, config.max_length) != (1, None) and config.shapes.lengths:
        raise EdgepressError(
            "--min-length and --max-length are for a range of lengths",
            "leave out --lengths and --sequence-length",
        )
    if config.deployment_target != config.minimum_deployment_target:
        warn(f"several lengths need iOS 18: the package will not run on {config.minimum_deployment_target}")


def write(
    model: PreTrainedModel, target: Path, config: ExportConfig, precision: Literal["fp16", "fp32"]
) -> None:
    """Write `model` to `target` with arithmetic and weights of a precision.

    Raises:
        EdgepressError: a length is beyond the model's positions, or coremltools cannot convert it.
    """
    from export.mil.convert import convert

    own = core_ml(config)
    signature = _signature(model, own)
    target.parent.mkdir(parents=True, exist_ok=True)
    convert(model, target, signature, precision, own.deployment_target)


def _signature(model: PreTrainedModel, config: CoreMlConfig) -> Signature:
    from edgepress.pretrained import max_length
    from export.mil.convert import Signature

    longest, shapes = max_length(model.config), config.shapes
    asked = max((*shapes.lengths, config.max_length or 0, config.min_length))
    if asked > longest:
        raise EdgepressError(
            f"sequence length {asked} is beyond the {longest} positions of {model.config.model_type}",
            f"name at most {longest}",
        )
    lengths = tuple(sorted(set(shapes.lengths)))
    return Signature(shapes.batch or 1, lengths, config.min_length, config.max_length or longest)


FORMAT = CoreMlFormat()

if __name__ == "__main__":
    from export.command.run import run_format

    run_format(FORMAT.name)
