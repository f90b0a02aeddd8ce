"""Evaluation of a trained model: its logits, its scores, and thresholds of multi-label tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase, Trainer

from compress.training.config import ClassifierOptions
from compress.training.data import TrainingText
from compress.training.mistakes import (
    LABELS,
    confusion,
    label_scores,
    recorded,
    roc,
    warn_of_labels_never_given,
)
from compress.training.progress import history, kept_epoch, seconds
from compress.training.trainer import TrainingData, compute_as_written, logits_of
from edgepress.core.console import step, warn
from edgepress.core.errors import EdgepressError
from edgepress.core.evaluation import EVALUATION_SET, EvaluationSet
from edgepress.core.intervals import Bounds, score_bounds, score_text
from edgepress.core.matryoshka import DIMENSIONS
from edgepress.core.metrics import scores
from edgepress.core.outcomes import packed_outcomes
from edgepress.core.splits import Examples
from edgepress.core.tables import ScreenTable, screen_table
from edgepress.core.tasks import ON_TRAIN, ProblemType, Task
from edgepress.core.tasks.kinds import kind_of

MULTI_LABEL: ProblemType = "multi_label_classification"
ROWS = "rows"
INTERVAL = "interval"
"""What manifests call the 95 % interval of the task's metric."""


@dataclass(frozen=True)
class TrainingResult:
    """A model's answers and scores after a training."""

    logits: np.ndarray
    """Outputs of the evaluation split, as `TaskKind.collect` gives them."""
    evaluation_set: EvaluationSet
    """What the scores are of."""
    thresholds: list[float] | None
    """Thresholds that the model decides with; None: one half."""
    scores: dict[str, Any]
    """The task's metric and the usual ones beside it, by name; `interval` of the first, 95 %; `confusion`;
    `history`; `thresholds` and `roc` where labels come several at once."""
    seconds: float
    """Seconds of training, without evaluations."""
    outcomes: str = ""
    """What each text of the evaluation split adds to the task's metric, packed."""

    @property
    def metrics(self) -> dict[str, Any]:
        """Scores for the manifest."""
        return {**self.scores, "seconds": self.seconds}


STILL_FALLS = 0.05
"""Share by which the evaluation loss fell in the last epoch, from which it still falls clearly."""


def hint_after(
    task: Task, metrics: Mapping[str, Any], bounds: Bounds | None, labels: np.ndarray
) -> str | None:
    """Suggest in one line what to try after a training that was too short; None where nothing indicates it.

    Args:
        task: that was trained for.
        metrics: scores and `history`.
        bounds: the score's interval.
        labels: of the texts that it is judged on.
    """
    if bounds is not None and task.metric == "accuracy":
        counts = np.bincount(labels, minlength=len(task.labels))
        share = counts.max() / counts.sum()
        if bounds.low <= share:
            return (
                f"not clearly above always saying '{task.labels[counts.argmax()]}' ({100 * share:.1f} %): "
                "train longer (--epochs), or on more texts"
            )
    losses = [entry["eval_loss"] for entry in metrics["history"] if "eval_loss" in entry]
    if len(losses) > 1 and losses[-1] < (1 - STILL_FALLS) * min(losses[:-1]):
        fell = f"{losses[-2]:.3f} to {losses[-1]:.3f}"
        return f"the loss still falls ({fell} at last): more --epochs may give more"
    return None


