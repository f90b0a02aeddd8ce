"""TorchScript: a traced and frozen module that libtorch runs, on servers and on phones, without Python.

`python -m export.torchscript --model MODEL` writes it. PyTorch no longer develops TorchScript; what
takes its place is `torch.export`, and `python -m export.torch_export` writes the same model for it.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepress.core.errors import EdgepressError, first_line, unknown_name
from export.core.config import ExportConfig
from export.core.format import Format
from export.core.runner import Runner

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from export.core.scheme import Options, Scheme

# Where the names of the inputs stand in the file: TorchScript forgets them.
NAMES_ENTRY = "input_names"


@dataclass(frozen=True, kw_only=True)
class TorchScriptConfig(ExportConfig):
    """Write a model as TorchScript, and compare the file with the model before it is kept.

    TorchScript is on its way out of PyTorch: python -m export.torch_export writes the same model as .pt2.

    python -m export.torchscript --model outputs/minilm-movie_reviews --scheme fp32 int8
    """


class TorchScriptFormat(Format):
    """Traced modules, run by torch.jit."""

    name = "torchscript"
    title = "TorchScript"
    file = "torchscript/model.pt"
    config = TorchScriptConfig
    runtime = ("torch",)
    snippet = """
import torch

model = torch.jit.load(folder / {file})
found = model(*(torch.from_numpy(inputs[name]).long() for name in {names}))
outputs = [own.detach().numpy() for own in {parts}]
"""

    def write(self, model: PreTrainedModel, target: Path, config: ExportConfig) -> None:
        export(model, target, config)

    def open(self, path: Path, threads: int) -> Runner:
        return open_file(path, threads)

    def schemes(self) -> Mapping[str, Scheme]:
        from export.core.scheme import Scheme

        dynamic = Scheme("int8-dynamic", "int8", "model_int8.pt", quantize_dynamic)
        return {dynamic.name: dynamic}


def export(model: PreTrainedModel, target: Path, config: ExportConfig) -> None:
    """Trace, freeze and save; any batch and sequence unless `config` fixes them.

    Raises:
        EdgepressError: the traced module cannot be written.
    """
    import torch

    from edgepress.core.inputs import input_names
    from export.core.traceable import EXAMPLE_LENGTH, EXAMPLE_ROWS, Traceable, example_inputs

    shapes = config.shapes
    example = example_inputs(model, shapes.batch or EXAMPLE_ROWS, shapes.fixed_length or EXAMPLE_LENGTH)
    with _without_deprecation(), torch.inference_mode():
        # Tracing a second time to compare says nothing that parity does not.
        traced = torch.jit.trace(Traceable(model).eval(), example, check_trace=False)
        frozen = torch.jit.freeze(traced)
        # Not to the file itself: on a full disk torch's writer ends the process.
        content = io.BytesIO()
        torch.jit.save(frozen, content, _extra_files={NAMES_ENTRY: ",".join(input_names(model))})
    target.write_bytes(content.getbuffer())


def quantize_dynamic(source: Path, target: Path, options: Options) -> None:  # noqa: ARG001
    """Trace the model with int8 weights, per channel, and activations that are quantized at each run.

    Embedding tables get 8 bits and one scale a row. torch quantizes the model, not a file: `options.model`.
    """
    import torch
    from torch import nn
    from torch.ao.quantization import (
        float_qparams_weight_only_qconfig,
        per_channel_dynamic_qconfig,
    )
    from torch.ao.quantization import quantize_dynamic as torch_quantize

    assert options.model is not None
    assert options.export is not None
    known = dict(options.model.named_modules())
    kinds = {nn.Linear: per_channel_dynamic_qconfig, nn.Embedding: float_qparams_weight_only_qconfig}
    chosen = {name: kinds[type(module)] for name, module in known.items() if type(module) in kinds}
    _check_layers(options.keep_float, chosen)
    with _without_deprecation(), torch.inference_mode():
        quantized = torch_quantize(
            copy.deepcopy(options.model),
            {name: kind for name, kind in chosen.items() if name not in options.keep_float},
        )
    export(quantized, target, options.export)


def _check_layers(asked: frozenset[str], known: Mapping[str, object]) -> None:
    for layer in asked:
        if layer not in known:
            raise unknown_name("layer", layer, known)


@contextmanager
def _without_deprecation() -> Iterator[None]:
    """Keep torch's notices off the screen: the docs say that TorchScript ends, parity what tracing lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_file(path: Path, threads: int) -> Runner:
    """The runner for a TorchScript file.

    Raises:
        EdgepressError: torch.jit cannot open it.
    """
    import torch

    from export.core.torch_runner import TorchRunner

    extra: dict[str, Any] = {NAMES_ENTRY: ""}  # torch fills in bytes
    try:
        with _without_deprecation():
            module = torch.jit.load(str(path), _extra_files=extra)
    except (RuntimeError, ValueError) as error:
        raise EdgepressError(f"{path}: torch.jit cannot open it: {first_line(error)}") from error
    return TorchRunner(module, extra[NAMES_ENTRY].decode().split(","), "torchscript", threads)


FORMAT = TorchScriptFormat()

if __name__ == "__main__":
    from export.command.run import run_format

    run_format(FORMAT.name)
