"""Let a teacher read, and train a student with and without it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.distill.config import DistillConfig, DistillOptions
from compress.distill.pretraining import distill_pretraining, open_pretraining
from compress.distill.student import known_width, open_student, reads_teachers_tokens
from compress.distill.teachers import Taught, Teachers
from compress.distill.transfer import (
    TextSelection,
    TransferSet,
    transfer_set,
    with_augmented,
    with_transfer,
)
from compress.distillation.logits import fitted, with_logits
from compress.distillation.objective import Distillation
from compress.step import StepResult, prepare, run_step, with_split
from compress.training.checkpoints import TechniqueRun
from compress.training.config import passes, with_defaults
from compress.training.data import TrainingText, load_text
from compress.training.mistakes import sample_table, samples
from compress.training.scoring import (
    TrainingResult,
    dimension_scores,
    dimension_tables,
    judge,
    on_page,
    percent,
    refuse_head,
    refuse_thresholds,
    threshold_tables,
)
from compress.training.trainer import task_data, train
from edgepress.core import console
from edgepress.core.artifact import Step
from edgepress.core.identity import rows_identity
from edgepress.core.loading import OpenedModel
from edgepress.core.matryoshka import refuse_dimensions
from edgepress.core.tables import ScreenTable, screen_table
from edgepress.core.tasks import Task

BYTES_OF_FP32 = 4


def run(config: DistillConfig) -> Path:
    """The command; the artifact's folder."""
    output = prepare(config)
    with with_split(config, config.teacher[0], output) as own:
        return _run(own, output)


def _run(config: DistillConfig, output: Path) -> Path:
    if config.stage == "pretrain":
        corpus, masked_lm = open_pretraining(config)
        return run_step(config, output, lambda own: distill_pretraining(masked_lm, corpus, config, own))
    teachers = Teachers.open(config)
    return run_step(config, output, lambda own: distill(teachers, config, own))


def distill(teachers: Teachers, options: DistillOptions, run: TechniqueRun) -> StepResult:
    """Train a student to answer as its teachers do; and, to compare, the same student without it.

    Raises:
        EdgepressError: there is no such student, or it cannot learn from these teachers.
    """
    task = teachers.first.text_task
    refuse_thresholds(options, task)
    refuse_head(options, task)
    width = known_width(options, teachers.first.model.config)
    refuse_dimensions(options.dimensions, teachers.first.kind, f"--student {options.student}", width)
    options, student, text, transfer = _prepared(teachers, options)
    more = rows_identity("transfer", text.transfer) if text.transfer else None
    checkpoints = run.checkpoints(options, task, text, more, **teachers.by_name, student=student)
    first = teachers.first
    readers = (student, first) if reads_teachers_tokens(options, first) else (first,)
    taught = Taught(teachers, text, teachers.read(options, text, readers))
    baseline = _baseline(options, taught, checkpoints) if options.train_baseline else None
    figures: dict[str, Any] = {}
    if transfer is not None:
        taught, figures["transfer"] = with_transfer(options, taught, transfer)
    if first.kind.free_width:
        splits = fitted(taught.logits.splits, student.model.config.hidden_size)
        taught = replace(taught, logits=replace(taught.logits, splits=splits))
    console.step(f"distilling for {passes(options)}, learning rate {options.learning_rate:g}")
    training = _train(options, taught, student, checkpoints / "distilled")
    dimensions = first.kind.dimensions(student.model.config)
    cut = dimension_scores(task, taught.outputs, text.evaluation.labels, dimensions)
    metrics = {**training.metrics, "teacher": {**taught.metrics, **cut}, **figures}
    if baseline is not None:
        metrics["baseline"] = baseline.metrics
    metrics["samples"] = samples(task, text.evaluation, (taught.outputs, training.logits), options.seed)
    by_width = dimension_tables(task, dict(_models(teachers, metrics)))
    body = (
        f"Distilled from {teachers.name}: {percent(task, metrics)} on "
        f"{training.evaluation_set}; its {teachers.words} {percent(task, metrics['teacher'])}.\n"
        f"{on_page([*threshold_tables(metrics), *by_width])}\n{sample_table(task, metrics['samples'])}"
    )
    step = Step("distill", options.recorded(), training.seconds, metrics)
    return StepResult(
        opened=student.after(step, trained=True),
        score=metrics[task.metric],
        body=body,
        shown=[_table(teachers, student, task, metrics), *by_width],
        thresholds=training.thresholds,
    )


