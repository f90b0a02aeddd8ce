"""What a training reached."""

from dataclasses import dataclass
from typing import Any

from transformers import Trainer

from compress.training.history import history, kept_epoch
from compress.training.scoring import Judged, require_finite
from compress.training.trainer import compute_as_written
from edgepress.core.tasks import Task


@dataclass(frozen=True)
class TrainingResult:
    """A classifier after a training."""

    judged: Judged
    seconds: float
    """Of training, evaluations not counted."""

    @property
    def metrics(self) -> dict[str, Any]:
        """As a manifest keeps them."""
        return {**self.judged.metrics, "seconds": self.seconds}


def reached(trainer: Trainer, *names: str) -> dict[str, Any]:
    """Metrics after training, by their names, and the way there as `history`.

    In a launch of several processes all of them have to ask: each reads its part of the rows.
    """
    compute_as_written(trainer)
    way = history(trainer)
    found = trainer.evaluate()
    require_finite(float(found["eval_loss"]))
    kept = kept_epoch(trainer)
    last = {} if kept else {"history": history(trainer)}  # other weights end no learning curve
    return {**{name: float(found[f"eval_{name}"]) for name in names}, "history": way, **kept, **last}


def answer_scores(metrics: dict[str, Any]) -> str:
    """Scores of answers in words."""
    return f"F1 {100 * metrics['answer_f1']:.2f} %, exact match {100 * metrics['exact_match']:.2f} %"


def percent(task: Task, metrics: dict[str, Any]) -> str:
    """A score in words."""
    value = metrics[task.metric]
    return f"{task.metric} undefined" if value is None else f"{task.metric} {100 * value:.2f} %"
