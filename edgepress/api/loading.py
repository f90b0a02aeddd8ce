"""Load a model from a name, a folder, or objects of transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

from transformers import PreTrainedModel, PreTrainedTokenizerBase
from typing_extensions import Unpack

from edgepress.api.data import data_folder
from edgepress.api.model import Model
from edgepress.api.options import make_options
from edgepress.core.console import Listener, reporting
from edgepress.core.errors import EdgepressError, unknown_name
from edgepress.core.loading import open_model
from edgepress.core.models import Weights
from edgepress.core.process import quiet_transformers
from edgepress.core.sentence_folder import PoolingMode
from edgepress.core.tasks import TaskOptions


class DataOptions(TypedDict, total=False):
    """What `load` is told of the data, where they do not say it themselves."""

    label_column: str | Sequence[str]
    """Column of the label; several where several labels are given at once."""
    text_columns: str | Sequence[str]
    """Column of the text; two for pairs of texts."""
    problem_type: str | None
    split: str | None
    """Split to score on."""
    label_map: Mapping[str, str] | None
    """Label of the data -> name or number of the model's class."""
    null_threshold: float | None
    """Least lead of the score of no answer to a question over that of the best one."""
    hypothesis_template: str | None
    """How a model of entailment is asked about a class, with {} for it."""
    entailment_label: str | None
    """The model's label that means entailment, where its name does not say so."""
    pooling: PoolingMode | None
    """Pooling of token states, of a model that gives vectors."""


def _require_one_source_of_classes(labels: Sequence[str], task: Any) -> None:
    if labels and task is not None:
        raise EdgepressError(
            "labels= are classes that a model is asked about, and task= has its own",
            "leave one of the two away",
        )


def load(
    source: str | Path | PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    task: Any = None,
    data: str | Path | None = None,
    weights: Weights = "auto",
    labels: Sequence[str] = (),
    seed: int = 0,
    progress: Listener | None = None,
    **options: Unpack[DataOptions],
) -> Model:
    """Open a model with its tokenizer and task.

    Args:
        source: zoo name, Hub id or local folder; or a model of transformers, which is copied.
        tokenizer: of a model that is given as an object.
        task: what it is scored on: zoo task, data folder, `datasets.DatasetDict`, or a mapping of splits to
            pandas frames; None: what its manifest says.
        data: the data root, where the zoo's tasks are looked for.
        weights: where the bytes of a zoo model may come from.
        labels: classes that a model of entailment is asked about (zero-shot), in place of its own task.
        seed: for random weights.
        progress: called with each step in words.
        options: keys of `edgepress.api.loading.DataOptions`, such as `label_column`, `split`.

    Raises:
        EdgepressError: there is no such model, task or option, or they do not fit.
    """
    known = DataOptions.__annotations__
    if others := options.keys() - known.keys():
        raise unknown_name("option", min(others), known)
    given = {name: value for name, value in options.items() if value is not None}
    root = None if data is None else Path(data)
    _require_one_source_of_classes(labels, task)
    with reporting(progress):
        asked = make_options(TaskOptions, given, {"candidates": tuple(labels)})
        if isinstance(source, PreTrainedModel):
            with TemporaryDirectory(prefix="edgepress-") as folder:
                named = Path(folder) / _name(source)
                _save(source, tokenizer, named)
                return Model(open_model(str(named), "auto", data_folder(task), root, seed, options=asked))
        if tokenizer is not None:
            raise EdgepressError("a tokenizer belongs to a model that is given as an object", "leave it away")
        own, without_task = data_folder(task), bool(labels)
        return Model(
            open_model(str(source), weights, own, root, seed, options=asked, without_task=without_task)
        )


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
