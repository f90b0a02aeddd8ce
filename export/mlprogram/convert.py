"""Convert a classifier in torch to an ML Program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.heads import gives_tokens
from edgepress.core.inputs import input_names, longest_input, require_length
from edgepress.core.outputs import LOGITS, SPANS, VECTORS, output_names
from export.core.config import ExportConfig, derive
from export.core.shapes import Shapes
from export.mlprogram.config import CoreMlConfig
from export.mlprogram.package import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Of a range of lengths, the one that is traced and that Xcode shows and profiles [tokens].
USUAL_LENGTH = 128


def write(
    model: PreTrainedModel, target: Path, config: ExportConfig, precision: Literal["fp16", "fp32"]
) -> None:
    """Write `model` to `target` with arithmetic and weights of a precision.

    Raises:
        EdgepressError: a length is beyond the model's positions, or coremltools cannot convert it.
    """
    own = derive(CoreMlConfig, config)
    target.parent.mkdir(parents=True, exist_ok=True)
    convert(model, target, _shapes(model, own), precision, own.deployment_target)


def _shapes(model: PreTrainedModel, config: CoreMlConfig) -> Shapes:
    """The config's shapes; a range ends with the model's positions."""
    longest, shapes = longest_input(model), config.shapes
    require_length(max(shapes.longest or 0, shapes.least), longest)
    return shapes if shapes.lengths else replace(shapes, most=shapes.most or longest)


def convert(
    model: PreTrainedModel,
    target: Path,
    shapes: Shapes,
    precision: Literal["fp16", "fp32"],
    deployment_target: str,
) -> None:
    """Write `model` to the folder `target`, for one batch size and a range of lengths that ends, or some.

    Inputs are `input_ids, attention_mask[, token_type_ids]` int32 (batch, length), the output is `logits`
    float32 (batch, labels), or (batch, length, labels) of tokens, or those of start and end (batch, length),
    or `sentence_embedding` (batch, width); the class labels stand in the metadata.

    Raises:
        EdgepressError: coremltools cannot convert this model.
    """
    with quiet():
        import coremltools
        import numpy as np

        import export.mlprogram.operators  # noqa: F401  # registers them

        traced = _trace(model, shapes)
        try:
            package = coremltools.convert(
                traced,
                convert_to="mlprogram",
                inputs=_inputs(input_names(model), shapes),
                outputs=[coremltools.TensorType(name, dtype=np.float32) for name in output_names(model)],
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


def _inputs(names: Sequence[str], shapes: Shapes) -> list[Any]:
    import numpy as np
    from coremltools import TensorType

    shape = _core_ml_shape(shapes)
    return [TensorType(name, shape=shape, dtype=np.int32) for name in names]


def _core_ml_shape(shapes: Shapes) -> Any:
    from coremltools import EnumeratedShapes, RangeDim

    if shapes.fixed_length:
        return (shapes.batch, shapes.fixed_length)
    if shapes.lengths:
        return EnumeratedShapes([[shapes.batch, length] for length in shapes.lengths])
    return (shapes.batch, RangeDim(shapes.least, shapes.most, default=_usual_length(shapes)))


def _usual_length(shapes: Shapes) -> int:
    return shapes.lengths[0] if shapes.lengths else min(max(USUAL_LENGTH, shapes.least), shapes.most or 1)


def _trace(model: PreTrainedModel, shapes: Shapes) -> Any:
    import torch

    from export.core.traceable import Traceable, example_inputs

    example = example_inputs(model, shapes.batch or 1, _usual_length(shapes))
    with torch.no_grad():
        return torch.jit.trace(Traceable(model).eval(), example, check_trace=False)


def _pipeline() -> Any:
    """coremltools' own passes, with constants made finite before any is rounded to half precision."""
    from coremltools import PassPipeline

    from export.mlprogram import finite

    pipeline = PassPipeline.DEFAULT
    pipeline.insert_pass(pipeline.passes.index("common::add_fp16_cast"), finite.PASS)
    return pipeline


def _describe(package: Any, model: PreTrainedModel) -> None:
    """Labels and descriptions, as Xcode shows them."""
    labels = [label for _, label in sorted((model.config.id2label or {}).items())]
    outputs = output_names(model)
    kind = f"{'token' if gives_tokens(model) else 'text'} classifier: {', '.join(labels)}"
    others: dict[tuple[str, ...], str] = {
        SPANS: "that answers questions",
        VECTORS: "that gives a vector a text",
    }
    kind = others.get(outputs, kind)
    package.short_description = f"{model.config.model_type} {kind}"
    package.user_defined_metadata["labels"] = json.dumps(labels, ensure_ascii=False)
    package.input_description["input_ids"] = "Token ids, with the special tokens."
    package.input_description["attention_mask"] = "1 for a token, 0 for padding."
    if "token_type_ids" in input_names(model):
        package.input_description["token_type_ids"] = "0 for the first text, 1 for the second."
    for name in outputs:
        of_labels = f"One for each of: {', '.join(labels)}."
        known: dict[tuple[str, ...], str] = {LOGITS: of_labels, VECTORS: "The vector of the text."}
        said = known.get(outputs, "One for each token.")
        package.output_description[name] = said
