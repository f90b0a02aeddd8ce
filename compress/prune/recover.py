"""Training after a cut: on the task, taught by the unpruned model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, Trainer

from compress.prune.config import PruneConfig
from compress.prune.importance import Batch
from compress.teaching.objective import Distillation
from compress.teaching.rows import read_by_teacher, with_logits
from compress.training.data import TrainingText, load_text
from compress.training.history import seconds
from compress.training.scoring import Judged, judge
from compress.training.trainer import TrainingData, classification_data, train
from edgepress.loading import OpenedModel

BATCH_ROWS = 16


@dataclass(frozen=True)
class Lesson:
    """Texts of a task, and what the unpruned model says to them."""

    config: PruneConfig
    opened: OpenedModel
    text: TrainingText
    data: TrainingData
    teacher: PreTrainedModel | None
    """A copy of the unpruned model, only where hidden states are compared."""

    @classmethod
    def of(cls, config: PruneConfig, opened: OpenedModel) -> Lesson:
        """Before the first cut: the model is its own teacher.

        Raises:
            EdgepressError: no source has a split of the task.
        """
        task = opened.text_task
        text = load_text(config, task)
        length = min(config.max_length, opened.longest)
        data = classification_data(opened.tokenizer, task, text, length)
        if config.recovers:
            logits: dict[str, np.ndarray] = read_by_teacher(config, opened, text)
            data = with_logits(config, data, logits)
        teacher = copy.deepcopy(opened.model) if config.recovers and config.compares_states else None
        return cls(config, opened, text, data, teacher)

    def batches(self) -> Sequence[Batch]:
        """Texts with their labels, for importances that look at texts."""
        rows = self.data.train.shuffle(seed=self.config.seed)
        rows = rows.select(range(min(self.config.importance_samples, len(rows))))
        rows = rows.remove_columns([name for name in rows.column_names if name == "teacher_logits"])
        starts = range(0, len(rows), BATCH_ROWS)
        return [
            self.data.collator([rows[i] for i in range(s, min(s + BATCH_ROWS, len(rows)))]) for s in starts
        ]

    def recover(self, checkpoints: Path) -> Recovered:
        """Train the model as it is now, in place."""
        problem = self.opened.problem_type
        torch.manual_seed(self.config.seed)
        module = Distillation(self.opened.model, self.config, problem, self.teacher)
        trainer = train(module, self.data, self.config, checkpoints)
        chosen = self.opened.thresholds is not None
        judged = judge(trainer, self.data, self.opened.text_task, self.text, chosen)
        return Recovered(judged, seconds(trainer), trainer)


@dataclass(frozen=True)
class Recovered:
    """What a training after a cut reached."""

    judged: Judged
    seconds: float
    trainer: Trainer

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes results."""
        return bool(self.trainer.is_world_process_zero())

    @property
    def figures(self) -> dict[str, Any]:
        """Of a manifest."""
        return {**self.judged.metrics, "seconds": self.seconds}
