"""transformers' Trainer with this suite's batches, arithmetic and checkpoints."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from pyarrow.compute import list_value_length
from torch import nn
from transformers import (
    EvalPrediction,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from compress.training.checkpoints import AGAIN, WEIGHTS, Marking, newest_checkpoint
from compress.training.config import TrainingOptions
from compress.training.data import TrainingText, encode_examples
from compress.training.machine import has_accelerator, has_bf16, keep_freed_memory
from compress.training.progress import TrainingProgress
from compress.training.schedule import asked_callbacks, slower_below, step_limit, trained_epochs
from edgepress.core.console import step
from edgepress.core.errors import EdgepressError
from edgepress.core.memory import LONG, peak_note
from edgepress.core.metrics import score
from edgepress.core.process import quiet_transformers
from edgepress.core.tasks import Task
from edgepress.core.tasks.kind import EvaluatedRows, Places
from edgepress.core.tasks.kinds import kind_of

# Batches whose rows are sorted by length together: enough for like lengths, few enough for chance.
POOLED_BATCHES = 50
NEVER = 10**9
LESS_MEMORY = "--batch-size 1 with --gradient-accumulation takes least memory"
# What the Trainer compares an undefined score as: any other is better.
UNDEFINED = float("-inf")

SAVES_AS_TOLD = "save_safetensors" in {entry.name for entry in fields(TrainingArguments)}
"""Whether this is transformers 4, whose Trainer can be told to save weights as torch does."""

Metrics = Callable[[EvalPrediction], dict[str, Any]]


@dataclass(frozen=True)
class TrainingData:
    """Encoded rows, how they become a batch, and how predictions are scored."""

    train: Dataset
    evaluation: Dataset
    collator: Callable[[list[dict[str, Any]]], dict[str, Any]]
    metrics: Metrics | None = None
    metric: str = "loss"
    """What the best weights are best by: one of `metrics`, or the loss."""
    selection: Dataset | None = None
    """Texts that choices are made on; None: those that the model is judged on."""
    curve_rows: int | None = None
    """Maximum number of rows used for learning curves; None uses all."""

    @property
    def watched(self) -> Dataset:
        """Rows that learning curves are of."""
        rows = self.selection or self.evaluation
        if self.curve_rows is None or len(rows) <= self.curve_rows:
            return rows
        drawn = np.random.default_rng(0).choice(len(rows), self.curve_rows, replace=False)
        return rows.select(np.sort(drawn))


def task_data(
    tokenizer: PreTrainedTokenizerBase, task: Task, text: TrainingText, max_length: int
) -> TrainingData:
    """A task's text for a model; longer texts are cut to `max_length` tokens."""
    kind = kind_of(task.problem_type)
    train, evaluation = (
        encode_examples(tokenizer, task, own, max_length) for own in (text.train, text.evaluation)
    )
    kind.require_learnable(task, train, max_length)
    selection = text.selection and encode_examples(tokenizer, task, text.selection, max_length)
    data = TrainingData(
        train=train,
        evaluation=evaluation,
        collator=kind.collator(tokenizer),
        metric=task.metric,
        selection=selection,
        curve_rows=kind.curve_rows,
    )
    whole = kind.curve_rows is None
    places = kind.places(tokenizer, text.watched.texts, max_length) if whole else None
    return replace(data, metrics=_metrics(task, data.watched, places, text.watched.labels))


