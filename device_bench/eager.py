"""torch eager as a target: an artifact's safetensors in transformers, with plain or packed weights.

torch multiplies fp32 matrices with MKL, which is slow on CPUs that are not Intel's; with weights in oneDNN's
own layout the same products go to oneDNN. Both are measured, since neither alone is a fair baseline
everywhere.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from device_bench.plan import PACKED
from edgepress.core.models import find_model
from edgepress.core.pretrained import load_model
from export.core.eager import EagerRunner
from export.core.runner import Runner


class PackedLinear(nn.Module):
    """A `Linear` whose weight is kept in the layout that oneDNN's kernel reads; fp32, on the CPU."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        # The two operators that torch's own compiler packs linear layers with.
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self._bias = linear.bias

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiply as `Linear` does: (..., in) to (..., out)."""
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self._packed, self._bias, "none", [], ""
        )
        return result


def pack_weights(model: nn.Module) -> None:
    """Replace every `Linear` of a model by a `PackedLinear`, in place."""
    for owner in list(model.modules()):
        for name, child in owner.named_children():
            if type(child) is nn.Linear:
                setattr(owner, name, PackedLinear(child))


class _FolderRunner(EagerRunner):
    """An artifact's folder in torch."""

    def __init__(self, folder: Path, threads: int, packed: bool) -> None:
        torch.set_num_threads(threads)
        model, _ = load_model(find_model(str(folder)), labels=None, problem_type=None, seed=0)
        if packed:
            with torch.inference_mode():
                pack_weights(model)
        super().__init__(model)


def open_eager(path: Path, threads: int, mode: str) -> Runner:
    """The runner for a `model.safetensors` in an artifact's folder.

    Raises:
        EdgepressError: the folder is no model's, or its weights are damaged.
    """
    return _FolderRunner(path.parent, threads, mode == PACKED)
