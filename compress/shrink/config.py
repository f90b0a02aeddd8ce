"""The flags of `compress.shrink`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from edgepress.core.console import Command
from edgepress.core.flags import DataRoot
from edgepress.core.option_values import described, require_numbers
from edgepress.core.tasks import TASK_HELP, TaskFlags


@dataclass(frozen=True, kw_only=True)
class ShrinkConfig(TaskFlags, Command):
    """Make a fine-tuned classifier as small as it can be within limits: quantize it, trim its vocabulary,
    distill it to half of its layers, prune it; score and time all of these side by side; name the one to
    ship.

    python -m compress.shrink --model outputs/minilm-tickets --max-drop 2

    python -m compress.shrink --model outputs/minilm-tickets --max-drop 1 --max-ms 5 --minimize latency

    The same command continues what was interrupted. It writes the whole as a recipe, OUTPUT/shrink.yaml,
    which may be altered and run by python -m compress.recipe.
    """

    model: str
    """The fine-tuned classifier: a local folder or a Hub id."""
    task: Annotated[str | None, described(f"{TASK_HELP}; default: what the model was trained on.")] = None
    data: DataRoot = None
    max_drop: float = 1.0
    """Largest loss of the file against the model [points of the metric]."""
    max_ms: float | None = None
    """Largest latency of a text: median at --sequence-length, batch 1, one thread of this machine [ms]."""
    max_size_mb: float | None = None
    """Largest size of the file [MB]."""
    minimize: Literal["size", "latency"] = "size"
    """Quantity that decides among the files within the limits."""
    sequence_length: int | None = None
    """Length to time at [tokens]; default: the mean of the evaluation texts, rounded up to one of 8."""
    epochs: float | None = None
    """Passes over the train split to distill, and half as many to recover from pruning; default: by its
    number of texts."""
    train_samples: int | None = None
    """Use only this many texts of the train split, drawn at random."""
    eval_samples: int | None = None
    """Texts of the evaluation split to judge on; default: all."""
    time_budget: float = 20.0
    """Most time to spend on timing a file [s]."""
    output: Path | None = None
    """Folder to write; default: outputs/MODEL-shrunk."""
    restart: bool = False
    """Begin a step again whose training was interrupted, and remove its checkpoints; what is done stays."""
    seed: int = 0
    """Seed of trainings and of drawing texts."""
    check: bool = False
    """Say what would be done and how long it would take, write that as shrink.yaml, and run nothing."""

    overwrite: ClassVar[bool] = False
    """Nothing is replaced: what is there is continued."""

    def require(self) -> None:
        """Raise for a flag that is out of range."""
        require_numbers(type(self), vars(self))