def train(
    model: nn.Module,
    data: TrainingData,
    config: TrainingOptions,
    checkpoints: Path,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trainer:
    """Train `model` in place, evaluating as it goes.

    Continues from the newest checkpoint below `checkpoints`, if there is one. Batches hold texts of
    like length; arithmetic is bf16 where the machine has it. Under `accelerate launch` the work is
    divided between the processes.

    Args:
        model: returns a loss, and for rows with `labels` the logits.
        data: every column of its rows is an input of the model.
        config: with epochs and learning rate (`with_defaults`).
        checkpoints: a folder for this training alone.
        callbacks: told of each step, besides.

    Returns:
        the trainer, which knows whether this process is the one that writes results.

    Raises:
        EdgepressError: no checkpoint can be resumed from.
    """
    keep_freed_memory()
    longest = int(_lengths(data.train).max(initial=0))
    if longest > LONG:
        step(f"texts of up to {longest:,} tokens, {config.batch_size} a batch: {LESS_MEMORY}")
    progress = TrainingProgress(trained_epochs(config, len(data.train)))
    # A checkpoint is marked as whole behind all that is written into it.
    own = [progress, *asked_callbacks(config), Marking(), *callbacks]
    trainer = _trainer(model, data, config, checkpoints, own)
    newest = newest_checkpoint(checkpoints, model, config.keep == "best")
    if newest is not None:
        step(f"resuming from step {newest.name.rpartition('-')[2]}")
    with progress.bar, progress.interruptible(), quiet_transformers(), warnings.catch_warnings():
        # Checkpoints have numbers; that two were written at one moment of the disk's clock is no matter.
        warnings.filterwarnings("ignore", message="mtime may not be reliable")
        try:
            trainer.train(resume_from_checkpoint=str(newest) if newest else None)
        except UnpicklingError as error:
            raise EdgepressError(f"{newest} holds more than tensors, and is not opened", AGAIN) from error
    if said := peak_note(longest):
        step(said)
    return trainer


def loss_before(model: nn.Module, data: TrainingData, config: TrainingOptions, checkpoints: Path) -> float:
    """The evaluation loss of a model as it is; in a launch of several processes all of them have to ask."""
    return float(_trainer(model, data, config, checkpoints).evaluate()["eval_loss"])


def _trainer(
    model: nn.Module,
    data: TrainingData,
    config: TrainingOptions,
    checkpoints: Path,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trainer:
    return LengthTrainer(
        model=model,
        args=_arguments(config, checkpoints, data.metric, step_limit(config, len(data.train))),
        train_dataset=data.train,
        eval_dataset=data.watched,
        data_collator=data.collator,
        compute_metrics=data.metrics,
        callbacks=list(callbacks),
        layer_decay=config.layer_decay,
    )


class LengthSampler(torch.utils.data.Sampler[int]):
    """Row numbers so ordered that batches hold rows of like length; another order each epoch."""

    def __init__(self, lengths: Sequence[int] | np.ndarray, batch_size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch, so that a resumed run goes through the same order."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self._seed, self._epoch))
        rows = rng.permutation(len(self))
        pool = self._batch_size * POOLED_BATCHES
        pools = [rows[start : start + pool] for start in range(0, len(rows), pool)]
        ordered = np.concatenate([part[np.argsort(self._lengths[part], kind="stable")] for part in pools])
        starts = np.arange(0, len(ordered), self._batch_size)
        # A batch that is not full stays the last: anywhere else it would shift all that follow.
        whole = starts[: len(ordered) // self._batch_size]
        order = [*rng.permutation(whole), *starts[len(whole) :]]
        for start in order:
            yield from ordered[start : start + self._batch_size].tolist()


class LengthTrainer(Trainer):
    """Trainer whose batches hold texts of like length, in random order.

    Its own `group_by_length` runs from the longest to the shortest batch, again and again: the model
    then swings with them, and it ends on the shortest texts.
    """

    def __init__(self, layer_decay: float | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._layer_decay = layer_decay
        self.remove_callback(PrinterCallback)  # it prints each log entry to stdout, among the answers
        # Each batch's loss is a mean; a step over several batches takes the mean of theirs.
        self.model_accepts_loss_kwargs = False

    def create_optimizer(self, *arguments: Any) -> torch.optim.Optimizer:
        """Make the optimizer, in which lower layers learn more slowly where the flags say so."""
        fresh = self.optimizer is None
        optimizer: torch.optim.Optimizer = super().create_optimizer(*arguments)
        if fresh and self._layer_decay is not None:
            assert self.model is not None
            slower_below(optimizer, self.model, self._layer_decay)
        return optimizer

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Write weights as torch does: safetensors refuses those that a head shares with the embeddings."""
        if SAVES_AS_TOLD:
            super()._save(output_dir, state_dict)
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        weights = state_dict or self.accelerator.unwrap_model(self.model).state_dict()
        torch.save(weights, folder / WEIGHTS)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> torch.utils.data.Sampler[int]:
        lengths = _lengths(train_dataset or self.train_dataset)
        return LengthSampler(lengths, self.args.train_batch_size, self.args.seed)

    def _get_eval_sampler(self, eval_dataset: Dataset) -> Any:
        return by_length(eval_dataset).tolist()


@dataclass
class StepArguments(TrainingArguments):
    """TrainingArguments whose CPU has no number, and whose warm-up is a share of the steps.

    In a launch of several processes accelerate calls it `cpu:0`, to which torch restores no checkpoint. The
    share was `warmup_ratio` in transformers 4, and is a `warmup_steps` below 1 in 5.
    """

    warmup_share: float = 0.0

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """Number of steps in which the learning rate rises."""
        return math.ceil(num_training_steps * self.warmup_share)

    @property
    def device(self) -> torch.device:
        """Device that the model is trained on."""
        found = super().device
        return torch.device("cpu") if found.type == "cpu" else found


def compute_as_written(trainer: Trainer) -> None:
    """Let the trained model compute in fp32, as whoever opens its file does, and not in bf16."""
    trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_fp32_wrapper=False)
    trainer.use_cpu_amp = False  # type: ignore[attr-defined]


def logits_of(trainer: Trainer, rows: Dataset, logged: bool = False) -> np.ndarray:
    """Return the trained model's logits, in the order of the rows: (rows, labels) or (rows, tokens, labels).

    Args:
        trainer: holds the model.
        rows: with labels.
        logged: whether their loss and metric end the learning curve.
    """
    known = trainer.compute_metrics
    trainer.compute_metrics = known if logged else None  # that of the rows that learning curves are of
    answer = trainer.predict(rows, metric_key_prefix="eval")
    trainer.compute_metrics = known
    if logged:
        trainer.log(answer.metrics or {})
    return in_order(rows, answer.predictions)


def in_order(rows: Any, found: Any) -> np.ndarray:
    """Restore the order of the rows in the outputs of a Trainer, which takes rows `by_length`."""
    ordered = np.empty_like(np.asarray(found))
    ordered[by_length(rows)] = found
    return ordered


def by_length(rows: Any) -> np.ndarray:
    """Row numbers from the shortest text to the longest: least padding."""
    return np.argsort(_lengths(rows), kind="stable")


def _lengths(rows: Dataset) -> np.ndarray:
    """Number of tokens of each row."""
    ids = rows.select_columns(["input_ids"]).with_format("arrow")[:]["input_ids"]
    return np.asarray(list_value_length(ids))


def _arguments(config: TrainingOptions, checkpoints: Path, metric: str, max_steps: int) -> TrainingArguments:
    assert config.epochs is not None
    assert config.learning_rate is not None
    best = config.keep == "best"
    # transformers 4 has to be told; 5 saves as `_save` of our Trainer does.
    pickled: dict[str, Any] = {"save_safetensors": False} if SAVES_AS_TOLD else {}
    return StepArguments(
        output_dir=str(checkpoints),
        num_train_epochs=config.epochs,
        max_steps=max_steps,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate,
        warmup_share=config.warmup_ratio,
        weight_decay=config.weight_decay,
        use_cpu=not has_accelerator(),
        bf16=has_bf16(),
        # `TrainingProgress` says when; only the best of steps are looked for.
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=NEVER,
        save_steps=NEVER,
        logging_strategy="no",
        save_total_limit=1,
        load_best_model_at_end=best,
        metric_for_best_model=metric if best else None,
        greater_is_better=metric != "loss" if best else None,
        **pickled,
        remove_unused_columns=False,  # the data holds what the model takes, and nothing else
        label_names=["labels"],
        report_to=[],
        disable_tqdm=True,  # `TrainingProgress` shows one bar for all
        seed=config.seed,
    )


def _metrics(task: Task, rows: Dataset, places: Places | None, truth: np.ndarray) -> Metrics:
    kind, thresholds = kind_of(task.problem_type), kind_of(task.problem_type).thresholds(task)

    def compute(prediction: EvalPrediction) -> dict[str, Any]:
        logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
        if kind.curve_rows is None:  # a score is of rows together
            logits, labels = in_order(rows, logits), in_order(rows, labels)
        found = kind.trained_outputs(EvaluatedRows(logits, labels, task.labels, places, truth))
        value = score(task.metric, *found, task.problem_type, thresholds)
        return {task.metric: UNDEFINED if value is None else value}

    return compute
