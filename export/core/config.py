"""The flags that the exports to all formats share."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from edgepress.core.console import Command
from edgepress.core.flags import DataRoot, Overwrite, WeightsFrom, refuse_paths
from edgepress.core.models import MODEL_HELP
from edgepress.core.option_values import described
from edgepress.core.tasks import TASK_HELP, TaskFlags
from export.core.shapes import Shapes


@dataclass(frozen=True, kw_only=True)
class CpuFlags:
    """Flag that names the CPUs that int8 files are made for."""

    cpu: tuple[Literal["avx2", "avx512", "avx512_vnni", "arm64"], ...] = ()
    """CPUs that int8 files are made for, by their instructions: AVX2, AVX-512 without VNNI, AVX-512 with
    VNNI, ARM; one file for those that take the same bytes, a file each else. Default: this one."""


@dataclass(frozen=True, kw_only=True)
class ModelFlags(TaskFlags, Command):
    """Flags that name a model, what it is judged on, and the artifact of its files."""

    model: Annotated[str, described(MODEL_HELP)]
    task: Annotated[str | None, described(f"{TASK_HELP}; default: what the model was trained on.")] = None
    data: DataRoot = None
    weights: WeightsFrom = "auto"
    output: Path | None = None
    """Folder to write; default: outputs/MODEL-FORMAT."""
    overwrite: Overwrite = False

    MAKES_ARTIFACT: ClassVar[bool] = True

    def check_paths(self) -> None:
        """Raise for a model or an output that cannot be used."""
        refuse_paths((self.model,), self.output, self.overwrite)


@dataclass(frozen=True, kw_only=True)
class ExportConfig(CpuFlags, ModelFlags):
    """Write a model in another format, and compare the file with the model before it is kept."""

    scheme: tuple[str, ...] = ()
    """Schemes of the format by name (int8-dynamic), or by precision (fp32, fp16, int8, int4), which takes the
    first of it; default: fp16 in Core ML, fp32 elsewhere."""
    batch_size: int | None = None
    """The one batch size that the file takes; default: any."""
    sequence_length: int | None = None
    """The one sequence length that the file takes [tokens]; default: any."""
    max_length: int | None = None
    """Longest input of a file that takes any [tokens]: memory is planned, and the file is compared with the
    model, up to it; default: the model's longest."""
    atol: float | None = None
    """Largest difference of a logit from the parent's; default: by precision (1e-4 for fp32)."""
    eval_samples: int = 200
    """Sentences to judge by, drawn from the task's evaluation split."""
    calibration_samples: int = 128
    """Number of sentences of the train split that schemes calibrate on."""
    seed: int = 0
    """Seed of random weights and of drawing sentences."""

    @property
    def shapes(self) -> Shapes:
        """Shapes of the inputs that the file takes."""
        lengths = (self.sequence_length,) if self.sequence_length else ()
        return Shapes(self.batch_size, lengths, most=self.max_length)


ConfigT = TypeVar("ConfigT", bound=ExportConfig)


def derive(own: type[ConfigT], config: Command) -> ConfigT:
    """The flags of one command as another command has them, as far as they share them."""
    shared = {entry.name for entry in fields(own)} & {entry.name for entry in fields(config)}
    return own(**{name: getattr(config, name) for name in shared})
