"""What a trained model is worth: its logits, thresholds where labels come several at once, scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import Trainer

from compress.training.data import TrainingText
from compress.training.history import history
from compress.training.trainer import TrainingData, logits_of
from edgepress.console import warn
from edgepress.metrics import score
from edgepress.splits import Examples
from edgepress.tasks import Task
from edgepress.thresholds import gmean_thresholds

# Beside a multi-label task's own metric, in its table of thresholds.
MULTI_LABEL_METRICS = ("f1_micro", "f1_macro", "hamming_score", "hamming_labelwise")
HALF = "0.5"


@dataclass(frozen=True)
class Judged:
    """A model's answers and scores."""

    logits: np.ndarray
    """(rows, labels), of the evaluation split."""
    thresholds: list[float] | None
    """Those that the model is to decide with; None: one half."""
    metrics: dict[str, Any]
    """The task's metric by its name; `history`; `thresholds` where labels come several at once."""


def judge(trainer: Trainer, data: TrainingData, task: Task, text: TrainingText, chosen: bool) -> Judged:
    """Score a trained model on the evaluation split.

    In a launch of several processes all of them have to ask: each reads its part of the texts.

    Args:
        trainer: holds the model.
        data: its rows.
        task: what it was trained for.
        text: where the rows are from.
        chosen: whether it is to decide with thresholds chosen on the selection split.
    """
    watched = logits_of(trainer, data.selection or data.evaluation, logged=True)
    found = watched if data.selection is None else logits_of(trainer, data.evaluation)
    metrics: dict[str, Any] = {"history": history(trainer)}
    thresholds = None
    if task.problem_type == "multi_label_classification":
        selected = gmean_thresholds(watched, text.watched.labels)
        thresholds = selected if chosen else None
        metrics["thresholds"] = _compared(task, text, found, selected)
    metrics[task.metric] = _score(task.metric, task, found, text.evaluation, thresholds)
    return Judged(found, thresholds, metrics)


def _compared(
    task: Task, text: TrainingText, logits: np.ndarray, selected: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """Where thresholds were chosen -> what they are, and the scores on the evaluation split with them.

    Chosen on the evaluation split itself they say how much choosing there flatters.
    """
    _warn_of_single_sided(task, text.watched)
    judged_on = gmean_thresholds(logits, text.evaluation.labels)
    known = {HALF: [0.5] * len(task.labels), task.evaluation_split: judged_on}
    if text.selection is not None:
        known[str(task.selection_split)] = list(selected)
    return {
        where: {
            "values": dict(zip(task.labels, values, strict=True)),
            **{name: _score(name, task, logits, text.evaluation, values) for name in MULTI_LABEL_METRICS},
        }
        for where, values in known.items()
    }


def threshold_table(metrics: dict[str, Any]) -> str:
    """Markdown: scores with thresholds of one half, and chosen on each split; nothing for other tasks."""
    if "thresholds" not in metrics:
        return ""
    rows = [
        (where, *(f"{100 * figures[name]:.2f} %" for name in MULTI_LABEL_METRICS))
        for where, figures in metrics["thresholds"].items()
    ]
    head = ("thresholds from", *MULTI_LABEL_METRICS)
    lines = [head, ("---",) * len(head), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _warn_of_single_sided(task: Task, examples: Examples) -> None:
    same = examples.labels.min(axis=0) == examples.labels.max(axis=0)
    if same.any():
        names = ", ".join(label for label, one in zip(task.labels, same, strict=True) if one)
        warn(f"{names}: never or always there in the rows that thresholds are chosen on, so it is 0.5")


def _score(
    metric: str, task: Task, logits: np.ndarray, examples: Examples, thresholds: Sequence[float] | None
) -> float:
    return score(metric, logits, examples.labels, task.problem_type, thresholds)
