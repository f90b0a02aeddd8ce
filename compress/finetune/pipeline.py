"""The command as a pipeline: check, open, train, score, write."""

import shutil
from pathlib import Path

from compress.finetune.answering import finetune_answering
from compress.finetune.config import FinetuneConfig
from compress.training.checkpoints import checkpoint_folder
from compress.training.config import with_schedule
from compress.training.data import TrainingText, load_text
from compress.training.history import seconds
from compress.training.result import percent, write_trained
from compress.training.scoring import Judged, judge, show_thresholds, threshold_table
from compress.training.scratch import check_vocabulary, from_scratch, open_untrained
from compress.training.trainer import classification_data, train
from edgepress import console
from edgepress.architectures.head import put_head
from edgepress.artifact import Step
from edgepress.files import refuse_existing
from edgepress.loading import OpenedModel, open_model
from edgepress.local_tasks import find_task
from edgepress.models import short_name
from edgepress.tasks import Task


def finetune(config: FinetuneConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    config.check()
    check_vocabulary(config.model, config.vocabulary)
    task = find_task(config.task, config.data)
    output = config.output or Path("outputs") / f"{short_name(config.model)}-{task.name}"
    refuse_existing(output, config.overwrite)
    if task.problem_type == "question_answering":
        return finetune_answering(config, output, task)
    text = load_text(config, task)
    opened = _open(config, text)
    if config.head == "mlp":
        put_head(opened.model, config.seed)
    config = with_schedule(config, opened.schedule)
    console.step(f"training for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
    with checkpoint_folder(config, output, opened.parent or "") as checkpoints:
        length = min(config.max_length, opened.longest)
        data = classification_data(opened.tokenizer, task, text, length)
        trainer = train(opened.model, data, config, checkpoints)
        judged = judge(trainer, data, task, text, config.thresholds == "gmean")
        if trainer.is_world_process_zero():
            _write(config, output, opened, task, judged, seconds(trainer))
            shutil.rmtree(checkpoints)
    return output


def _open(config: FinetuneConfig, text: TrainingText) -> OpenedModel:
    if from_scratch(config.model) and config.weights in (None, "random"):
        return open_untrained(config.model, config.task, config.data, config.seed, config.vocabulary, text)
    return open_model(config.model, config.weights or "pretrained", config.task, config.data, config.seed)


def _write(
    config: FinetuneConfig,
    output: Path,
    opened: OpenedModel,
    task: Task,
    judged: Judged,
    taken: float,
) -> None:
    score = f"{percent(task, judged.metrics)} on {task.name}/{task.evaluation_split}"
    body = f"{opened.record().name} fine-tuned on {task.name}: {score}.\n{threshold_table(judged.metrics)}"
    step = Step("finetune", config.identity(), taken, judged.metrics)
    write_trained(config, output, opened, task, step, "finetune", body, judged.thresholds)
    console.line(f"{output.name}: {score}, {taken:.0f} s")
    show_thresholds(judged.metrics)
