"""Train a model on a task."""

from pathlib import Path

from compress.finetune.config import FinetuneConfig
from compress.step import StepResult, prepare, refuse_untrained, run_step, with_split
from compress.training.checkpoints import TechniqueRun
from compress.training.config import ClassifierOptions, passes, with_defaults
from compress.training.data import TrainingText, load_text, open_untrained
from compress.training.mistakes import label_tables
from compress.training.scoring import (
    beside,
    dimension_tables,
    judge,
    on_page,
    percent,
    refuse_head,
    refuse_thresholds,
    threshold_tables,
)
from compress.training.trainer import task_data
from compress.training.trainer import train as train_in_place
from edgepress.core import console
from edgepress.core.architectures.head import HEAD, put_head
from edgepress.core.artifact import Step
from edgepress.core.errors import EdgepressError
from edgepress.core.labels import LabelMismatchError
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.matryoshka import record_dimensions, refuse_dimensions
from edgepress.core.models import FROM_SCRATCH_ONLY, find_model
from edgepress.core.pretrained import load_config
from edgepress.core.task_discovery import describe, find_task
from edgepress.core.tasks import Task
from edgepress.core.tasks.kinds import kind_of


def run(config: FinetuneConfig) -> Path:
    """The command; the artifact's folder."""
    output = prepare(config)
    with with_split(config, config.model, output) as own:
        opened, text = open_for_training(own)
        return run_step(own, output, lambda run: finetune(opened, text, own, run))


def open_for_training(config: FinetuneConfig) -> tuple[OpenedModel, TrainingText]:
    """The model, and the texts that it learns from.

    Raises:
        EdgepressError: there is no such model or task, or the two do not fit.
    """
    if config.model in FROM_SCRATCH_ONLY and config.weights in (None, "random"):
        task = find_task(config.task, config.data, config.task_options)
        console.step(describe(task))
        refuse_dimensions(config.dimensions, kind_of(task.problem_type), task.name, None)
        _refuse_null_threshold(config, task)
        text = load_text(config, task)
        return open_untrained(config.model, task, config.data, config.seed, config.vocabulary, text), text
    opened = _open_pretrained(config)
    refuse_untrained(opened)
    width = getattr(opened.model.config, "hidden_size", None)
    refuse_dimensions(config.dimensions, opened.kind, opened.source.name, width)
    _refuse_null_threshold(config, opened.text_task)
    return opened, load_text(config, opened.text_task)


def _refuse_null_threshold(config: FinetuneConfig, task: Task) -> None:
    """Raise where the threshold of no answer cannot be chosen, or only on the split that is reported."""
    if config.null_threshold != "auto":
        return
    kind = kind_of(task.problem_type)
    if not kind.abstains or kind.thresholds(task) is None:
        why = f"is for {kind.pipeline}" if not kind.abstains else "has an answer to every question"
        raise EdgepressError(f"--null-threshold auto: {task.name} {why}", "leave it away")
    if config.hold_out is None and task.selection_split is None:
        reported = f"{task.name}/{task.evaluation_split}, which is reported"
        raise EdgepressError(
            f"--null-threshold auto would be chosen on {reported}",
            "--hold-out 0.1 holds a part of the train split out for it",
        )


def _open_pretrained(config: FinetuneConfig) -> OpenedModel:
    # --head mlp keeps a classifier of its own kind.
    other = config.head == "mlp" and not hasattr(load_config(find_model(config.model)), HEAD)
    try:
        return open_model(
            config.model,
            config.weights or "pretrained",
            config.task,
            config.data,
            config.seed,
            options=config.task_options,
            new_head=config.head == "new" or other,
            drops_others=True,
        )
    except LabelMismatchError as error:
        raise LabelMismatchError(str(error), f"{error.hint}; --head new trains a new classifier") from error


def finetune(
    opened: OpenedModel, text: TrainingText, options: ClassifierOptions, run: TechniqueRun
) -> StepResult:
    """Train a model on the texts of its task, in place.

    Raises:
        EdgepressError: checkpoints of another run are where this one's would be.
    """
    task = opened.text_task
    refuse_thresholds(options, task)
    refuse_head(options, task)
    if options.head == "mlp":
        put_head(opened.model, options.seed)
    if opened.kind.free_width:
        record_dimensions(opened.model.config, options.dimensions)
    options = with_defaults(options, opened.schedule, opened.recorded_length)
    checkpoints = run.checkpoints(options, task, text, model=opened)
    console.step(f"training for {passes(options)}, learning rate {options.learning_rate:g}")
    length = options.length_for(opened)
    data = task_data(opened.tokenizer, task, text, length)
    trainer = train_in_place(opened.kind.trainable(opened.model), data, options, checkpoints)
    chosen, dimensions = options.chooses_thresholds, opened.kind.dimensions(opened.model.config)
    result = judge(trainer, data, opened.tokenizer, task, text, length, chosen, dimensions)
    taken, metrics = result.seconds, result.scores
    by_class, tables = label_tables(task, metrics), threshold_tables(metrics)
    tables += dimension_tables(task, {task.metric: metrics})
    more = beside(task, metrics) if by_class or not opened.kind.tabled else ""
    score = f"{percent(task, metrics)}{more} on {result.evaluation_set}"
    return StepResult(
        opened=opened.after(Step("finetune", options.recorded(), taken, metrics), trained=True),
        score=metrics[task.metric],
        body=f"{opened.record().name} fine-tuned on {task.name}: {score}.\n{on_page([*tables, *by_class])}",
        shown=[f"{score}, {taken:.0f} s", *by_class, *tables],
        thresholds=result.thresholds,
    )
