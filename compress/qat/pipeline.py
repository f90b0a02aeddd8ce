"""See what rounding costs, and train with it where that is too much."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.compression import ModelFigures, begin_training, compressed, load_task_text, open_classifier
from compress.distillation.self_distillation import SelfDistillation
from compress.qat.config import QatConfig, QatOptions
from compress.qat.rounding import rounding
from compress.step import StepResult, run_step
from compress.training.checkpoints import TechniqueRun
from compress.training.config import with_defaults
from compress.training.scoring import TrainingResult
from edgepress.core import console
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import ScreenTable, markdown_table, screen_table


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


@dataclass(frozen=True)
class Rounded:
    """A model in fp32, rounded as it was, and rounded after training with it."""

    opened: OpenedModel
    before: ModelFigures
    rounded: ModelFigures
    after: ModelFigures
    training: dict[str, Any] = field(default_factory=dict)
    """What the training reached, if there was one."""

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the manifest's step: scores; of the training what a training has."""
        stages = {"before": self.before, "rounded": self.rounded, "after": self.after}
        return {**self.training, **{name: own.recorded for name, own in stages.items()}}

    @property
    def _rows(self) -> list[tuple[str, str]]:
        rows = [("fp32, as it was", self.before), ("int8's rounding, as it was", self.rounded)]
        rows += [("int8's rounding, trained with it", self.after)] if self.training else []
        return [(name, own.cells[-1]) for name, own in rows]

    def markdown(self) -> str:
        """The card's body."""
        table = markdown_table(("", self.opened.text_task.metric), self._rows)
        scored_on = "".join(self.after.scored_on)
        return f"Weights that int8-dynamic's rounding changes little.\n\n{table}\n{scored_on}\n"

    def shown(self) -> list[ScreenTable | str]:
        """What the screen shows."""
        title = f"{self.opened.source.short_name}: what rounding costs"
        return [screen_table(title, ("", self.opened.text_task.metric), self._rows), *self.after.scored_on]
