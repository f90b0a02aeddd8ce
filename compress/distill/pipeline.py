"""Let a teacher read, and train a student with and without it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.distill import report
from compress.distill.config import DistillConfig, DistillOptions
from compress.distill.pretraining import distill_pretraining, open_pretraining
from compress.distill.question_answering import distill_answering
from compress.distill.student import open_student
from compress.distillation.logits import read_by_teacher, with_logits
from compress.distillation.objective import Distillation
from compress.step import StepResult, prepare, run_step
from compress.training.checkpoints import TechniqueRun
from compress.training.config import with_defaults
from compress.training.data import TrainingText, load_text
from compress.training.mistakes import confusion, sample_table, samples
from compress.training.scoring import TrainingResult, judge, percent, refuse_thresholds, threshold_table
from compress.training.trainer import classification_data, train
from edgepress.core import console
from edgepress.core.artifact import Step
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.metrics import scores
from edgepress.core.models import short_name
from edgepress.core.tasks import Task


@dataclass(frozen=True)
class Teacher:
    """A classifier that teaches, and what it said to the texts of its task."""

    opened: OpenedModel
    text: TrainingText
    logits: dict[str, np.ndarray]
    """Of the rows of each split that it read."""

    @property
    def task(self) -> Task:
        """What it was trained for."""
        return self.opened.text_task

    @property
    def metrics(self) -> dict[str, Any]:
        """Its scores and mistakes on the evaluation rows."""
        logits, labels = self.logits["evaluation"], self.text.evaluation.labels
        thresholds = self.opened.thresholds
        return {
            **scores(self.task.metric, logits, labels, self.task.problem_type, thresholds),
            "confusion": confusion(self.task, logits, labels, thresholds),
        }


def run(config: DistillConfig) -> Path:
    """The command; the artifact's folder."""
    output = prepare(config, config.teacher, short_name(config.student))
    if config.stage == "pretrain":
        corpus, masked_lm = open_pretraining(config)
        return run_step(config, output, lambda own: distill_pretraining(masked_lm, corpus, config, own))
    teacher = _open_teacher(config)
    if teacher.text_task.problem_type == "question_answering":
        return run_step(config, output, lambda own: distill_answering(teacher, config, own))
    return run_step(config, output, lambda own: distill(teacher, config, own))


def _open_teacher(config: DistillConfig) -> OpenedModel:
    return require_teacher(
        open_model(
            config.teacher, "pretrained", config.task, config.data, config.seed, options=config.task_options
        )
    )


def require_teacher(opened: OpenedModel) -> OpenedModel:
    """The model, if it can teach.

    Raises:
        EdgepressError: nobody said what it was trained for, or it was not trained.
    """
    name = opened.source.name
    if opened.task is None:
        raise EdgepressError(f"nobody said what {name} was trained for", "name its --task")
    if not opened.head_trained:
        raise EdgepressError(
            f"{name} has no trained classifier: it has nothing to teach",
            f"python -m compress.finetune --model {name} --task {opened.task.name} trains one",
        )
    return opened


def distill(opened: OpenedModel, options: DistillOptions, run: TechniqueRun) -> StepResult:
    """Train a student to answer as a classifier does; and, to compare, the same student without it.

    Raises:
        EdgepressError: there is no such student, or it cannot learn from this teacher.
    """
    task = opened.text_task
    refuse_thresholds(options, task)
    text = load_text(options, task)
    student = open_student(options, opened, text)
    options = with_defaults(options, student.schedule, student.recorded_length)
    checkpoints = run.checkpoints(options, task, text, teacher=opened, student=student)
    teacher = Teacher(opened, text, read_by_teacher(options, opened, text))
    baseline = _baseline(options, teacher, checkpoints) if options.baseline else None
    console.step(f"distilling for {options.epochs:g} epochs, learning rate {options.learning_rate:g}")
    training = _train(options, teacher, student, checkpoints / "distilled")
    metrics = {**training.metrics, "teacher": teacher.metrics}
    if baseline is not None:
        metrics["baseline"] = baseline.metrics
    logits = teacher.logits["evaluation"], training.logits
    metrics["samples"] = samples(task, text.evaluation, logits, options.seed)
    body = (
        f"Distilled from {opened.record().name}: {percent(task, metrics)} on "
        f"{training.evaluation_set}; its teacher {percent(task, metrics['teacher'])}.\n"
        f"{threshold_table(metrics)}\n{sample_table(task, metrics['samples'])}"
    )
    step = Step("distill", options.recorded(), training.seconds, metrics)
    return StepResult(
        opened=student.after(step, trained=True),
        score=metrics[task.metric],
        body=body,
        shown=[report.table(opened, student, task, metrics)],
        thresholds=training.thresholds,
    )


def _baseline(options: DistillOptions, teacher: Teacher, checkpoints: Path) -> TrainingResult:
    """The same student without the teacher: what it reaches, not its weights."""
    alone = replace(
        options,
        response_weight=0.0,
        label_weight=1.0,
        cosine_weight=0.0,
        hidden_weight=0.0,
        attention_weight=0.0,
    )
    console.step("first the same student without the teacher")
    student = open_student(alone, teacher.opened, teacher.text)
    return _train(alone, teacher, student, checkpoints / "baseline")


def _train(
    options: DistillOptions, teacher: Teacher, student: OpenedModel, checkpoints: Path
) -> TrainingResult:
    """Rows are in the student's tokens, with the teacher's logits; or in the tokens that both read."""
    task, both = teacher.task, options.compares_states
    module = Distillation(student.model, options, task.problem_type, teacher.opened.model if both else None)
    length = options.length_for(*((student, teacher.opened) if both else (student,)))
    tokenizer = teacher.opened.tokenizer if both else student.tokenizer
    data = classification_data(tokenizer, task, teacher.text, length)
    data = with_logits(options, data, teacher.logits)
    trainer = train(module, data, options, checkpoints)
    return judge(trainer, data, task, teacher.text, length, options.thresholds == "gmean")
