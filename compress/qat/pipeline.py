"""See what rounding costs, and train with it where that is too much."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from compress.compression import (
    ModelFigures,
    Report,
    SelfDistillation,
    begin_training,
    compressed,
    load_task_text,
    run_compression,
)
from compress.qat.config import QatConfig, QatOptions
from compress.qat.rounding import rounding
from compress.step import StepResult
from compress.training.checkpoints import TechniqueRun
from compress.training.config import passes, with_defaults
from compress.training.scoring import TrainingResult
from edgepress.core import console
from edgepress.core.intervals import in_points
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import screen_table


def run(config: QatConfig) -> Path:
    """The command; the artifact's folder."""
    return run_compression(config, qat)


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
    after = rounded if training is None else ModelFigures.of(options, opened, training)
    found = _report(opened, {"before": before, "rounded": rounded, "after": after}, training)
    return compressed(opened, "qat", options, found, training, training.seconds if training else 0.0)


def _train(
    options: QatOptions,
    teacher: SelfDistillation,
    figures: tuple[ModelFigures, ModelFigures],
    checkpoints: Path,
) -> TrainingResult | None:
    """What training reached with rounding in the way; None where rounding alone costs little enough."""
    before, rounded = (own.score for own in figures)
    lost = None if before is None or rounded is None else in_points(before - rounded)
    if lost is not None and lost <= options.max_drop:
        said = f"rounding alone loses {figures[1].lost(figures[0])}, of {options.max_drop:g} that it may"
        console.step(f"{said}: nothing to train")
        return None
    console.step(f"training for {passes(options)}, learning rate {options.learning_rate:g}")
    return teacher.train(checkpoints)


def _report(
    opened: OpenedModel, stages: Mapping[str, ModelFigures], training: TrainingResult | None
) -> Report:
    """A model in fp32, rounded as it was, and rounded after training with it."""
    after, metric = stages["after"], opened.text_task.metric
    scored = [*after.scored_on, *after.loss_against(stages["before"])]
    named = {"fp32, as it was": "before", "int8's rounding, as it was": "rounded"}
    named |= {"int8's rounding, trained with it": "after"} if training else {}
    rows = [(name, stages[stage].cells[-1]) for name, stage in named.items()]
    table = screen_table(f"{opened.source.short_name}: what rounding costs", ("", metric), rows)
    said = "Weights that int8-dynamic's rounding changes little."
    return Report(
        after=after,
        metrics={name: own.recorded for name, own in stages.items()},
        card=f"{said}\n\n{table.markdown()}\n{' '.join(scored)}\n",
        shown=[table, *scored],
    )