def judge(
    trainer: Trainer,
    data: TrainingData,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    text: TrainingText,
    max_length: int,
    chosen: bool,
    dimensions: Sequence[int] = (),
) -> TrainingResult:
    """Score a trained model on the evaluation split, computing as its file will.

    In a launch of several processes all of them have to ask: each reads its part of the texts.

    Args:
        trainer: holds the model.
        data: its rows.
        tokenizer: that made them.
        task: what it was trained for.
        text: where the rows are from.
        max_length: what its texts were cut to [tokens].
        chosen: whether it is to decide with thresholds chosen on the selection split.
        dimensions: widths of its vectors that are scored besides; none for other models.
    """
    kind = kind_of(task.problem_type)
    watched, logits = _evaluated(trainer, data)
    read = (tokenizer, task, max_length)
    found = _collected(logits, text.evaluation, *read)
    thresholds, labels = kind.thresholds(task), text.evaluation.labels
    several: dict[str, Any] = {}
    if chosen or task.problem_type == MULTI_LABEL:
        own = found if data.selection is None else _collected(watched, text.watched, *read)
        selected = kind.chosen_thresholds(own, text.watched.labels)
        thresholds = selected if chosen else thresholds
        several = _several(task, text, found, selected)
    evaluated = EvaluationSet.of(task, text.evaluation, max_length)
    judged = (task.metric, found, labels, task.problem_type, thresholds)
    bounds = score_bounds(*judged)
    metrics = {
        **_scored(task, found, labels, thresholds),
        INTERVAL: bounds.recorded if bounds else None,
        EVALUATION_SET: evaluated.recorded(),
        "history": history(trainer),
        **kept_epoch(trainer),
        **several,
        **dimension_scores(task, found, labels, dimensions),
    }
    if hint := hint_after(task, metrics, bounds, labels):
        step(hint)
    return TrainingResult(found, evaluated, thresholds, metrics, seconds(trainer), packed_outcomes(*judged))


def _collected(
    logits: np.ndarray, rows: Examples, tokenizer: PreTrainedTokenizerBase, task: Task, max_length: int
) -> np.ndarray:
    """Return the outputs of rows, of their logits, and warn of places that were not read."""
    kind = kind_of(task.problem_type)
    places = kind.places(tokenizer, rows.texts, max_length)
    if unread := kind.unread(places, max_length):
        warn(unread)
    return kind.collect(list(logits), places, task.labels)