def _prepared(
    teachers: Teachers, options: DistillOptions
) -> tuple[DistillOptions, OpenedModel, TrainingText, TransferSet | None]:
    """The flags with defaults, the student before it learns, its texts, and how those without labels were
    found.
    """
    first = teachers.first
    selection = TextSelection.of(options, first)
    transfer = transfer_set(options, selection) if selection else None
    text = load_text(options, first.text_task, transfer.examples if transfer else None)
    if not len(text.train):
        console.step(f"{len(text.transfer or ()):,} texts without labels: the teacher alone teaches")
        options = replace(options, label_weight=0.0, train_baseline=False)
    student = open_student(options, first, text)
    options = with_defaults(options, student.schedule, student.recorded_length)
    if selection:
        readers = (*teachers.by_name.values(), student)
        transfer = with_augmented(options, selection, text.train, teachers.largest, readers, transfer)
        text = replace(text, transfer=transfer.examples if transfer else None)
    return options, student, text, transfer


def _baseline(options: DistillOptions, taught: Taught, checkpoints: Path) -> TrainingResult:
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
    student = open_student(alone, taught.first, taught.text)
    return _train(alone, taught, student, checkpoints / "baseline")


def _train(
    options: DistillOptions, taught: Taught, student: OpenedModel, checkpoints: Path
) -> TrainingResult:
    """Rows are in the student's tokens, with the teacher's logits; or in the tokens that both read."""
    task, teacher = taught.task, taught.first
    both = reads_teachers_tokens(options, teacher)
    runs = teacher.model if options.compares_states else None
    module = Distillation(student.model, options, task.problem_type, runs)
    length = options.length_for(*((student, teacher) if both else (student,)))
    tokenizer = teacher.tokenizer if both else student.tokenizer
    data = task_data(tokenizer, task, taught.text, length)
    data = with_logits(options, data, taught.logits.splits)
    trainer = train(module, data, options, checkpoints)
    chosen, dimensions = options.chooses_thresholds, teacher.kind.dimensions(student.model.config)
    return judge(trainer, data, tokenizer, task, taught.text, length, chosen, dimensions)


def _models(teachers: Teachers, metrics: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The models that are compared, by what tables call them, with their metrics."""
    yield teachers.words, metrics["teacher"]
    yield "student", metrics
    if "baseline" in metrics:
        yield "student without the teacher", metrics["baseline"]


def _table(teachers: Teachers, student: OpenedModel, task: Task, metrics: dict[str, Any]) -> ScreenTable:
    """Build a table with a row for each model: parameters, size, metric, share of the teacher's score."""
    parameters, theirs = student.model.num_parameters(), metrics["teacher"]
    rows = [
        (name, *_cells(teachers.parameters if own is theirs else parameters, task, own, metrics))
        for name, own in _models(teachers, metrics)
    ]
    headings = ("model", "params", "fp32 MB", task.metric, "kept", "training")
    return screen_table(f"{task.name}/{task.evaluation_split}", headings, rows)


def _cells(parameters: int, task: Task, own: dict[str, Any], metrics: dict[str, Any]) -> tuple[str, ...]:
    score, best = own[task.metric], metrics["teacher"][task.metric]
    return (
        f"{parameters / 1e6:.1f} M",
        f"{parameters * BYTES_OF_FP32 / 1e6:.1f}",
        "-" if score is None else f"{100 * score:.2f} %",
        f"{100 * score / best:.1f} %" if score is not None and best and best > 0 else "-",
        f"{own['seconds']:.0f} s" if "seconds" in own else "",
    )
