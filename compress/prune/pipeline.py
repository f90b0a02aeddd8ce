"""The command as a pipeline: check, open, cut and recover in turn, compare, write, show."""

import time
from collections.abc import Sequence
from pathlib import Path

from compress.change.check import open_to_change
from compress.change.result import State, checkpoints_of, write_learned
from compress.prune.config import PruneConfig
from compress.prune.importance import LOOKING
from compress.prune.plan import Cutting
from compress.prune.report import Outcome
from compress.prune.shapes import Shape
from compress.teaching.lesson import Learned, Lesson
from compress.training.config import with_defaults
from compress.training.data import TrainingText
from edgepress import console
from edgepress.architectures.pruned import record_shapes
from edgepress.artifact import Step
from edgepress.loading import OpenedModel


def prune(config: PruneConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    output, opened = open_to_change(config, "pruned")
    config = with_defaults(config, opened.schedule, opened.recorded_length)
    cutting = Cutting.of(opened.model, config)
    with checkpoints_of(config, output, opened) as (checkpoints, text):
        before = State.of(config, opened)
        shape, begun = Shape.of(opened.model), time.monotonic()
        found = _cut(config, opened, cutting, text, checkpoints)
        if all(learned.writes for learned in found):
            seconds = sum(own.seconds for own in found) if found else time.monotonic() - begun
            outcome = _outcome(config, opened, before, shape, found)
            step = Step("prune", config.recorded(), seconds, outcome.metrics)
            last = found[-1] if found else None
            write_learned(config, output, opened, step, outcome.markdown(), last, checkpoints)
            outcome.show()
    return output


def _cut(
    config: PruneConfig, opened: OpenedModel, cutting: Cutting, text: TrainingText | None, checkpoints: Path
) -> list[Learned]:
    """As often as was asked for; what the training after each cut reached, where there is one."""
    looks = config.importance in LOOKING
    lesson = Lesson.of(config, opened, text) if looks or config.epochs else None
    found = []
    for number in range(config.iterations):
        console.step(f"cut {number + 1} of {config.iterations}, by {config.importance}")
        cutting.cut(number, lesson.batches(config.importance_samples) if lesson and looks else [])
        if lesson and config.epochs:
            console.step(f"recovering for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
            found.append(lesson.learn(checkpoints / f"cut-{number + 1}"))
    record_shapes(opened.model)
    return found


def _outcome(
    config: PruneConfig, opened: OpenedModel, before: State, shape: Shape, found: Sequence[Learned]
) -> Outcome:
    after = State.after(config, opened, found[-1] if found else None)
    recovered = tuple(learned.figures for learned in found)
    return Outcome(opened, (shape, Shape.of(opened.model)), (before, after), recovered)
