"""The command as a pipeline: check, open, train, score, write."""

import hashlib
import json
import shutil
import time
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

from transformers import Trainer

from compress.finetune.config import FinetuneConfig
from compress.training import TrainingPlan, train
from edgepress import console
from edgepress.artifact import Manifest, ModelRecord, Step, create_artifact
from edgepress.card import Card
from edgepress.errors import EdgepressError, require_flags
from edgepress.files import refuse_existing, writable_folder
from edgepress.loading import OpenedModel, open_model, save_model
from edgepress.local_tasks import find_task
from edgepress.models import MODELS, Schedule, short_name
from edgepress.splits import Examples, load_split
from edgepress.tasks import Task
from edgepress.vocabulary import train_tokenizer

SAME_RUN = "run.sha256"


def finetune(config: FinetuneConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    _check(config)
    task = find_task(config.task, config.data)
    output = config.output or Path("outputs") / f"{short_name(config.model)}-{task.name}"
    refuse_existing(output, config.overwrite)
    splits = _splits(config, task)
    opened = _open(config, splits["train"])
    config = _with_schedule(config, opened.schedule)
    console.step(f"training for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
    checkpoints = _checkpoint_folder(config, output)
    start = time.monotonic()
    try:
        trainer = train(opened.model, opened.tokenizer, task, splits, _plan(config, opened), checkpoints)
    except KeyboardInterrupt:
        console.warn("the same command resumes from the last checkpoint")
        raise
    if trainer.is_world_process_zero():
        _write(config, output, opened, task, trainer, time.monotonic() - start)
        shutil.rmtree(checkpoints)
    return output


def _check(config: FinetuneConfig) -> None:
    holds = {
        "--vocabulary": config.vocabulary >= 0,
        "--epochs": config.epochs is None or config.epochs > 0,
        "--batch-size": config.batch_size > 0,
        "--learning-rate": config.learning_rate is None or config.learning_rate > 0,
        "--warmup-ratio": 0 <= config.warmup_ratio <= 1,
        "--weight-decay": config.weight_decay >= 0,
        "--max-length": config.max_length > 0,
        "--eval-samples": config.eval_samples > 0,
        "--train-samples": config.train_samples is None or config.train_samples > 0,
    }
    require_flags(holds)
    if config.vocabulary and not _from_scratch(config):
        names = ", ".join(name for name, spec in MODELS.items() if not spec.pretrained)
        raise EdgepressError(
            f"{config.model} was trained with a vocabulary, which --vocabulary would take from it",
            f"leave it away, or name a model that is trained from scratch: {names}",
        )


def _from_scratch(config: FinetuneConfig) -> bool:
    return config.model in MODELS and not MODELS[config.model].pretrained


def _splits(config: FinetuneConfig, task: Task) -> dict[str, Examples]:
    training = load_split(task, "train", config.data)
    if config.train_samples is not None:
        training = training.sample(config.train_samples, config.seed)
    evaluation = load_split(task, task.evaluation_split, config.data)
    return {"train": training, "evaluation": evaluation.sample(config.eval_samples, config.seed)}


def _open(config: FinetuneConfig, training: Examples) -> OpenedModel:
    """The model, and for one that is trained from scratch the vocabulary that was asked for."""
    tokenizer = None
    if config.vocabulary:
        tokenizer = train_tokenizer(chain.from_iterable(training.texts), config.vocabulary)
    weights = config.weights or ("random" if _from_scratch(config) else "pretrained")
    opened = open_model(config.model, weights, config.task, config.data, config.seed, tokenizer)
    if _from_scratch(config):
        origin = "built from the train split" if tokenizer else "BERT's"
        console.step(f"vocabulary: {len(opened.tokenizer)} entries, {origin}")
    return opened


def _with_schedule(config: FinetuneConfig, schedule: Schedule) -> FinetuneConfig:
    return replace(
        config,
        epochs=config.epochs or schedule.epochs,
        learning_rate=config.learning_rate or schedule.learning_rate,
    )


def _plan(config: FinetuneConfig, opened: OpenedModel) -> TrainingPlan:
    assert config.epochs is not None
    assert config.learning_rate is not None
    return TrainingPlan(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        warmup_ratio=config.warmup_ratio,
        weight_decay=config.weight_decay,
        max_length=min(config.max_length, opened.longest),
        seed=config.seed,
    )


def _checkpoint_folder(config: FinetuneConfig, output: Path) -> Path:
    """A folder beside the output; what another configuration left there is not resumed from."""
    folder = output.with_name(f".{output.name}.training")
    digest = hashlib.sha256(json.dumps(_portable(config), sort_keys=True).encode()).hexdigest()
    mark = folder / SAME_RUN
    if folder.exists() and not (mark.exists() and mark.read_text() == digest):
        shutil.rmtree(folder, ignore_errors=True)  # other processes of the same launch do it as well
    writable_folder(folder)
    mark.write_text(digest)
    return folder


def _portable(config: FinetuneConfig) -> dict[str, Any]:
    content = asdict(config)
    for name in ("data", "output", "overwrite", "debug"):
        del content[name]
    return content


def _write(
    config: FinetuneConfig, output: Path, opened: OpenedModel, task: Task, trainer: Trainer, seconds: float
) -> None:
    score = float(trainer.evaluate()[f"eval_{task.metric}"])
    record = replace(opened.record(), weights="trained", head_trained=True)
    step = Step("finetune", _portable(config), seconds, {task.metric: score})
    with create_artifact(output, config.overwrite) as draft:
        save_model(opened, draft.folder)
        steps = (*opened.steps, step)
        draft.manifest = Manifest(output.name, record, task.name, config.seed, steps, opened.parent)
        card = _card(opened, record, task, output.name, score)
        (draft.folder / "README.md").write_text(card, encoding="utf-8")
    console.out.print(
        f"{output.name}: {task.metric} {100 * score:.2f} % on {task.name}/{task.evaluation_split}, "
        f"{seconds:.0f} s",
        highlight=False,
    )
    console.step(f"written: {output}")


def _card(opened: OpenedModel, record: ModelRecord, task: Task, name: str, score: float) -> str:
    return Card(
        name=name,
        record=record,
        task=task,
        relation="finetune",
        license=opened.license,
        scores={"fp32": score},
        body=f"{record.name} fine-tuned on {task.name}: {task.metric} {100 * score:.2f} % "
        f"on the {task.evaluation_split} split.\n",
    ).text()
