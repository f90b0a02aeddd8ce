"""Identity of a training run: the inputs that have to be the same for an interrupted one to be resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from datasets import Dataset

from compress.training.config import TrainingOptions
from compress.training.machine import device, has_bf16, processes
from edgepress.core.identity import Difference, differences, library_versions, model_identity, rows_identity
from edgepress.core.loading import OpenedModel
from edgepress.core.splits import Examples
from edgepress.core.tasks import Task


class Rows(Protocol):
    """Texts of a task, or encoded rows."""

    @property
    def train(self) -> Examples | Dataset: ...
    @property
    def watched(self) -> Examples | Dataset: ...


@dataclass(frozen=True)
class RunIdentity:
    """Inputs that decide the weights that a training ends with, and the flags that stand for some of them."""

    decides: Mapping[str, Any]
    typed: Mapping[str, Any]
    """Flags that change a training through contents: they explain a difference, and make none."""

    def since(self, before: RunIdentity) -> list[Difference]:
        """List the differences from an earlier run; none where only `typed` differs."""
        found = differences(before.decides, self.decides)
        return found + differences(before.typed, self.typed) if found else []


def run_identity(
    config: TrainingOptions,
    task: Task | None,
    rows: Rows,
    more: Mapping[str, Any] | None = None,
    **models: OpenedModel,
) -> RunIdentity:
    """Return the identity of a run as it stands before its first step.

    Args:
        config: the run's flags, with epochs and learning rate (`with_defaults`).
        task: that is trained for; None for a masked language model.
        rows: that are trained on. Evaluation rows count only where they choose the weights.
        more: further contents that change the training, by name.
        models: all that take part, by what they are called, as they are now.
    """
    command = type(config).__module__.split(".")[1]
    found = {"command": command, **config.deciding(), **rows_identity("train", rows.train), **(more or {})}
    if config.keep == "best":
        found |= rows_identity("evaluation", rows.watched)
    if task is not None:
        found |= {"classes": task.labels, "problem type": task.problem_type, "metric": task.metric}
    for name, opened in models.items():
        found |= model_identity(name, opened)
        found[f"longest input of the {name} [tokens]"] = config.length_for(opened)
    found |= {"arithmetic": _arithmetic(), "processes": processes(), "versions": library_versions()}
    return RunIdentity(_as_stored(found), _as_stored(config.seen_in_contents()))


def _arithmetic() -> str:
    """What the steps are computed in; several GPUs of one process share a batch."""
    kind = device().type
    several = f" x {torch.cuda.device_count()}" if kind == "cuda" and processes() == 1 else ""
    return f"{'bf16' if has_bf16() else 'fp32'} on {kind}{several}"


def _as_stored(content: Mapping[str, Any]) -> dict[str, Any]:
    """Convert to what JSON gives back: lists for tuples, texts for numbers as keys."""
    stored: dict[str, Any] = json.loads(json.dumps(content, default=str))
    return stored
