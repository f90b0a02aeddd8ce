"""Rows that carry what the teacher said to them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from datasets import Dataset

from compress.distillation.logits import teacher_logits
from compress.distillation.options import DistillationOptions
from compress.training.arithmetic import has_bf16
from compress.training.data import TrainingText
from compress.training.trainer import TrainingData
from edgepress.core.loading import OpenedModel


def read_by_teacher(
    config: DistillationOptions, teacher: OpenedModel, text: TrainingText
) -> dict[str, np.ndarray]:
    """Logits of the rows; of the train split only where the student learns from them.

    Those of the evaluation split are what the teacher is judged by, and computed as its file computes.
    """
    length = config.length_for(teacher)
    wanted = {"evaluation": text.evaluation}
    if config.response_weight and not config.compares_states:
        wanted["train"] = text.train
        if text.selection is not None:
            wanted["selection"] = text.selection
    return {
        name: teacher_logits(teacher, examples, length, has_bf16() and name != "evaluation")
        for name, examples in wanted.items()
    }


def with_logits(
    config: DistillationOptions, data: TrainingData, logits: Mapping[str, np.ndarray]
) -> TrainingData:
    """The rows with the teacher's logits, where the student learns from them and the teacher does not run."""
    if not config.response_weight or config.compares_states:
        return data
    return replace(
        data,
        train=_with(data.train, logits["train"]),
        evaluation=_with(data.evaluation, logits["evaluation"]),
        selection=data.selection and _with(data.selection, logits["selection"]),
    )


def _with(rows: Dataset, logits: np.ndarray) -> Dataset:
    return rows.add_column("teacher_logits", list(logits))
