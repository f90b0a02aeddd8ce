"""The pretrain stage as a pipeline: check, open, cut the corpus, train beside the teacher, write."""

import shutil
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import Trainer

from compress.distill.config import DistillConfig
from compress.distill.pretraining_objective import PretrainingDistillation
from compress.distill.student import HALF, part_of
from compress.training.checkpoints import checkpoint_folder
from compress.training.config import with_defaults
from compress.training.history import seconds
from compress.training.identity import run_identity
from compress.training.masked_lm import PRETRAINING, MaskedLanguageModel, corpus_data, figures, loss_words
from compress.training.result import write_trained
from compress.training.trainer import TrainingData, loss_before, train
from edgepress import console
from edgepress.artifact import Step
from edgepress.corpus import load_corpus
from edgepress.errors import EdgepressError
from edgepress.files import refuse_existing
from edgepress.loading import OpenedModel
from edgepress.masked_lm import open_masked_lm
from edgepress.models import short_name


def distill(config: DistillConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    config.check()
    output = config.output or Path("outputs") / f"{short_name(config.teacher)}-{short_name(config.student)}"
    refuse_existing(output, config.overwrite)
    config = with_defaults(config, PRETRAINING)
    assert config.corpus is not None, "check() has seen to it"
    corpus = load_corpus(config.corpus, config.data)
    teacher = _open_teacher(config)
    student = _open_student(config, teacher)
    module = PretrainingDistillation(student.model, teacher.model, config)
    data = corpus_data(student.tokenizer, corpus, config, min(teacher.longest, student.longest))
    console.step(f"{config.corpus}: {len(data.train)} blocks, {len(data.evaluation)} held out")
    identity = run_identity(config, None, data, teacher=teacher, student=student)
    with checkpoint_folder(config, output, identity) as checkpoints:
        taught_by = loss_before(MaskedLanguageModel(teacher.model), data, config, checkpoints)
        before = loss_before(module, data, config, checkpoints)
        trainer = _train(module, data, config, checkpoints)
        metrics = figures(trainer, data, before)
        metrics["teacher"] = {"masked_lm_loss": taught_by}
        if PartialState().is_main_process:
            _write(config, output, teacher, student, metrics, seconds(trainer) if trainer else 0.0)
            shutil.rmtree(checkpoints)
    return output


def _train(
    module: PretrainingDistillation, data: TrainingData, config: DistillConfig, checkpoints: Path
) -> Trainer | None:
    """None where no epoch is asked for: the student stays as it begins."""
    if not config.epochs:
        return None
    console.step(f"distilling for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
    return train(module, data, config, checkpoints)


def _open_teacher(config: DistillConfig) -> OpenedModel:
    teacher = open_masked_lm(config.teacher, config.seed)
    if not teacher.head_trained:
        raise EdgepressError(
            f"{config.teacher} has no trained head over the vocabulary: it cannot fill masks",
            f"python -m compress.pretrain --model {config.teacher} --corpus {config.corpus} trains one",
        )
    return teacher


def _open_student(config: DistillConfig, teacher: OpenedModel) -> OpenedModel:
    if config.student == HALF:
        return part_of(teacher, config)
    student = open_masked_lm(config.student, config.seed)
    if student.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        raise EdgepressError(
            f"{config.student} and the teacher have different vocabularies: they do not fill the same masks",
            "name a student with the teacher's vocabulary, or --student half",
        )
    return student


def _write(
    config: DistillConfig,
    output: Path,
    teacher: OpenedModel,
    student: OpenedModel,
    metrics: dict[str, Any],
    taken: float,
) -> None:
    losses = (
        f"{loss_words(metrics)} of {config.corpus}; its teacher {metrics['teacher']['masked_lm_loss']:.3f}"
    )
    body = f"Distilled from {teacher.record().name} as a masked language model: {losses}.\n"
    step = Step("distill", config.recorded(), taken, metrics)
    write_trained(config, output, student, None, step, "finetune", body)
    console.line(f"{output.name}: {losses}, {taken:.0f} s")
