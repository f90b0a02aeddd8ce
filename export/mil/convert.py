"""From a classifier in torch to an ML Program."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgepress.errors import EdgepressError, first_line
from export.mil.package import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Of a range of lengths, the one that is traced and that Xcode shows and profiles [tokens].
USUAL_LENGTH = 128


@dataclass(frozen=True)
class Signature:
    """What a package takes: a batch size, and one length, several, or a range of them [tokens]."""

    batch: int
    lengths: tuple[int, ...]
    """One is fixed, several are enumerated; empty takes all of `shortest` to `longest`."""
    shortest: int
    longest: int

    @property
    def usual_length(self) -> int:
        """The length of the example that the model is traced with [tokens]."""
        return self.lengths[0] if self.lengths else min(max(USUAL_LENGTH, self.shortest), self.longest)

    def core_ml_shape(self) -> Any:
        """The shape of an input as coremltools wants it."""
        from coremltools import EnumeratedShapes, RangeDim

        if len(self.lengths) > 1:
            return EnumeratedShapes([[self.batch, length] for length in self.lengths])
        if self.lengths:
            return (self.batch, self.lengths[0])
        return (self.batch, RangeDim(self.shortest, self.longest, default=self.usual_length))


def convert(
    model: PreTrainedModel,
    target: Path,
    signature: Signature,
    precision: Literal["fp16", "fp32"],
    deployment_target: str,
) -> None:
    """Write `model` to the folder `target`.

    Inputs are `input_ids, attention_mask[, token_type_ids]` int32 (batch, length), the output is `logits`
    float32 (batch, labels); class labels and where the model comes from stand in the metadata.

    Raises:
        EdgepressError: coremltools cannot convert this model.
    """
    names = input_names(model)
    with quiet():
        import coremltools
        import numpy as np

        traced = _trace(model, names, (signature.batch, signature.usual_length))
        try:
            package = coremltools.convert(
                traced,
                convert_to="mlprogram",
                inputs=_inputs(names, signature),
                outputs=[coremltools.TensorType("logits", dtype=np.float32)],
                compute_precision=coremltools.precision[{"fp16": "FLOAT16", "fp32": "FLOAT32"}[precision]],
                minimum_deployment_target=coremltools.target[deployment_target],
                pass_pipeline=_pipeline(),
                skip_model_load=True,
            )
        except Exception as error:  # coremltools raises whatever comes
            raise EdgepressError(
                f"coremltools cannot convert {model.config.model_type}: {first_line(error)}"
            ) from error
        _describe(package, model)
        package.save(str(target))


def input_names(model: PreTrainedModel) -> tuple[str, ...]:
    """The inputs that this model has, in their order; one type of tokens is none."""
    taken = inspect.signature(model.forward).parameters
    single = getattr(model.config, "type_vocab_size", 2) < 2  # noqa: PLR2004
    return tuple(name for name in INPUTS if name in taken and not (single and name == "token_type_ids"))


def _inputs(names: Sequence[str], signature: Signature) -> list[Any]:
    import numpy as np
    from coremltools import TensorType

    shape = signature.core_ml_shape()
    return [TensorType(name, shape=shape, dtype=np.int32) for name in names]


def _trace(model: PreTrainedModel, names: Sequence[str], shape: tuple[int, int]) -> Any:
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: torch.Tensor) -> Any:
            return self.model(**dict(zip(names, inputs, strict=True))).logits

    example = tuple(torch.ones(shape, dtype=torch.int64) for _ in names)
    with torch.no_grad():
        return torch.jit.trace(Logits().eval(), example, check_trace=False)


def _pipeline() -> Any:
    """coremltools' own passes, with constants made finite before any is rounded to half precision."""
    from coremltools import PassPipeline

    from export.mil import finite

    pipeline = PassPipeline.DEFAULT
    pipeline.insert_pass(pipeline.passes.index("common::add_fp16_cast"), finite.PASS)
    return pipeline


def _describe(package: Any, model: PreTrainedModel) -> None:
    """Labels and descriptions, as Xcode shows them."""
    labels = [label for _, label in sorted((model.config.id2label or {}).items())]
    package.short_description = f"{model.config.model_type} text classifier: {', '.join(labels)}"
    package.user_defined_metadata.update(metadata(model, labels))
    package.input_description["input_ids"] = "Token ids, with the special tokens."
    package.input_description["attention_mask"] = "1 for a token, 0 for padding."
    if "token_type_ids" in input_names(model):
        package.input_description["token_type_ids"] = "0 for the first text, 1 for the second."
    package.output_description["logits"] = f"One for each of: {', '.join(labels)}."


def metadata(model: PreTrainedModel, labels: Sequence[str]) -> Mapping[str, str]:
    """Facts that an app reads: `classes` is a JSON list in the order of the logits."""
    facts = {
        "classes": json.dumps(list(labels), ensure_ascii=False),
        "problem_type": model.config.problem_type,
        "architecture": model.config.model_type,
        "edgepress": version("edgepress"),
    }
    return {name: fact for name, fact in facts.items() if fact}
