"""The command as a pipeline: check, open, cut and recover in turn, compare, write, show."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compress.cut.check import check_cuttable
from compress.cut.result import State, write_cut
from compress.prune.config import PruneConfig
from compress.prune.importance import LOOKING, Batch
from compress.prune.plan import Cutting
from compress.prune.report import Outcome
from compress.prune.shapes import Shape
from compress.teaching.lesson import Learned, Lesson
from compress.teaching.logits import model_digest
from compress.training.checkpoints import checkpoint_folder
from compress.training.config import with_schedule
from compress.training.result import write_trained
from edgepress import console
from edgepress.architectures.pruned import record_shapes
from edgepress.artifact import Step
from edgepress.files import refuse_existing
from edgepress.loading import OpenedModel, open_model
from edgepress.models import short_name


def prune(config: PruneConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    config.check()
    output = config.output or Path("outputs") / f"{short_name(config.model)}-pruned"
    refuse_existing(output, config.overwrite)
    opened = open_model(config.model, config.weights, config.task, config.data, config.seed)
    check_cuttable(opened)
    config = with_schedule(config, opened.schedule)
    cutting = Cutting.of(opened.model, config)
    lesson = _lesson(config, opened)
    if lesson is None or not config.epochs:
        _cut(config, output, opened, cutting, lesson)
    else:
        _cut_and_recover(config, output, opened, cutting, lesson)
    return output


def _lesson(config: PruneConfig, opened: OpenedModel) -> Lesson | None:
    """Texts of the task, where something looks at them."""
    if config.importance not in LOOKING and not config.epochs:
        return None
    return Lesson.of(config, opened)


def _batches(config: PruneConfig, lesson: Lesson | None) -> Sequence[Batch]:
    if lesson is None or config.importance not in LOOKING:
        return []
    return lesson.batches(config.importance_samples)


def _cut(
    config: PruneConfig, output: Path, opened: OpenedModel, cutting: Cutting, lesson: Lesson | None
) -> None:
    """Once, and write what comes out."""
    judged = config.eval_samples, config.seed, config.data
    before, shape, begun = State.of(opened, *judged), Shape.of(opened.model), time.monotonic()
    console.step(f"cutting by {config.importance}")
    cutting.cut(0, _batches(config, lesson))
    record_shapes(opened.model)
    seconds = time.monotonic() - begun
    outcome = Outcome(opened, (shape, Shape.of(opened.model)), (before, State.of(opened, *judged)))
    step = Step("prune", config.identity(), seconds, outcome.metrics)
    write_cut(output, config.overwrite, opened, step, config.seed, outcome.markdown())
    outcome.show()


def _cut_and_recover(
    config: PruneConfig, output: Path, opened: OpenedModel, cutting: Cutting, lesson: Lesson
) -> None:
    """In turn, as often as was asked for, and write the last one."""
    judged = config.eval_samples, config.seed, config.data
    before, shape = State.of(opened, *judged), Shape.of(opened.model)
    with checkpoint_folder(config, output, model_digest(opened.model)) as folder:
        found = [_one_turn(config, cutting, lesson, number, folder) for number in range(config.iterations)]
        if found[-1].writes:
            record_shapes(opened.model)
            thresholds = found[-1].judged.thresholds
            trained = replace(opened, head_trained=True)
            after = State(opened.model.num_parameters(), found[-1].judged.metrics[opened.text_task.metric])
            outcome = Outcome(
                trained,
                (shape, Shape.of(opened.model)),
                (before, after),
                tuple(each.figures for each in found),
            )
            step = Step("prune", config.identity(), sum(own.seconds for own in found), outcome.metrics)
            body = outcome.markdown()
            write_trained(config, output, opened, opened.text_task, step, "finetune", body, thresholds)
            outcome.show()
            shutil.rmtree(folder)


def _one_turn(config: PruneConfig, cutting: Cutting, lesson: Lesson, number: int, folder: Path) -> Learned:
    console.step(f"cut {number + 1} of {config.iterations}, by {config.importance}")
    cutting.cut(number, _batches(config, lesson))
    console.step(f"recovering for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
    return lesson.learn(folder / f"cut-{number + 1}")
