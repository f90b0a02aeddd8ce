"""Train a classifier on a task, or an encoder to answer questions."""

from pathlib import Path

from compress.finetune.config import FinetuneConfig
from compress.step import StepResult, prepare, run_step, with_split
from compress.training.checkpoints import TechniqueRun
from compress.training.config import ClassifierOptions, check_vocabulary, passes, with_defaults
from compress.training.data import TrainingText, load_text, open_untrained
from compress.training.mistakes import label_tables
from compress.training.progress import seconds
from compress.training.question_answering import Answering, answering_data, load_reading, require_answering
from compress.training.scoring import (
    answer_scores,
    beside,
    judge,
    percent,
    reached,
    refuse_head,
    refuse_thresholds,
    threshold_table,
    threshold_tables,
)
from compress.training.trainer import task_data
from compress.training.trainer import train as train_in_place
from edgepress.core import console
from edgepress.core.architectures.head import HEAD, put_head
from edgepress.core.artifact import Step
from edgepress.core.labels import LabelMismatchError
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.models import FROM_SCRATCH_ONLY, find_model
from edgepress.core.own_split import task_name
from edgepress.core.pretrained import load_config
from edgepress.core.task_discovery import describe, find_task

QUESTIONS = "question_answering"


def run(config: FinetuneConfig) -> Path:
    """The command; the artifact's folder."""
    check_vocabulary(config.model, config.vocabulary)
    output = prepare(config, config.model, task_name(Path(config.task)))
    with with_split(config, config.model, output) as own:
        opened, text = open_for_training(own)
        return run_step(own, output, lambda run: train(opened, text, own, run))


def open_for_training(config: FinetuneConfig) -> tuple[OpenedModel, TrainingText | None]:
    """The model, and the texts that it learns from; no texts where the task is a SQuAD.

    Raises:
        EdgepressError: there is no such model or task, or the two do not fit.
    """
    if config.model in FROM_SCRATCH_ONLY and config.weights in (None, "random"):
        task = find_task(config.task, config.data, config.task_options)
        if task.problem_type == QUESTIONS:
            require_answering(config, config.model)
        console.step(describe(task))
        text = load_text(config, task)
        return open_untrained(config.model, task, config.data, config.seed, config.vocabulary, text), text
    opened = _open_pretrained(config)
    if opened.text_task.problem_type == QUESTIONS:
        return opened, None
    return opened, load_text(config, opened.text_task)


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


def train(
    opened: OpenedModel, text: TrainingText | None, options: ClassifierOptions, run: TechniqueRun
) -> StepResult:
    """Train a model on its task, in place: a classifier on texts, or, where there are none, on questions.

    Raises:
        EdgepressError: as the technique.
    """
    if text is None:
        return finetune_answering(opened, options, run)
    return finetune(opened, text, options, run)


def finetune(
    opened: OpenedModel, text: TrainingText, options: ClassifierOptions, run: TechniqueRun
) -> StepResult:
    """Train a classifier on the texts of its task, in place.

    Raises:
        EdgepressError: checkpoints of another run are where this one's would be.
    """
    task = opened.text_task
    refuse_thresholds(options, task)
    refuse_head(options, task)
    if options.head == "mlp":
        put_head(opened.model, options.seed)
    options = with_defaults(options, opened.schedule, opened.recorded_length)
    checkpoints = run.checkpoints(options, task, text, model=opened)
    console.step(f"training for {passes(options)}, learning rate {options.learning_rate:g}")
    length = options.length_for(opened)
    data = task_data(opened.tokenizer, task, text, length)
    trainer = train_in_place(opened.model, data, options, checkpoints)
    chosen = options.thresholds == "gmean"
    result = judge(trainer, data, opened.tokenizer, task, text, length, chosen)
    taken, metrics = result.seconds, result.scores
    by_class = label_tables(task, metrics)
    score = f"{percent(task, metrics)}{beside(task, metrics) if by_class else ''} on {result.evaluation_set}"
    return StepResult(
        opened=opened.after(Step("finetune", options.recorded(), taken, metrics), trained=True),
        score=metrics[task.metric],
        body=f"{opened.record().name} fine-tuned on {task.name}: {score}.\n{threshold_table(metrics)}"
        + "".join(f"\n{table.markdown()}" for table in by_class),
        shown=[f"{score}, {taken:.0f} s", *by_class, *threshold_tables(metrics)],
        thresholds=result.thresholds,
    )


def finetune_answering(opened: OpenedModel, options: ClassifierOptions, run: TechniqueRun) -> StepResult:
    """Train an encoder to find answers in texts, in place.

    Raises:
        EdgepressError: a file is not SQuAD's, or no answer stands whole in a window.
    """
    require_answering(options, opened.source.name)
    task = opened.text_task
    options = with_defaults(options, opened.schedule, opened.recorded_length)
    reading = load_reading(options, task, opened.tokenizer, options.length_for(opened))
    console.step(f"{len(reading.train.questions)} windows, {passes(options)}")
    data = answering_data(opened.tokenizer, reading)
    checkpoints = run.checkpoints(options, task, data, reading.contents, model=opened)
    trainer = train_in_place(Answering(opened.model), data, options, checkpoints)
    taken, metrics = seconds(trainer), reached(trainer, task.metric, "exact_match")
    said = f"{answer_scores(metrics)} on {task.name}"
    return StepResult(
        opened=opened.after(Step("finetune", options.recorded(), taken, metrics), trained=True),
        score=metrics[task.metric],
        body=f"{opened.record().name} fine-tuned on {task.name}: {said}.\n",
        shown=[f"{said}, {taken:.0f} s"],
    )
