"""A model that is its own teacher: what it says before it is changed is what it learns from afterwards."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, Trainer, TrainerCallback

from compress.teaching.flags import TeachingFlags
from compress.teaching.objective import Distillation
from compress.teaching.rows import read_by_teacher, with_logits
from compress.training.data import TrainingText, load_text
from compress.training.history import seconds
from compress.training.scoring import Judged, judge
from compress.training.trainer import TrainingData, classification_data, train
from edgepress.errors import EdgepressError
from edgepress.loading import OpenedModel

BATCH_ROWS = 16


@dataclass(frozen=True)
class Lesson:
    """Texts of a task, and what the model said to them as it was."""

    config: TeachingFlags
    opened: OpenedModel
    text: TrainingText
    data: TrainingData
    """Its rows; another split of the texts may take their place."""
    logits: Mapping[str, np.ndarray]
    """What the model said to the texts, by split; empty where nothing is learned."""
    teacher: PreTrainedModel | None
    """A copy of the model as it was, only where hidden states are compared."""

    @classmethod
    def of(cls, config: TeachingFlags, opened: OpenedModel, text: TrainingText | None = None) -> Lesson:
        """Before the model is changed.

        Args:
            config: the command's flags.
            opened: the model.
            text: from `load_lesson_text`; None loads it.

        Raises:
            EdgepressError: as `load_lesson_text`.
        """
        text = text or load_lesson_text(config, opened)
        length = config.length_for(opened)
        data = classification_data(opened.tokenizer, opened.text_task, text, length)
        if not config.epochs:  # nothing is learned: texts are looked at
            return cls(config, opened, text, data, {}, None)
        logits = read_by_teacher(config, opened, text)
        teacher = copy.deepcopy(opened.model) if config.compares_states else None
        return cls(config, opened, text, data, logits, teacher)

    def batches(self, count: int) -> Sequence[Mapping[str, torch.Tensor]]:
        """`count` texts of the train split with their labels, drawn at random."""
        rows = self.data.train.shuffle(seed=self.config.seed)
        rows = rows.select(range(min(count, len(rows))))
        starts = range(0, len(rows), BATCH_ROWS)
        parts = (rows.select(range(start, min(start + BATCH_ROWS, len(rows)))) for start in starts)
        return [self.data.collator(list(part)) for part in parts]

    def learn(self, checkpoints: Path, callbacks: Sequence[TrainerCallback] = ()) -> Learned:
        """Train the model as it is now, in place."""
        torch.manual_seed(self.config.seed)  # whatever was trained before in this process
        module = Distillation(self.opened.model, self.config, self.opened.problem_type, self.teacher)
        taught = with_logits(self.config, self.data, self.logits)
        trainer = train(module, taught, self.config, checkpoints, callbacks)
        chosen = self.opened.thresholds is not None
        length = self.config.length_for(self.opened)
        judged = judge(trainer, taught, self.opened.text_task, self.text, length, chosen)
        return Learned(judged, seconds(trainer), trainer)


def load_lesson_text(config: TeachingFlags, opened: OpenedModel) -> TrainingText:
    """The texts of the task that a model was trained for.

    Raises:
        EdgepressError: nobody said what the model was trained for, or no source has a split of the task.
    """
    if opened.task is None:
        raise EdgepressError(f"nobody said what {opened.source.name} was trained for", "name its --task")
    return load_text(config, opened.task)


@dataclass(frozen=True)
class Learned:
    """What a training reached."""

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
