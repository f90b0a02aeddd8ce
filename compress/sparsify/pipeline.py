"""The command as a pipeline: check, open, mask, train, compare, write, show."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from compress.change.check import open_to_change
from compress.change.result import State, checkpoints_of, write_learned
from compress.sparsify.config import SparsifyConfig
from compress.sparsify.gain import DENSE, SPARSE, measure_gains, timed_formats, write
from compress.sparsify.masks import Sparsity, matrices, share_of_zeros
from compress.sparsify.report import Outcome
from compress.teaching.lesson import Learned, Lesson
from compress.training.config import with_defaults
from compress.training.data import TrainingText
from edgepress import console
from edgepress.artifact import Step
from edgepress.loading import OpenedModel
from export.base.format import Format


def sparsify(config: SparsifyConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    output, opened = open_to_change(config, "sparse")
    formats = timed_formats(config.formats)
    config = with_defaults(config, opened.schedule, opened.recorded_length)
    with TemporaryDirectory() as files, checkpoints_of(config, output, opened) as (checkpoints, text):
        write(opened.model, formats, Path(files) / DENSE)
        before, begun = State.of(config, opened), time.monotonic()
        learned = _sparsify(config, opened, text, checkpoints)
        if learned is None or learned.writes:
            seconds = learned.seconds if learned else time.monotonic() - begun
            outcome = _outcome(config, opened, before, learned, formats, Path(files))
            step = Step("sparsify", config.recorded(), seconds, outcome.metrics)
            write_learned(config, output, opened, step, outcome.markdown(), learned, checkpoints)
            outcome.show()
    return output


def _sparsify(
    config: SparsifyConfig, opened: OpenedModel, text: TrainingText | None, checkpoints: Path
) -> Learned | None:
    """In place; what the training reached, where there is one."""
    lesson = Lesson.of(config, opened, text) if config.epochs else None
    masks = Sparsity(opened.model, config.method, config.pattern, config.sparsity, config.cooldown)
    learned = None
    if lesson is None:
        console.step("setting the smallest weights to zero")
        masks.to(config.sparsity)
    else:
        console.step(f"training for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
        learned = lesson.learn(checkpoints, [masks])
    masks.settle()
    return learned


def _outcome(
    config: SparsifyConfig,
    opened: OpenedModel,
    before: State,
    learned: Learned | None,
    formats: list[Format],
    folder: Path,
) -> Outcome:
    write(opened.model, formats, folder / SPARSE)
    vocabulary = opened.model.config.vocab_size
    return Outcome(
        opened=opened,
        pattern=config.pattern,
        zeros=share_of_zeros(matrices(opened.model)),
        states=(before, State.after(config, opened, learned)),
        gains=measure_gains(formats, folder, config.sequence_length, vocabulary, config.time_budget),
        learned=learned.figures if learned else {},
    )
