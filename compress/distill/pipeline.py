"""The command as a pipeline: check, open, let the teacher read, train with and without it, write, show."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.distill import report
from compress.distill.answering import distill_answering
from compress.distill.config import DistillConfig
from compress.distill.student import open_student
from compress.teaching.objective import Distillation
from compress.teaching.rows import read_by_teacher, with_logits
from compress.training.checkpoints import checkpoint_folder
from compress.training.config import with_defaults
from compress.training.data import TrainingText, load_text
from compress.training.history import seconds
from compress.training.identity import run_identity
from compress.training.mistakes import confusion
from compress.training.result import percent, write_trained
from compress.training.samples import markdown, samples
from compress.training.scoring import Judged, judge, threshold_table
from compress.training.trainer import TrainingData, classification_data, train
from edgepress import console
from edgepress.artifact import Step
from edgepress.errors import EdgepressError
from edgepress.files import refuse_existing
from edgepress.loading import OpenedModel, open_model
from edgepress.metrics import scores
from edgepress.models import short_name
from edgepress.tasks import Task


@dataclass(frozen=True)
class Lesson:
    """Who teaches what."""

    config: DistillConfig
    teacher: OpenedModel
    task: Task
    text: TrainingText
    logits: dict[str, np.ndarray]
    """The teacher's, of the rows of each split that it read."""

    @property
    def teacher_figures(self) -> dict[str, Any]:
        """Its scores and mistakes on the evaluation rows."""
        logits, labels = self.logits["evaluation"], self.text.evaluation.labels
        thresholds = self.teacher.thresholds
        return {
            **scores(self.task.metric, logits, labels, self.task.problem_type, thresholds),
            "confusion": confusion(self.task, logits, labels, thresholds),
        }


@dataclass(frozen=True)
class Taught:
    """What one student reached."""

    judged: Judged
    seconds: float
    writes: bool
    """Whether this process is the one that writes results."""

    @property
    def figures(self) -> dict[str, Any]:
        return {**self.judged.metrics, "seconds": self.seconds}


def distill(config: DistillConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    config.check()
    output = config.output or Path("outputs") / f"{short_name(config.teacher)}-{short_name(config.student)}"
    refuse_existing(output, config.overwrite)
    teacher, task = _open_teacher(config)
    if task.problem_type == "question_answering":
        return distill_answering(config, output, teacher, task)
    text = load_text(config, task)
    student = open_student(config, teacher, task, text)
    config = with_defaults(config, student.schedule, student.recorded_length)
    identity = run_identity(config, task, text, teacher=teacher, student=student)
    with checkpoint_folder(config, output, identity) as folder:
        lesson = Lesson(config, teacher, task, text, read_by_teacher(config, teacher, text))
        plain = _plain(lesson, folder) if config.baseline else None
        console.step(f"distilling for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
        taught = _train(lesson, student, folder / "distilled")
        if taught.writes:
            _write(lesson, output, student, taught, plain)
            shutil.rmtree(folder)
    return output


def _open_teacher(config: DistillConfig) -> tuple[OpenedModel, Task]:
    teacher = open_model(
        config.teacher, "pretrained", config.task, config.data, config.seed, options=config.task_options
    )
    if teacher.task is None:
        raise EdgepressError(f"nobody said what {config.teacher} was trained for", "name its --task")
    if not teacher.head_trained:
        raise EdgepressError(
            f"{config.teacher} has no trained classifier: it has nothing to teach",
            f"python -m compress.finetune --model {config.teacher} --task {teacher.task.name} trains one",
        )
    return teacher, teacher.task


def _plain(lesson: Lesson, folder: Path) -> Taught:
    """The same student without the teacher: what it reaches, not its weights."""
    config = replace(
        lesson.config,
        response_weight=0.0,
        label_weight=1.0,
        cosine_weight=0.0,
        hidden_weight=0.0,
        attention_weight=0.0,
    )
    console.step("first the same student without the teacher")
    student = open_student(config, lesson.teacher, lesson.task, lesson.text)
    return _train(replace(lesson, config=config), student, folder / "plain")


def _train(lesson: Lesson, student: OpenedModel, checkpoints: Path) -> Taught:
    config, task = lesson.config, lesson.task
    teacher = lesson.teacher.model if config.compares_states else None
    module = Distillation(student.model, config, task.problem_type, teacher)
    readers = (student, lesson.teacher) if config.compares_states else (student,)
    length = config.length_for(*readers)
    data = _data(lesson, student, length)
    trainer = train(module, data, config, checkpoints)
    judged = judge(trainer, data, task, lesson.text, length, config.thresholds == "gmean")
    return Taught(judged, seconds(trainer), trainer.is_world_process_zero())


def _data(lesson: Lesson, student: OpenedModel, max_length: int) -> TrainingData:
    """Rows in the student's tokens; with the teacher's logits, or in the tokens that both read."""
    config = lesson.config
    tokenizer = lesson.teacher.tokenizer if config.compares_states else student.tokenizer
    data = classification_data(tokenizer, lesson.task, lesson.text, max_length)
    return with_logits(config, data, lesson.logits)


def _write(
    lesson: Lesson,
    output: Path,
    student: OpenedModel,
    taught: Taught,
    plain: Taught | None,
) -> None:
    config, task = lesson.config, lesson.task
    metrics = {**taught.figures, "teacher": lesson.teacher_figures}
    if plain is not None:
        metrics["plain"] = plain.figures
    logits = lesson.logits["evaluation"], taught.judged.logits
    metrics["samples"] = samples(task, lesson.text.evaluation, logits, config.seed)
    step = Step("distill", config.recorded(), taught.seconds, metrics)
    body = (
        f"Distilled from {lesson.teacher.record().name}: {percent(task, metrics)} on "
        f"{taught.judged.evaluation_set}; its teacher {percent(task, metrics['teacher'])}.\n"
        f"{threshold_table(metrics)}\n{markdown(task, metrics['samples'])}"
    )
    write_trained(config, output, student, task, step, "finetune", body, taught.judged.thresholds)
    report.show(lesson.teacher, student, task, metrics)
