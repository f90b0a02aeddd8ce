"""What a training run said of itself on the way."""

import math
from typing import Any

from transformers import Trainer

from compress.training.progress import trained_seconds

# The Trainer's words -> ours.
WORDS = {"eval_runtime": "eval_seconds"}
DROPPED = ("eval_samples_per_second", "eval_steps_per_second", "grad_norm")
TOTALS = ("train_runtime",)


def history(trainer: Trainer) -> list[dict[str, float]]:
    """Loss, evaluation loss and metric at each checkpoint, by epoch.

    Returns:
        one entry a checkpoint, one of them at the end of every epoch: `epoch`, `step`, `loss` (the mean since
        the last one), `seconds` (of training, since the run began), `learning_rate`, `eval_loss`,
        `eval_seconds` and the metric by its name.
    """
    entries: dict[int, dict[str, float]] = {}
    for logged in trainer.state.log_history:
        if not any(name in logged for name in TOTALS):
            entries.setdefault(int(logged["step"]), {}).update(_renamed(logged))
    return [entries[step] for step in sorted(entries)]


def seconds(trainer: Trainer) -> float:
    """What the training took, evaluations not counted; with what was done before it was interrupted."""
    return trained_seconds(trainer.state.log_history)


def kept_epoch(trainer: Trainer) -> dict[str, float]:
    """`kept_epoch`, after which the weights were that scored best; nothing where the last ones are kept."""
    best = trainer.state.best_global_step
    if not trainer.args.load_best_model_at_end or best is None:
        return {}
    return {"kept_epoch": next(own["epoch"] for own in history(trainer) if own["step"] == best)}


def _renamed(logged: dict[str, Any]) -> dict[str, float]:
    kept = {
        name: value for name, value in logged.items() if name not in DROPPED and math.isfinite(value)
    }  # an undefined score is no point of a curve
    return {WORDS.get(name, _short(name)): value for name, value in kept.items()}


def _short(name: str) -> str:
    return name if name == "eval_loss" else name.removeprefix("eval_")
