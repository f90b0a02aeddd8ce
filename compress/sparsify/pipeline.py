"""Set weights to zero, at once or while the model learns, and see what that buys."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from compress.compression import ModelFigures, SelfDistillation, begin_training, compressed, run_compression
from compress.sparsify.config import SparsifyConfig, SparsifyOptions
from compress.sparsify.masks import Sparsity, matrices, share_of_zeros
from compress.sparsify.report import DENSE, SPARSE, measure_gains, report, write
from compress.step import StepResult
from compress.training.checkpoints import TechniqueRun
from compress.training.config import passes, with_defaults
from compress.training.data import TrainingText
from compress.training.scoring import TrainingResult
from edgepress.core import console
from edgepress.core.loading import OpenedModel
from export.core.registry import find_format


def run(config: SparsifyConfig) -> Path:
    """The command; the artifact's folder."""
    return run_compression(config, sparsify)


def sparsify(opened: OpenedModel, options: SparsifyOptions, run: TechniqueRun) -> StepResult:
    """Set weights of a classifier's matrices to zero, in place.

    Raises:
        EdgepressError: a format is unknown, or needs what is not installed; or there are no texts to learn
            from.
    """
    formats = [find_format(name) for name in options.formats]
    options = with_defaults(options, opened.schedule, opened.recorded_length)
    checkpoints, text = begin_training(run, options, opened)
    with TemporaryDirectory() as name:
        files = Path(name)
        write(opened.model, formats, files / DENSE)
        before, begun = ModelFigures.of(options, opened), time.monotonic()
        training = _sparsify(options, opened, text, checkpoints)
        seconds = training.seconds if training else time.monotonic() - begun
        write(opened.model, formats, files / SPARSE)
        vocabulary = opened.model.config.vocab_size
        gains = measure_gains(formats, files, options.sequence_length, vocabulary, options.time_budget)
    after = ModelFigures.of(options, opened, training)
    zeros = share_of_zeros(matrices(opened.model))
    found = report(opened, options.pattern, zeros, (before, after), gains)
    return compressed(opened, "sparsify", options, found, training, seconds)


def _sparsify(
    options: SparsifyOptions, opened: OpenedModel, text: TrainingText | None, checkpoints: Path
) -> TrainingResult | None:
    """Sparsify in place and return the result of the training, if there is one."""
    teacher = SelfDistillation.of(options, opened, text) if text else None
    masks = Sparsity(opened.model, options.method, options.pattern, options.sparsity, options.cooldown)
    training = None
    if teacher is None:
        console.step("setting the smallest weights to zero")
        masks.to(options.sparsity)
    else:
        console.step(f"training for {passes(options)}, learning rate {options.learning_rate:g}")
        training = teacher.train(checkpoints, [masks])
    masks.settle()
    return training
