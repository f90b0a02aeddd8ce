"""Convert a classifier in torch to a .tflite file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepress.core.errors import EdgepressError, first_line
from export.core.attention import plain_attention
from export.core.quiet import quiet, quiet_native

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Rows of a file whose batch size nobody fixes: a phone asks about one text at a time.
ROWS = 1


def export(model: PreTrainedModel, target: Path, lengths: Sequence[int], rows: int = ROWS) -> None:
    """Write `model` in fp32 to `target`, with a signature `tokens_N` for each length N; weights are shared.

    Inputs are int32 (rows, N) by their names, outputs float32 by theirs.

    Raises:
        EdgepressError: the converter cannot follow the model.
    """
    import torch

    from edgepress.core.inputs import input_names

    with quiet(), quiet_native(), _failing(model), plain_attention(model):
        import litert_torch

        converter, module = litert_torch.Converter(), _named(model)
        for length in lengths:
            example = {name: torch.ones((rows, length), dtype=torch.int64) for name in input_names(model)}
            converter.add_signature(f"tokens_{length}", module, sample_kwargs=example)
        converted = converter.convert()
        target.parent.mkdir(parents=True, exist_ok=True)
        converted.export(str(target))


def _named(model: PreTrainedModel) -> Any:
    """A module whose outputs have names, which the converter keeps."""
    from torch import Tensor, nn

    from edgepress.core.outputs import model_outputs, output_names

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
            found = model_outputs(self.model(**inputs))
            return dict(zip(output_names(model), found, strict=True))

    return Named().eval()


@contextmanager
def _failing(model: PreTrainedModel) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # the converter raises whatever the model's code and its passes do
        kind = model.config.model_type
        raise EdgepressError(
            f"LiteRT's converter cannot take {kind}: {first_line(error)}",
            "other formats can: python -m export.onnx",
        ) from error
