"""The flags of `compress.quantize`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from edgepress.core.option_values import FROM_0, Ranges, described
from export.core.config import CpuFlags, ModelFlags
from export.core.registry import quantizers
from export.onnx import scheme_names

FORMAT_HELP = (
    f"Formats to quantize in, each by its own quantizer: {', '.join(quantizers())}; or all: every one that "
    "is installed. Their files are measured beside each other."
)
SCHEME_HELP = (
    f"Schemes: in ONNX {', '.join(scheme_names())}, or several of them; or auto: all are tried, and only "
    "the file to ship is kept. Default: each format's own int8."
)


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig(CpuFlags, ModelFlags):
    """Make a model smaller and faster with 8, 4 or 16 bits, and see at a glance what it bought.

    python -m compress.quantize --model distilbert

    python -m compress.quantize --model outputs/minilm-movie_reviews --scheme int8-static int4-weights

    python -m compress.quantize --model outputs/minilm-movie_reviews --format all --max-drop 0.5
    """

    format: Annotated[tuple[str, ...], described(FORMAT_HELP)] = ("onnx",)
    scheme: Annotated[tuple[str, ...], described(SCHEME_HELP)] = ()
    minimize: Literal["latency", "size"] = "latency"
    """Quantity that decides which file within --max-drop is the one to ship: the size, or the median latency
    at the one of --sequence-lengths that is nearest to the mean of the evaluation texts."""
    output: Path | None = None
    """Folder to write; default: outputs/MODEL-SCHEME."""
    max_drop: float = 1.0
    """Largest loss of the file to ship [points of the metric; of agreement where there is none]."""
    max_label_drop: float | None = None
    """Largest loss of its recall of any one label, or type of entity [points]; of vectors, largest share of
    texts whose nearest neighbour is another one. Default: labels are shown, and not limited; of vectors 3."""
    keep_float: tuple[str, ...] = ()
    """Layers to leave in float, by module path (distilbert.transformer.layer.0.ffn.lin2)."""
    block_size: Literal[16, 32, 64, 128, 256] | None = None
    """Weights that share a scale in int8-weights and int4-weights of ONNX: fewer are nearer to fp32, in a
    larger and slower file. Default: 128 and 32; --scheme auto also tries 32 in int8."""
    calibration: Literal["minmax", "entropy", "percentile"] = "minmax"
    """Method that finds the range of an activation for int8-static."""
    smooth_quant: float = 0.8
    """Migration strength of SmoothQuant, for int8-static: 0 (off) to 1."""
    calibration_samples: int = 128
    """Number of sentences of the train split that int8-static calibrates on."""
    eval_samples: int = 1000
    """Sentences to judge by, drawn from the task's evaluation split."""
    opset: int = 17
    """ONNX opset of the export."""
    atol: float | None = None
    """Largest difference of a logit from the parent's; default: by precision (1e-4 for fp32)."""
    sequence_lengths: tuple[int, ...] = ()
    """Lengths to time at batch 1 [tokens]; default: the mean and the 95th percentile of the evaluation texts,
    rounded up to multiples of 8."""
    max_length: int | None = None
    """Longest input that files are compared with the model on, and that ExecuTorch plans memory for [tokens];
    default: the model's longest."""
    threads: int = 1
    """Threads to time with."""
    time_budget: float = 20.0
    """Most time to spend on timing, but each file is started three times in any case; it ends earlier once
    the medians have settled; 0: nothing is timed [s]."""
    seed: int = 0
    """Seed of random weights and of drawing sentences."""

    RANGES: ClassVar[Ranges] = {"time_budget": FROM_0}
