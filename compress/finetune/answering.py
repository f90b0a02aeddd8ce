"""Fine-tuning on a SQuAD: as the pipeline, of windows and spans."""

import shutil
from pathlib import Path

from compress.finetune.config import FinetuneConfig
from compress.training.answering import Answering, answering_data, load_reading, require_answering
from compress.training.checkpoints import checkpoint_folder
from compress.training.config import with_defaults
from compress.training.history import seconds
from compress.training.identity import run_identity
from compress.training.result import answer_scores, reached, write_trained
from compress.training.trainer import train
from edgepress import console
from edgepress.artifact import Step
from edgepress.loading import OpenedModel
from edgepress.tasks import Task


def finetune_answering(config: FinetuneConfig, output: Path, opened: OpenedModel, task: Task) -> Path:
    """Train, score and write.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    require_answering(config, config.model)
    config = with_defaults(config, opened.schedule, opened.recorded_length)
    reading = load_reading(config, task, opened.tokenizer, config.length_for(opened))
    console.step(f"{len(reading.train.questions)} windows, {config.epochs:g} epochs")
    data = answering_data(opened.tokenizer, reading)
    identity = run_identity(config, task, data, reading.contents, model=opened)
    with checkpoint_folder(config, output, identity) as checkpoints:
        trainer = train(Answering(opened.model), data, config, checkpoints)
        taken, metrics = seconds(trainer), reached(trainer, task.metric, "exact_match")
        if trainer.is_world_process_zero():
            said = f"{answer_scores(metrics)} on {task.name}"
            step = Step("finetune", config.recorded(), taken, metrics)
            body = f"{opened.record().name} fine-tuned on {task.name}: {said}.\n"
            write_trained(config, output, opened, task, step, "finetune", body)
            console.line(f"{output.name}: {said}, {taken:.0f} s")
            shutil.rmtree(checkpoints)
    return output
