"""The teacher's logits: it reads every text once; what it said is kept on disk, and put beside rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel

from compress.distillation.array_cache import keep_array, read_array
from compress.distillation.options import DistillationOptions
from compress.training.data import TrainingText, encode_examples
from compress.training.machine import device, has_bf16, process_number, processes, wait
from compress.training.trainer import TrainingData
from edgepress.core import console
from edgepress.core.environment import environment
from edgepress.core.files import sha256
from edgepress.core.identity import digest_of, library_versions, model_identity
from edgepress.core.inputs import NAMES as INPUTS
from edgepress.core.loading import OpenedModel
from edgepress.core.outputs import model_logits
from edgepress.core.splits import Examples
from edgepress.core.tasks.kind import TEACHER_LOGITS, Places
from export.core.registry import open_runner

BATCH_SIZE = 64
LOGITS, CALLED = "logits", "the teacher's logits"
SHARD = 20_000
"""Texts whose logits are kept together."""


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
    teacher: OpenedModel, examples: Examples, max_length: int, bf16: bool = False, file: Path | None = None
) -> TextLogits:
    """Return the teacher's logits for each text, or for each window of one, float32.

    They are cached under a digest of all that they are made from (the teacher's weights, config and
    tokenizer, the texts and their longest length, arithmetic, libraries), so that they are computed anew
    where any of it changes. Those in a damaged file are computed anew too, with a warning. Texts are read in
    shards, each of which is kept once it is read: an interrupted labelling goes on, and several processes
    share the work.

    Args:
        teacher: reads the texts.
        examples: the texts; labels do not matter.
        max_length: what they are cut to [tokens].
        bf16: whether the teacher computes in bf16.
        file: the teacher's file that reads in its place; None: the model itself, in torch.
    """
    made_by = teacher_key(teacher, [max_length, bf16, "" if file is None else sha256(file)])
    shards = examples.parts(SHARD)
    with console.progress() as progress:
        bar = progress.add_task("the teacher reads", total=len(examples))
        reading = _Reading(teacher, max_length, bf16, file, made_by, partial(progress.advance, bar))
        mine = range(process_number(), len(shards), processes())
        found = {number: reading.logits(shards[number]) for number in mine}
        wait()  # what other processes read lies in the cache then, if that is one for all
        found |= {number: reading.logits(shards[number]) for number in {*range(len(shards))} - {*mine}}
    if kept := sum(len(shards[number]) for number, (_, was_kept) in found.items() if was_kept):
        of_all = f"{kept:,} of " if kept < len(examples) else ""
        console.step(f"{CALLED} of {of_all}{len(examples):,} rows: as computed before")
    return together([found[number][0] for number in range(len(shards))])


def teacher_key(teacher: OpenedModel, read: list[str | int]) -> str:
    """Digest of a teacher, the machine and libraries that it runs with, and of what it reads."""
    return digest_of([model_identity("teacher", teacher), device().type, library_versions(), *read])


def together(parts: Sequence[TextLogits]) -> TextLogits:
    """Join the logits of several parts of texts."""
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return [own for part in parts for own in part]


@dataclass(frozen=True)
class _Reading:
    """A teacher that reads texts, as far as nobody has kept what it says to them."""

    teacher: OpenedModel
    max_length: int
    bf16: bool
    file: Path | None
    made_by: str
    """Digest of all that decides the logits beside the texts."""
    advance: Callable[[int], None]
    """Called with the number of rows that were read."""

    def logits(self, examples: Examples) -> tuple[TextLogits, bool]:
        """Return the logits of a shard, and whether they were kept."""
        kind = self.teacher.kind
        places = kind.places(self.teacher.tokenizer, examples.texts, self.max_length)
        lengths = kind.taught(examples, places)
        key = digest_of([self.made_by, digest_of(examples.texts)])
        rows = read_array(LOGITS, key, sum(lengths), CALLED)
        kept = rows is not None
        if rows is None:
            rows = self._compute(examples, places)
            keep_array(LOGITS, key, rows, CALLED)
        else:
            self.advance(len(examples))
        return (rows if places is None else np.split(rows, np.cumsum(lengths)[:-1])), kept

    def _compute(self, examples: Examples, places: Places | None) -> np.ndarray:
        """Compute the logits of rows, or of their places one after another: (rows or places, labels)."""
        kind, tokenizer = self.teacher.kind, self.teacher.tokenizer
        rows = encode_examples(tokenizer, self.teacher.text_task, examples, self.max_length)
        read = (*INPUTS, *kind.read_columns)
        rows = rows.select_columns([name for name in rows.column_names if name in read])
        read_rows = rows.to_list()  # Arrow gives one by one slower than a small model reads them
        order = np.argsort([len(row["input_ids"]) for row in read_rows], kind="stable")
        raw: list[np.ndarray] = [np.empty(0)] * len(rows)
        with self._forward() as forward:
            for start in range(0, len(order), BATCH_SIZE):
                part = order[start : start + BATCH_SIZE]
                batch = kind.collator(tokenizer)([read_rows[row] for row in part])
                said = kind.by_row(forward(batch), len(part)).float().cpu().numpy()
                for row, logits in zip(part, said, strict=True):
                    raw[row] = logits
                self.advance(len(part))
        found = kind.gathered(raw, places)
        return np.stack(found) if places is None else np.concatenate(found)

    @contextmanager
    def _forward(self) -> Iterator[Callable[[Mapping[str, torch.Tensor]], torch.Tensor]]:
        """Give what reads a batch: the model, or its file."""
        if self.file is not None:
            with open_runner(self.file, environment().cores) as runner:
                yield lambda batch: torch.as_tensor(
                    runner({name: np.asarray(ids) for name, ids in batch.items()})
                )
            return
        model = _moved(self.teacher.model, device())
        yield lambda batch: model_logits(_forward(model, batch, self.bf16))
        _moved(model, torch.device("cpu"))


def _moved(model: Any, where: torch.device) -> PreTrainedModel:
    return model.to(where).eval()  # transformers' own `to` is typed as if it took a model


@torch.inference_mode()
def _forward(model: PreTrainedModel, batch: Mapping[str, torch.Tensor], bf16: bool) -> Any:
    inputs = {name: ids.to(device()) for name, ids in batch.items()}
    with torch.autocast(device().type, torch.bfloat16, enabled=bf16):
        return model(**inputs)


def read_by_teacher(
    config: DistillationOptions,
    teacher: OpenedModel,
    text: TrainingText,
    length: int,
    file: Path | None = None,
) -> TeacherLogits:
    """Logits of the rows; of the train split only where the student learns from them.

    Those of the evaluation split are what the teacher is judged by, and computed as its file computes.
    Texts are cut to `length` tokens.

    Args:
        config: says what is compared.
        teacher: reads the texts.
        text: the texts.
        length: what they are cut to [tokens].
        file: the teacher's file that reads those without labels in its place.
    """
    wanted = {"evaluation": text.evaluation}
    compared = config.response_weight and not config.compares_states
    if compared and len(text.train):
        wanted["train"] = text.train
    if compared and text.selection is not None:
        wanted["selection"] = text.selection
    said = {
        name: teacher_logits(teacher, examples, length, has_bf16() and name != "evaluation")
        for name, examples in wanted.items()
    }
    if text.transfer is not None and (compared or config.label_weight):  # its decisions are their labels
        said["transfer"] = teacher_logits(teacher, text.transfer, length, has_bf16(), file)
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
