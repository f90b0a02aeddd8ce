"""Scheme: one way to make a file of a format smaller, and its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from export.core.config import ExportConfig
from export.core.cpu import CpuTarget
from export.core.runner import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Calibration = Literal["minmax", "entropy", "percentile"]
Precision = Literal["fp32", "fp16", "int8", "int6", "int4", "sparse"]


@dataclass(frozen=True)
class Options:
    """What a scheme may need to know besides the file."""

    target: CpuTarget
    keep_float: frozenset[str] = frozenset()
    """Names of layers (as `weight_layers` gives them) that stay as they are."""
    calibration_batches: Sequence[Batch] = ()
    """Real sentences at batch 1, for schemes that fix the activations' ranges."""
    calibration: Calibration = "minmax"
    smooth_quant: float = 0.8
    """Migration strength alpha of SmoothQuant (Xiao et al. 2022, eq. 4); 0 turns it off."""
    model: PreTrainedModel | None = None
    """The model in torch, for formats whose quantizer works before a file is written."""
    export: ExportConfig | None = None
    """How `model` is written, where that is done anew."""


@dataclass(frozen=True)
class Scheme:
    """A way to make a file of a format smaller."""

    name: str
    precision: Precision
    file_name: str
    """The file's name beside the fp32 file (in ONNX that of transformers.js' dtypes)."""
    quantize: Callable[[Path, Path, Options], None]
    """(fp32 file of the format, file to write, options)."""
    calibrated: bool = False
    """Whether it needs `Options.calibration_batches`."""
    rival: str | None = None
    """A cheaper scheme that it has to beat, and `why_slower`: what costs it the time where it does not."""
    why_slower: str = ""
