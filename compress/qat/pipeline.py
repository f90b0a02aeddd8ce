"""See what rounding costs, and train with it where that is too much."""

from __future__ import annotations

from pathlib import Path

from compress.compression import ModelFigures, begin_training, compressed, load_task_text, open_classifier
from compress.distillation.self_distillation import SelfDistillation
from compress.qat.config import QatConfig, QatOptions
from compress.qat.report import Rounded
from compress.qat.rounding import rounding
from compress.step import StepResult, run_step
from compress.training.config import with_defaults
from compress.training.result import TrainingResult
from compress.training.run import TechniqueRun
from edgepress.core import console
from edgepress.core.loading import OpenedModel


def run(config: QatConfig) -> Path:
    """The command; the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    output, opened = open_classifier(config, "qat")
    return run_step(config, output, lambda own: qat(opened, config, own))


def qat(opened: OpenedModel, options: QatOptions, run: TechniqueRun) -> StepResult:
    """Train a classifier with the rounding of int8-dynamic in the way, in place.

    Raises:
        EdgepressError: there are no texts to learn from.
    """
    options = with_defaults(options, opened.schedule, opened.recorded_length)
    checkpoints, text = begin_training(run, options, opened)
    teacher = SelfDistillation.of(options, opened, text or load_task_text(options, opened))
    before = ModelFigures.of(options, opened)
    with rounding(opened.model):
        rounded = ModelFigures.of(options, opened)
        training = _train(options, teacher, (before, rounded), checkpoints)
    after = rounded if training is None else ModelFigures.after(options, opened, training)
    found = Rounded(opened, before, rounded, after, training.metrics if training else {})
    return compressed(opened, "qat", options, found, training, training.seconds if training else 0.0)


def _train(
    options: QatOptions,
    teacher: SelfDistillation,
    figures: tuple[ModelFigures, ModelFigures],
    checkpoints: Path,
) -> TrainingResult | None:
    """What training reached with rounding in the way; None where rounding alone costs little enough."""
    lost = drop(*figures)
    if lost is not None and lost <= options.max_drop:
        said = f"rounding alone loses {lost:.2f} points, of {options.max_drop:g} that it may"
        console.step(f"{said}: nothing to train")
        return None
    console.step(f"training for {options.epochs:g} epochs, learning rate {options.learning_rate:g}")
    return teacher.train(checkpoints)


def drop(before: ModelFigures, after: ModelFigures) -> float | None:
    """Points of the metric that were lost; None where nothing can be scored."""
    if before.score is None or after.score is None:
        return None
    return 100 * (before.score - after.score)
