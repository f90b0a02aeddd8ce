"""A model that is its own teacher: what it says before it is compressed is what it learns from afterwards."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel, TrainerCallback

from compress.distillation.logits import read_by_teacher, with_logits
from compress.distillation.objective import Distillation
from compress.distillation.options import DistillationOptions
from compress.training.data import TrainingText
from compress.training.progress import seconds
from compress.training.scoring import TrainingResult, judge
from compress.training.trainer import TrainingData, classification_data, train
from edgepress.core.loading import OpenedModel

BATCH_ROWS = 16


@dataclass(frozen=True)
class SelfDistillation:
    """Texts of a task, and what the model said to them as it was."""

    options: DistillationOptions
    opened: OpenedModel
    text: TrainingText
    data: TrainingData
    """Its rows; another split of the texts may take their place."""
    logits: Mapping[str, np.ndarray]
    """What the model said to the texts, by split; empty where nothing is learned."""
    teacher: PreTrainedModel | None
    """A copy of the model as it was, only where hidden states are compared."""

    @classmethod
    def of(cls, options: DistillationOptions, opened: OpenedModel, text: TrainingText) -> SelfDistillation:
        """Before the model is compressed."""
        data = classification_data(opened.tokenizer, opened.text_task, text, options.length_for(opened))
        if not options.epochs:  # nothing is learned: texts are looked at
            return cls(options, opened, text, data, {}, None)
        logits = read_by_teacher(options, opened, text)
        teacher = copy.deepcopy(opened.model) if options.compares_states else None
        return cls(options, opened, text, data, logits, teacher)

    def batches(self, count: int) -> Sequence[Mapping[str, torch.Tensor]]:
        """`count` texts of the train split with their labels, drawn at random."""
        rows = self.data.train.shuffle(seed=self.options.seed)
        rows = rows.select(range(min(count, len(rows))))
        starts = range(0, len(rows), BATCH_ROWS)
        parts = (rows.select(range(start, min(start + BATCH_ROWS, len(rows)))) for start in starts)
        return [self.data.collator(list(part)) for part in parts]

    def train(self, checkpoints: Path, callbacks: Sequence[TrainerCallback] = ()) -> TrainingResult:
        """Train the model as it is now, in place."""
        torch.manual_seed(self.options.seed)  # whatever was trained before in this process
        module = Distillation(self.opened.model, self.options, self.opened.problem_type, self.teacher)
        taught = with_logits(self.options, self.data, self.logits)
        trainer = train(module, taught, self.options, checkpoints, callbacks)
        chosen, length = self.opened.thresholds is not None, self.options.length_for(self.opened)
        judged = judge(trainer, taught, self.opened.text_task, self.text, length, chosen)
        return TrainingResult(judged, seconds(trainer))
