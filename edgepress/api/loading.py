"""Load a model from a name, a folder, or objects of transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from edgepress.api.data import data_folder
from edgepress.api.model import Model
from edgepress.core.console import Listener, reporting
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model
from edgepress.core.models import Weights
from edgepress.core.process import quiet_transformers
from edgepress.core.tasks import TaskOptions


def load(
    source: str | Path | PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    task: Any = None,
    data: str | Path | None = None,
    weights: Weights = "auto",
    label_column: str | Sequence[str] = (),
    text_columns: str | Sequence[str] = (),
    problem_type: str | None = None,
    split: str | None = None,
    label_map: Mapping[str, str] | None = None,
    null_threshold: float | None = None,
    labels: Sequence[str] = (),
    hypothesis_template: str | None = None,
    entailment_label: str | None = None,
    seed: int = 0,
    progress: Listener | None = None,
) -> Model:
    """Open a model with its tokenizer and task.

    Args:
        source: zoo name, Hub id or local folder; or a model of transformers, which is copied.
        tokenizer: of a model that is given as an object.
        task: what it is scored on: zoo task, data folder, `datasets.DatasetDict`, or a mapping of splits to
            pandas frames; None: what its manifest says.
        data: the data root, where the zoo's tasks are looked for.
        weights: where the bytes of a zoo model may come from.
        label_column: of the data; several where several labels are given at once.
        text_columns: of the data; two for pairs of texts.
        problem_type: of the data, where it is not plain.
        split: to score on.
        null_threshold: by how much the score of no answer to a question has to be above that of the best one.
        labels: classes that a model of entailment is asked about (zero-shot).
        hypothesis_template: how it is asked, with {} for a class.
        entailment_label: its label that means entailment, where its name does not say so.
        label_map: label of the data -> name or number of the model's class.
        seed: for random weights.
        progress: called with each step in words.

    Raises:
        EdgepressError: there is no such model or task, or the two do not fit.
    """
    options = TaskOptions(
        label_column=_names(label_column),
        text_columns=_names(text_columns),
        problem_type=problem_type,
        split=split,
        label_map=dict(label_map or {}),
        null_threshold=null_threshold,
        candidates=tuple(labels),
        hypothesis_template=hypothesis_template,
        entailment_label=entailment_label,
    )
    root = None if data is None else Path(data)
    with reporting(progress):
        if isinstance(source, PreTrainedModel):
            with TemporaryDirectory(prefix="edgepress-") as folder:
                named = Path(folder) / _name(source)
                _save(source, tokenizer, named)
                return Model(open_model(str(named), "auto", data_folder(task), root, seed, options=options))
        if tokenizer is not None:
            raise EdgepressError("a tokenizer belongs to a model that is given as an object", "leave it away")
        return Model(open_model(str(source), weights, data_folder(task), root, seed, options=options))


def _names(columns: str | Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _name(model: PreTrainedModel) -> str:
    """What it was loaded from, else what it is."""
    name = Path(str(getattr(model, "name_or_path", "") or model.config.model_type)).name
    return re.sub(r"[^\w.-]", "-", name) or "model"


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, folder: Path) -> None:
    if tokenizer is None:
        raise EdgepressError("a model of transformers has no tokenizer with it", "load(model, tokenizer)")
    with quiet_transformers():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
