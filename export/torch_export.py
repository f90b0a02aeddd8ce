"""torch.export: the graph of a model as PyTorch writes it down since TorchScript ended, in a .pt2 file.

`python -m export.torch_export --model MODEL` writes it.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepress.core.errors import EdgepressError, first_line
from export.core.config import ExportConfig
from export.core.format import Format
from export.core.runner import Runner

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Where the names of the inputs stand in the file.
NAMES_ENTRY = "input_names"


@dataclass(frozen=True, kw_only=True)
class TorchExportConfig(ExportConfig):
    """Write a model with torch.export, and compare the file with the model before it is kept.

    python -m export.torch_export --model outputs/minilm-movie_reviews
    """


class TorchExportFormat(Format):
    """Exported programs, run by torch."""

    name = "torch_export"
    title = "torch.export"
    file = "torch_export/model.pt2"
    config = TorchExportConfig
    runtime = ("torch",)
    snippet = """
import torch

model = torch.export.load(folder / {file}).module()
found = model(*(torch.from_numpy(inputs[name]).long() for name in {names}))
outputs = [own.detach().numpy() for own in {parts}]
"""

    def write(self, model: PreTrainedModel, target: Path, config: ExportConfig) -> None:
        export(model, target, config)

    def open(self, path: Path, threads: int) -> Runner:
        return open_file(path, threads)


def export(model: PreTrainedModel, target: Path, config: ExportConfig) -> None:
    """Export and save; any batch and sequence unless `config` fixes them.

    Raises:
        EdgepressError: torch.export keeps a length of this architecture's as a constant (MobileBERT, of which
            it tells lengths of 2 from others).
    """
    import torch
    from torch.export import Dim

    from edgepress.core.inputs import input_names, longest_input
    from export.core.traceable import EXAMPLE_LENGTH, EXAMPLE_ROWS, Traceable, example_inputs

    shapes, names, longest = config.shapes, input_names(model), longest_input(model)
    dimensions = {
        axis: dimension
        for axis, size, dimension in (
            (0, shapes.batch, Dim("batch")),
            (1, shapes.fixed_length, Dim("sequence", max=min(longest, shapes.longest or longest))),
        )
        if size is None
    }
    example = example_inputs(model, shapes.batch or EXAMPLE_ROWS, shapes.fixed_length or EXAMPLE_LENGTH)
    with _quiet(), torch.inference_mode():
        try:
            program = torch.export.export(
                Traceable(model).eval(), example, dynamic_shapes=(tuple(dimensions for _ in names),)
            )
        except torch._dynamo.exc.UserError as error:
            raise EdgepressError(
                f"torch.export takes no {model.config.model_type} of any length: {first_line(error)}",
                "--sequence-length N fixes one; ONNX and TorchScript take any",
            ) from error
        # Not to the file itself: on a full disk torch's writer ends the process.
        content = io.BytesIO()
        torch.export.save(program, content, extra_files={NAMES_ENTRY: ",".join(names)})
    target.write_bytes(content.getbuffer())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's notices off the screen: parity is what tells whether they matter."""
    log = logging.getLogger("torch.export")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def open_file(path: Path, threads: int) -> Runner:
    """The runner for a .pt2 file.

    Raises:
        EdgepressError: torch.export cannot open it.
    """
    import torch

    from export.core.program_archive import require_plain
    from export.core.torch_runner import TorchRunner

    extra = {NAMES_ENTRY: ""}
    try:
        require_plain(path)
        with _quiet():
            module = torch.export.load(str(path), extra_files=extra).module()
    except Exception as error:  # zip, pickle and torch errors of every kind
        raise EdgepressError(f"{path}: torch.export cannot open it: {first_line(error)}") from error
    return TorchRunner(module, extra[NAMES_ENTRY].split(","), "torch.export", threads)


FORMAT = TorchExportFormat()

if __name__ == "__main__":
    from export.command.run import run_format

    run_format(FORMAT.name)
