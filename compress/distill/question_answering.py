"""Distilling on a SQuAD: the teacher's logits of start and end, kept on disk, against the student's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.distill import report
from compress.distill.config import DistillOptions
from compress.distill.student import open_student
from compress.distillation.logits import span_logits
from compress.step import StepResult
from compress.training.checkpoints import TechniqueRun
from compress.training.config import with_defaults
from compress.training.progress import seconds
from compress.training.question_answering import (
    Answering,
    Reading,
    answering_data,
    load_reading,
    require_answering,
)
from compress.training.scoring import answer_scores, reached
from compress.training.trainer import train
from edgepress.core import console
from edgepress.core.artifact import Step
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel


def distill_answering(teacher: OpenedModel, options: DistillOptions, run: TechniqueRun) -> StepResult:
    """Let the teacher read, and train a student with and without it.

    Raises:
        EdgepressError: the student cannot learn to answer from this teacher, or a file is not SQuAD's.
    """
    task = teacher.text_task
    student = _open_student(options, teacher)
    options = with_defaults(options, student.schedule, student.recorded_length)
    reading = load_reading(options, task, teacher.tokenizer, options.length_for(teacher, student))
    rows = answering_data(student.tokenizer, reading)
    checkpoints = run.checkpoints(options, task, rows, reading.contents, teacher=teacher, student=student)
    parts = {"train": reading.train, "evaluation": reading.evaluation}
    logits = {name: span_logits(teacher, windows) for name, windows in parts.items()}
    beside: dict[str, Any] = {"teacher": reading.scores(_padded(logits["evaluation"]))}
    if options.baseline:
        console.step("first the same student without the teacher")
        alone = replace(options, response_weight=0.0, label_weight=1.0)
        baseline = _open_student(options, teacher)
        beside["baseline"] = _train(alone, baseline, reading, logits, checkpoints / "baseline")
    console.step(f"distilling for {options.epochs:g} epochs, learning rate {options.learning_rate:g}")
    metrics = {**_train(options, student, reading, logits, checkpoints / "distilled"), **beside}
    return StepResult(
        opened=student.after(Step("distill", options.recorded(), metrics["seconds"], metrics), trained=True),
        score=metrics[task.metric],
        body=(
            f"Distilled from {teacher.record().name} on {task.name}: {answer_scores(metrics)}; "
            f"its teacher {answer_scores(metrics['teacher'])}.\n"
        ),
        shown=[report.table(teacher, student, task, metrics)],
    )


def _open_student(options: DistillOptions, teacher: OpenedModel) -> OpenedModel:
    require_answering(options, options.student)
    if options.compares_states or options.response != "kl":
        raise EdgepressError(
            "answers are taught by labels and the KL of logits alone", "leave other losses away"
        )
    student = open_student(options, teacher, None)
    if student.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        raise EdgepressError(
            f"{options.student} and the teacher have different vocabularies: answers are of tokens",
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
    options: DistillOptions,
    student: OpenedModel,
    reading: Reading,
    logits: dict[str, list[np.ndarray]],
    checkpoints: Path,
) -> dict[str, Any]:
    """What the student reached."""
    weights = options.loss_weights
    module = Answering(
        student.model, weights["--label-weight"], weights["--response-weight"], options.temperature
    )
    data = answering_data(student.tokenizer, reading, logits if options.response_weight else None)
    trainer = train(module, data, options, checkpoints)
    return {**reached(trainer, student.text_task.metric, "exact_match"), "seconds": seconds(trainer)}
