"""Distilling on a SQuAD: the teacher's logits of start and end, kept on disk, against the student's."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.distill import report
from compress.distill.config import DistillConfig
from compress.distill.student import open_student
from compress.teaching.logits import span_logits
from compress.training.answering import Answering, Reading, answering_data, load_reading, require_answering
from compress.training.checkpoints import checkpoint_folder
from compress.training.config import with_defaults
from compress.training.history import seconds
from compress.training.identity import run_identity
from compress.training.result import answer_scores, reached, write_trained
from compress.training.trainer import train
from edgepress import console
from edgepress.artifact import Step
from edgepress.errors import EdgepressError
from edgepress.loading import OpenedModel
from edgepress.tasks import Task


def distill_answering(config: DistillConfig, output: Path, teacher: OpenedModel, task: Task) -> Path:
    """Let the teacher read, train with and without it, write, show.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    student = _open_student(config, teacher, task)
    config = with_defaults(config, student.schedule, student.recorded_length)
    reading = load_reading(config, task, teacher.tokenizer, config.length_for(teacher, student))
    rows = answering_data(student.tokenizer, reading)
    identity = run_identity(config, task, rows, reading.contents, teacher=teacher, student=student)
    with checkpoint_folder(config, output, identity) as folder:
        parts = {"train": reading.train, "evaluation": reading.evaluation}
        logits = {name: span_logits(teacher, windows) for name, windows in parts.items()}
        metrics: dict[str, Any] = {"teacher": reading.scores(_padded(logits["evaluation"]))}
        if config.baseline:
            console.step("first the same student without the teacher")
            alone = replace(config, response_weight=0.0, label_weight=1.0)
            plain = _open_student(config, teacher, task)
            metrics["plain"], _ = _train(alone, plain, task, reading, logits, folder / "plain")
        console.step(f"distilling for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
        figures, writes = _train(config, student, task, reading, logits, folder / "distilled")
        if writes:
            _write(config, output, (teacher, student), task, {**figures, **metrics})
            shutil.rmtree(folder)
    return output


def _open_student(config: DistillConfig, teacher: OpenedModel, task: Task) -> OpenedModel:
    require_answering(config, config.student)
    if config.compares_states or config.response != "kl":
        raise EdgepressError(
            "answers are taught by labels and the KL of logits alone", "leave other losses away"
        )
    student = open_student(config, teacher, task, None)
    if student.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        raise EdgepressError(
            f"{config.student} and the teacher have different vocabularies: answers are of tokens",
            "name a student with the teacher's vocabulary",
        )
    return student


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    """(rows, tokens of the longest, 2); what is behind a row's last token is never looked at."""
    whole = np.zeros((len(rows), max(map(len, rows)), 2), dtype=np.float32)
    for row, logits in enumerate(rows):
        whole[row, : len(logits)] = logits
    return whole


def _train(
    config: DistillConfig,
    student: OpenedModel,
    task: Task,
    reading: Reading,
    logits: dict[str, list[np.ndarray]],
    checkpoints: Path,
) -> tuple[dict[str, Any], bool]:
    """What the student reached, and whether this process is the one that writes it."""
    weights = config.loss_weights
    module = Answering(
        student.model, weights["--label-weight"], weights["--response-weight"], config.temperature
    )
    data = answering_data(student.tokenizer, reading, logits if config.response_weight else None)
    trainer = train(module, data, config, checkpoints)
    figures = {**reached(trainer, task.metric, "exact_match"), "seconds": seconds(trainer)}
    return figures, trainer.is_world_process_zero()


def _write(
    config: DistillConfig,
    output: Path,
    models: tuple[OpenedModel, OpenedModel],
    task: Task,
    metrics: dict[str, Any],
) -> None:
    teacher, student = models
    step = Step("distill", config.recorded(), metrics["seconds"], metrics)
    body = (
        f"Distilled from {teacher.record().name} on {task.name}: {answer_scores(metrics)}; "
        f"its teacher {answer_scores(metrics['teacher'])}.\n"
    )
    write_trained(config, output, student, task, step, "finetune", body)
    report.show(teacher, student, task, metrics)
