"""Core ML: the ML Program package that iOS and macOS run.

`python -m export.coreml --model MODEL` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgepress.console import warn
from edgepress.errors import EdgepressError, require_flags
from export.base.config import ExportConfig, derive
from export.base.format import Format
from export.base.runner import Runner
from export.base.shapes import Shapes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from export.base.scheme import Scheme


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
        batch, lengths = self.batch_size or 1, tuple(sorted(set(self.lengths))) or super().shapes.lengths
        return Shapes(batch, lengths) if lengths else Shapes(batch, (), self.min_length, self.max_length)

    @property
    def deployment_target(self) -> str:
        """The system that the package is written for."""
        return "iOS18" if len(self.shapes.lengths) > 1 else self.minimum_deployment_target


class CoreMlFormat(Format):
    """Core ML packages, run by Core ML on macOS and by an interpreter elsewhere."""

    name = "coreml"
    title = "Core ML"
    file = "coreml/model.mlpackage"
    precision = "fp16"
    config = CoreMlConfig
    modules = ("coremltools",)
    extra = "coreml"
    snippet = """
import coremltools  # on macOS; in an app, Xcode makes a class of the package

model = coremltools.models.MLModel("{name}/coreml/{file}")
logits = model.predict({{"input_ids": input_ids, "attention_mask": attention_mask}})["logits"]  # int32
"""

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

    @property
    def timed(self) -> bool:
        return sys.platform == "darwin"

    def check(self, config: ExportConfig) -> None:
        check(derive(CoreMlConfig, config))


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

    own = derive(CoreMlConfig, config)
    target.parent.mkdir(parents=True, exist_ok=True)
    convert(model, target, _shapes(model, own), precision, own.deployment_target)


def _shapes(model: PreTrainedModel, config: CoreMlConfig) -> Shapes:
    """The config's shapes; a range ends with the model's positions."""
    from edgepress.pretrained import max_length

    longest, shapes = max_length(model.config), config.shapes
    asked = max(shapes.longest or 0, shapes.least)
    if asked > longest:
        raise EdgepressError(
            f"a sequence length of {asked} is beyond the model's {longest} positions",
            f"name a length of 1 to {longest}",
        )
    return shapes if shapes.lengths else replace(shapes, most=shapes.most or longest)


FORMAT = CoreMlFormat()

if __name__ == "__main__":
    from export.command.run import run_format

    run_format(FORMAT.name)
