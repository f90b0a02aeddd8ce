"""Training on labelled text: transformers' Trainer with this suite's data, metrics and checkpoints."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

from edgepress.console import step
from edgepress.environment import environment
from edgepress.metrics import score
from edgepress.splits import Examples
from edgepress.tasks import Task

BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
# Share of all steps between two checkpoints, each followed by an evaluation.
CHECKPOINT_EVERY = 0.1
# Batches whose rows are sorted by length together: enough for like lengths, few enough for chance.
POOLED_BATCHES = 50


@dataclass(frozen=True)
class TrainingPlan:
    """The hyperparameters of a training run."""

    epochs: float
    batch_size: int
    learning_rate: float
    warmup_ratio: float
    weight_decay: float
    max_length: int
    """Longer texts are cut [tokens]."""
    seed: int


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    splits: dict[str, Examples],
    plan: TrainingPlan,
    checkpoints: Path,
) -> Trainer:
    """Train `model` in place on `splits["train"]`, evaluating on `splits["evaluation"]` as it goes.

    Continues from the newest checkpoint below `checkpoints`, if there is one. Batches hold texts of
    like length; arithmetic is bf16 where the machine has it. Under `accelerate launch` the work is
    divided between the processes.

    Returns:
        the trainer, which knows whether this process is the one that writes results.
    """
    encoded = {name: _encode(tokenizer, examples, plan.max_length) for name, examples in splits.items()}
    trainer = _Trainer(
        model=model,
        args=_arguments(plan, checkpoints),
        train_dataset=encoded["train"],
        eval_dataset=encoded["evaluation"],
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
        compute_metrics=_metric(task),
    )
    newest = get_last_checkpoint(str(checkpoints))
    if newest is not None:
        step(f"resuming from step {newest.rpartition('-')[2]}")
    trainer.train(resume_from_checkpoint=newest)
    return trainer


class _Trainer(Trainer):
    """Trainer whose batches hold texts of like length, in random order.

    Its own `group_by_length` runs from the longest to the shortest batch, again and again: the model
    then swings with them, and it ends on the shortest texts.
    """

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> torch.utils.data.Sampler[int]:
        dataset: Any = train_dataset or self.train_dataset
        lengths = [len(ids) for ids in dataset["input_ids"]]
        return LengthSampler(lengths, self.args.train_batch_size, self.args.seed)


class LengthSampler(torch.utils.data.Sampler[int]):
    """Row numbers so ordered that batches hold rows of like length; another order each epoch."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
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


def _encode(tokenizer: PreTrainedTokenizerBase, examples: Examples, max_length: int) -> Dataset:
    columns = [list(column) for column in zip(*examples.texts, strict=True)]
    encoded = tokenizer(*columns, truncation=True, max_length=max_length)
    return Dataset.from_dict({**encoded, "labels": examples.labels})


def _arguments(plan: TrainingPlan, checkpoints: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        warmup_ratio=plan.warmup_ratio,
        weight_decay=plan.weight_decay,
        use_cpu=not _has_accelerator(),
        bf16=_has_bf16(),
        eval_strategy="steps",
        eval_steps=CHECKPOINT_EVERY,
        save_steps=CHECKPOINT_EVERY,
        save_total_limit=1,
        logging_steps=CHECKPOINT_EVERY,
        report_to=[],
        seed=plan.seed,
    )


def _has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _has_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return bool(BF16_FLAGS & set(environment().flags))


def _metric(task: Task) -> Callable[[EvalPrediction], dict[str, Any]]:
    def compute(prediction: EvalPrediction) -> dict[str, Any]:
        logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
        return {task.metric: score(task.metric, logits, labels, task.problem_type)}

    return compute
