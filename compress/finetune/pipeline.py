"""The command as a pipeline: check, open, train, score, write."""

import shutil
from pathlib import Path

from compress.finetune.answering import finetune_answering
from compress.finetune.config import FinetuneConfig
from compress.training.answering import require_answering
from compress.training.checkpoints import checkpoint_folder
from compress.training.config import with_defaults
from compress.training.data import TrainingText, load_text
from compress.training.history import seconds
from compress.training.identity import run_identity
from compress.training.result import percent, write_trained
from compress.training.scoring import Judged, judge, show_thresholds, threshold_table
from compress.training.scratch import check_vocabulary, from_scratch, open_untrained
from compress.training.trainer import classification_data, train
from edgepress import console
from edgepress.architectures.head import HEAD, put_head
from edgepress.artifact import Step
from edgepress.files import refuse_existing
from edgepress.labels import LabelMismatchError
from edgepress.loading import OpenedModel, open_model
from edgepress.local_tasks import describe, find_task
from edgepress.models import find_model, short_name
from edgepress.pretrained import load_config
from edgepress.tasks import Task

QUESTIONS = "question_answering"


def finetune(config: FinetuneConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    config.check()
    check_vocabulary(config.model, config.vocabulary)
    output = config.output or Path("outputs") / f"{short_name(config.model)}-{short_name(config.task)}"
    refuse_existing(output, config.overwrite)
    opened, text = _open(config)
    task = opened.text_task
    if text is None:
        return finetune_answering(config, output, opened, task)
    if config.head == "mlp":
        put_head(opened.model, config.seed)
    config = with_defaults(config, opened.schedule, opened.recorded_length)
    console.step(f"training for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
    identity = run_identity(config, task, text, model=opened)
    with checkpoint_folder(config, output, identity) as checkpoints:
        length = config.length_for(opened)
        data = classification_data(opened.tokenizer, task, text, length)
        trainer = train(opened.model, data, config, checkpoints)
        judged = judge(trainer, data, task, text, length, config.thresholds == "gmean")
        if trainer.is_world_process_zero():
            _write(config, output, opened, task, judged, seconds(trainer))
            shutil.rmtree(checkpoints)
    return output


def _open(config: FinetuneConfig) -> tuple[OpenedModel, TrainingText | None]:
    """The model, and the texts that it learns from; no texts where the task is a SQuAD."""
    if from_scratch(config.model) and config.weights in (None, "random"):
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
    weights = config.weights or "pretrained"
    try:
        return open_model(
            config.model,
            weights,
            config.task,
            config.data,
            config.seed,
            options=config.task_options,
            new_head=_replaces_head(config),
            drops_others=True,
        )
    except LabelMismatchError as error:
        raise LabelMismatchError(str(error), f"{error.hint}; --head new trains a new classifier") from error


def _replaces_head(config: FinetuneConfig) -> bool:
    """Whether the classifier that the model may have is dropped; --head mlp keeps one of its own kind."""
    if config.head == "own":
        return False
    return config.head == "new" or not hasattr(load_config(find_model(config.model)), HEAD)


def _write(
    config: FinetuneConfig,
    output: Path,
    opened: OpenedModel,
    task: Task,
    judged: Judged,
    taken: float,
) -> None:
    score = f"{percent(task, judged.metrics)} on {judged.evaluation_set}"
    body = f"{opened.record().name} fine-tuned on {task.name}: {score}.\n{threshold_table(judged.metrics)}"
    step = Step("finetune", config.recorded(), taken, judged.metrics)
    write_trained(config, output, opened, task, step, "finetune", body, judged.thresholds)
    console.line(f"{output.name}: {score}, {taken:.0f} s")
    show_thresholds(judged.metrics)