def _evaluated(trainer: Trainer, data: TrainingData) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of the rows that the training was watched on, and of the evaluation split."""
    compute_as_written(trainer)
    last = not trainer.args.load_best_model_at_end  # other weights end no learning curve
    watched = logits_of(trainer, data.selection or data.evaluation, logged=last)
    logits = watched if data.selection is None else logits_of(trainer, data.evaluation)
    require_finite(logits)
    return watched, logits


def _scored(
    task: Task, found: np.ndarray, labels: np.ndarray, thresholds: list[float] | None
) -> dict[str, Any]:
    """Return the metrics that the rows alone give, and warn of labels that are never given."""
    own = label_scores(task, found, labels, thresholds)
    warn_of_labels_never_given(task, own)
    return {
        **scores(task.metric, found, labels, task.problem_type, thresholds),
        "confusion": confusion(task, found, labels, thresholds),
        LABELS: recorded(own),
    }


def refuse_thresholds(options: ClassifierOptions, task: Task) -> None:
    """Raise for thresholds on a task that has none.

    Raises:
        EdgepressError: they are to be chosen, and a text has one class.
    """
    if options.thresholds != "half" and task.problem_type != MULTI_LABEL:
        raise EdgepressError(
            f"--thresholds {options.thresholds} is of tasks with several labels at once; {task.name} is a "
            f"{task.problem_type}",
            "leave it away",
        )


def refuse_head(options: ClassifierOptions, task: Task) -> None:
    """Raise for a head that reads whole texts on a task of their words.

    Raises:
        EdgepressError: it is one.
    """
    if options.head == "mlp" and not kind_of(task.problem_type).own_heads:
        raise EdgepressError(
            f"--head mlp reads whole texts; {task.name} is a {task.problem_type}", "leave --head away"
        )


def require_finite(outputs: np.ndarray | float) -> None:
    """Raise for a model whose weights ran away in training.

    Raises:
        EdgepressError: an output is not a finite number.
    """
    if not np.isfinite(outputs).all():
        raise EdgepressError(
            "the training ran away: the model's outputs are not finite numbers", "lower --learning-rate"
        )


def _several(
    task: Task, text: TrainingText, logits: np.ndarray, selected: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """`thresholds`: where they were chosen -> what they are, on how many rows, and the scores on the
    evaluation split with them; `roc`, where each label has one: the curves that they lie on.

    Chosen on the evaluation split itself they say how much choosing there flatters.
    """
    kind, labels = kind_of(task.problem_type), text.evaluation.labels
    flags, usual = kind.threshold_flags(text.watched.labels, task.labels), kind.usual_thresholds(task.labels)
    if single_sided := [name for name, own in flags.items() if own.min() == own.max()]:
        warn(
            f"{', '.join(single_sided)}: never or always there in the rows that thresholds are chosen on, so "
            f"it is {usual[0]:g}"
        )
    known = {f"{usual[0]:g}": usual, task.evaluation_split: kind.chosen_thresholds(logits, labels)}
    rows = {task.evaluation_split: len(labels)}
    if text.selection is not None:
        known[text.selected_from], rows[text.selected_from] = list(selected), len(text.selection)
    compared = {
        where: {
            "values": dict(zip(flags, values, strict=True)),
            **({ROWS: rows[where]} if where in rows else {}),
            **scores(task.metric, logits, labels, task.problem_type, values),
        }
        for where, values in known.items()
    }
    curves = {"roc": roc(task, logits, labels, known)} if task.problem_type == MULTI_LABEL else {}
    return {"thresholds": compared, **curves}


def threshold_tables(metrics: dict[str, Any]) -> list[ScreenTable]:
    """Tables of scores with the usual thresholds and those chosen on each split; none for most tasks."""
    chosen = metrics.get("thresholds", {})
    names = [name for name in next(iter(chosen.values()), {}) if name not in ("values", ROWS)]
    rows = [
        (
            f"{where}, {figures[ROWS]:,} rows" if ROWS in figures else where,
            *(_percent(figures[name]) for name in names),
        )
        for where, figures in chosen.items()
    ]
    return [screen_table("", ("thresholds from", *names), rows)] if rows else []


def on_page(tables: Sequence[ScreenTable]) -> str:
    """Tables for a page, each below an empty line."""
    return "".join(f"\n{table.markdown()}" for table in tables)


def dimension_scores(
    task: Task, outputs: np.ndarray, labels: np.ndarray, dimensions: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """`dimensions`: width -> scores of vectors that are cut to it, and the interval of the first; empty for
    models of one width.
    """
    kind, found = kind_of(task.problem_type), {}
    for width in dimensions:
        judged = (task.metric, kind.cut(outputs, width), labels, task.problem_type)
        bounds = score_bounds(*judged)
        found[str(width)] = {**scores(*judged), INTERVAL: bounds.recorded if bounds else None}
    return {DIMENSIONS: found} if found else {}


def dimension_tables(task: Task, models: Mapping[str, Mapping[str, Any]]) -> list[ScreenTable]:
    """Tables of the scores of vectors by their width; none for models of one width.

    Args:
        task: that they are scored on.
        models: heading -> metrics of a model.
    """
    known = {name: metrics[DIMENSIONS] for name, metrics in models.items() if DIMENSIONS in metrics}
    widths: Sequence[str] = [*next(iter(known.values()), {})]
    rows = [(width, *(_with_interval(task, own[width]) for own in known.values())) for width in widths]
    return [screen_table("", ("numbers of a vector", *known), rows)] if rows else []


def beside(task: Task, metrics: dict[str, Any]) -> str:
    """Return the scores to print behind one that a common label may carry alone: ", macro F1 71.30 %"."""
    suffix = ON_TRAIN if task.metric.endswith(ON_TRAIN) else ""
    named = kind_of(task.problem_type).said_beside(task.metric.removesuffix(ON_TRAIN)).items()
    return "".join(f", {words} {_percent(metrics[name + suffix])}" for words, name in named)


def percent(task: Task, metrics: dict[str, Any]) -> str:
    """A score in words, with its interval where that is known."""
    return f"{task.metric} {_with_interval(task, metrics)}"


def _with_interval(task: Task, metrics: Mapping[str, Any]) -> str:
    bounds = Bounds(*metrics[INTERVAL]) if metrics.get(INTERVAL) else None
    return score_text(metrics[task.metric], bounds, missing="undefined")


def _percent(score: float | None) -> str:
    return "undefined" if score is None else f"{100 * score:.2f} %"
