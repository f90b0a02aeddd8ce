"""The teacher's logits: it reads every text once; what it said is kept on disk, and put beside rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel

from compress.distillation.array_cache import cached_array
from compress.distillation.options import DistillationOptions
from compress.training.data import TrainingText, encode_examples
from compress.training.machine import device, has_bf16
from compress.training.trainer import TrainingData
from edgepress.core import console
from edgepress.core.identity import digest_of, library_versions, model_identity
from edgepress.core.inputs import NAMES as INPUTS
from edgepress.core.loading import OpenedModel
from edgepress.core.outputs import model_logits
from edgepress.core.splits import Examples
from edgepress.core.tasks.kind import TEACHER_LOGITS, Collator, Places

BATCH_SIZE = 64


TextLogits = np.ndarray | list[np.ndarray]
"""Logits of texts: (texts, labels); of each text (words, labels) where words have labels."""


@dataclass(frozen=True)
class TeacherLogits:
    """Logits that a teacher gave for the texts of its task."""

    splits: Mapping[str, TextLogits]
    """Split -> logits of each text that was read: (labels,), or (words, labels) where words have labels."""
    outputs: np.ndarray
    """Outputs for the evaluation split, as `TaskKind.collect` gives them."""


def teacher_logits(
    teacher: OpenedModel, examples: Examples, max_length: int, bf16: bool = False
) -> TextLogits:
    """Return the teacher's logits for each text, or for each window of one, float32.

    They are cached under a digest of all that they are made from (the teacher's weights, config and
    tokenizer, the texts and their longest length, arithmetic, libraries), so that they are computed anew
    where any of it changes. Those in a damaged file are computed anew too, with a warning.
    """
    places = teacher.kind.places(teacher.tokenizer, examples.texts, max_length)
    lengths = teacher.kind.taught(examples, places)
    key = teacher_key(teacher, [digest_of(examples.texts), max_length, bf16])
    rows = cached_array(
        "logits",
        key,
        sum(lengths),
        "the teacher's logits",
        lambda: _compute(teacher, examples, max_length, bf16, places),
    )
    return rows if places is None else np.split(rows, np.cumsum(lengths)[:-1])


def teacher_key(teacher: OpenedModel, read: list[str | int]) -> str:
    """Digest of a teacher, the machine and libraries that it runs with, and of what it reads."""
    return digest_of([model_identity("teacher", teacher), device().type, library_versions(), *read])


def _compute(
    teacher: OpenedModel, examples: Examples, max_length: int, bf16: bool, places: Places | None
) -> np.ndarray:
    """Compute the logits of all rows, those of their places one after another: (rows or places, labels)."""
    rows = encode_examples(teacher.tokenizer, teacher.text_task, examples, max_length)
    kind = teacher.kind
    read = (*INPUTS, *kind.read_columns)
    rows = rows.select_columns([name for name in rows.column_names if name in read])
    order = np.argsort([len(ids) for ids in rows["input_ids"]], kind="stable")
    model = _moved(teacher.model, device())
    raw: list[np.ndarray] = [np.empty(0)] * len(rows)
    for part, batch in _batches(kind.collator(teacher.tokenizer), rows, order):
        said = kind.by_row(model_logits(_forward(model, batch, bf16)), len(part)).float().cpu().numpy()
        for row, logits in zip(part, said, strict=True):
            raw[row] = logits
    _moved(model, torch.device("cpu"))
    found = kind.gathered(raw, places)
    return np.stack(found) if places is None else np.concatenate(found)


def _batches(
    collate: Collator, rows: Any, order: np.ndarray
) -> Iterator[tuple[np.ndarray, dict[str, torch.Tensor]]]:
    """Texts of like length together, with the rows that they are."""
    starts = range(0, len(order), BATCH_SIZE)
    with console.progress() as progress:
        for start in progress.track(starts, description="the teacher reads"):
            part = order[start : start + BATCH_SIZE]
            yield part, collate([rows[int(row)] for row in part])


def _moved(model: Any, where: torch.device) -> PreTrainedModel:
    return model.to(where).eval()  # transformers' own `to` is typed as if it took a model


@torch.inference_mode()
def _forward(model: PreTrainedModel, batch: dict[str, torch.Tensor], bf16: bool) -> Any:
    inputs = {name: ids.to(device()) for name, ids in batch.items()}
    with torch.autocast(device().type, torch.bfloat16, enabled=bf16):
        return model(**inputs)


def read_by_teacher(
    config: DistillationOptions, teacher: OpenedModel, text: TrainingText, length: int
) -> TeacherLogits:
    """Logits of the rows; of the train split only where the student learns from them.

    Those of the evaluation split are what the teacher is judged by, and computed as its file computes.
    Texts are cut to `length` tokens.
    """
    wanted = {"evaluation": text.evaluation}
    if config.response_weight and not config.compares_states:
        wanted["train"] = text.train
        if text.selection is not None:
            wanted["selection"] = text.selection
    said = {
        name: teacher_logits(teacher, examples, length, has_bf16() and name != "evaluation")
        for name, examples in wanted.items()
    }
    places = teacher.kind.places(teacher.tokenizer, text.evaluation.texts, length)
    outputs = teacher.kind.of_gathered(list(said["evaluation"]), places, teacher.labels)
    return TeacherLogits(said, outputs)


def fitted(splits: Mapping[str, TextLogits], width: int) -> Mapping[str, TextLogits]:
    """A teacher's vectors, by split, for a student of another width: angles stay as near as they can.

    Wider ones are turned so that the first `width` numbers hold the most of those of the train split
    (principal components, not centred, for cosines are of the vectors themselves), narrower ones get zeros.
    """
    if "train" not in splits or (own := np.asarray(splits["train"][0]).shape[-1]) == width:
        return splits
    turn = np.eye(own, width, dtype=np.float32)
    if own > width:
        vectors = np.concatenate([np.asarray(each).reshape(-1, own) for each in splits["train"]])
        _, found = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
        turn = found[:, ::-1][:, :width].astype(np.float32)
    return {name: [each @ turn for each in rows] for name, rows in splits.items()}


def with_logits(
    config: DistillationOptions, data: TrainingData, logits: Mapping[str, TextLogits]
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


def _with(rows: Dataset, logits: TextLogits) -> Dataset:
    return rows.add_column(TEACHER_LOGITS, [own.ravel() for own in logits])
