"""Cut and recover in turn."""

import time
from collections.abc import Sequence
from pathlib import Path

from compress.compression import (
    ModelFigures,
    SelfDistillation,
    begin_training,
    compressed,
    load_task_text,
    run_compression,
)
from compress.prune.config import PruneConfig, PruneOptions
from compress.prune.cut import Cutting
from compress.prune.importance import LOOKING
from compress.prune.report import Shape, report
from compress.step import StepResult
from compress.training.checkpoints import TechniqueRun
from compress.training.config import passes, with_defaults
from compress.training.data import TrainingText
from compress.training.scoring import TrainingResult
from edgepress.core import console
from edgepress.core.architectures.pruned import record_shapes
from edgepress.core.loading import OpenedModel


def run(config: PruneConfig) -> Path:
    """The command; the artifact's folder."""
    return run_compression(config, prune)


def prune(opened: OpenedModel, options: PruneOptions, run: TechniqueRun) -> StepResult:
    """Cut parts out of a classifier, in place, and train it to recover.

    Raises:
        EdgepressError: it has no such parts, or not so many; or there are no texts to learn from.
    """
    options = with_defaults(options, opened.schedule, opened.recorded_length)
    cutting = Cutting.of(opened.model, options)
    checkpoints, text = begin_training(run, options, opened)
    before, shape = ModelFigures.of(options, opened), Shape.of(opened.model)
    begun = time.monotonic()
    trainings = _cut(options, opened, cutting, text, checkpoints)
    seconds = sum(each.seconds for each in trainings) if trainings else time.monotonic() - begun
    last = trainings[-1] if trainings else None
    after = ModelFigures.of(options, opened, last)
    found = report(opened, (shape, Shape.of(opened.model)), (before, after), trainings)
    return compressed(opened, "prune", options, found, last, seconds)


def _cut(
    options: PruneOptions,
    opened: OpenedModel,
    cutting: Cutting,
    text: TrainingText | None,
    checkpoints: Path,
) -> Sequence[TrainingResult]:
    """Cut as often as was asked for, and return the result of the training after each cut."""
    looks = options.importance in LOOKING
    teacher = None
    if looks or options.epochs:
        teacher = SelfDistillation.of(options, opened, text or load_task_text(options, opened))
    found = []
    for number in range(options.iterations):
        console.step(f"cut {number + 1} of {options.iterations}, by {options.importance}")
        cutting.cut(number, teacher.batches(options.importance_samples) if teacher and looks else [])
        if teacher and options.epochs:
            console.step(f"recovering for {passes(options)}, learning rate {options.learning_rate:g}")
            found.append(teacher.train(checkpoints / f"cut-{number + 1}"))
    record_shapes(opened.model)
    return found
