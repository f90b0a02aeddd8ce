"""A training's checkpoints, and which of them is whole."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from transformers import TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from compress.training.launch import agreed, processes, wait
from edgepress.core import console
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256

STATE, WEIGHTS = "trainer_state.json", "pytorch_model.bin"
FINISHED = "finished"
NUMBERED = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)")
AGAIN = "--restart begins again and removes them; another --output keeps them"


@dataclass(frozen=True)
class TrainingCheckpoint:
    """One of a training's checkpoints."""

    folder: Path

    @property
    def step(self) -> int:
        """After which step of the optimizer it was written."""
        return int(self.folder.name.rpartition("-")[2])

    @property
    def state(self) -> TrainerState | None:
        """The trainer's own account, which it writes last; None where it is missing or damaged."""
        try:
            found = TrainerState.load_from_json(str(self.folder / STATE))
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        if self.was_finished and (self.folder / FINISHED).read_text() != sha256(self.folder / STATE):
            return None
        return found if found.global_step == self.step and isinstance(found.log_history, list) else None

    @property
    def was_finished(self) -> bool:
        """Whether all of it was written once; what is missing now was not cut by a kill."""
        return (self.folder / FINISHED).exists()

    @property
    def is_of_use(self) -> bool:
        """Whether there may be something to lose."""
        return self.was_finished or self.state is not None

    def flaw(self, model: torch.nn.Module, best: bool) -> str:
        """What keeps it from being resumed from; empty where nothing does."""
        state = self.state
        if state is None:
            return f"{STATE} is missing or damaged"
        count = processes()
        numbered = [f"rng_state_{rank}.pth" for rank in range(count)] if count > 1 else ["rng_state.pth"]
        for name in (WEIGHTS, "optimizer.pt", "scheduler.pt", *numbered):
            if not _is_whole(self.folder / name):
                return f"{name} is missing or damaged"
        kept = Path(state.best_model_checkpoint or self.folder).name
        if best and not _is_whole(self.folder.with_name(kept) / WEIGHTS):
            return f"the best weights, {kept}, are missing or damaged"
        return "" if _fits(self.folder / WEIGHTS, model) else "its weights have other shapes than the model"


def checkpoints_below(folder: Path) -> Iterator[TrainingCheckpoint]:
    """Those of all trainings of a run."""
    found = folder.rglob(f"{PREFIX_CHECKPOINT_DIR}-*")
    return (TrainingCheckpoint(path) for path in found if NUMBERED.fullmatch(path.name))


def newest_checkpoint(folder: Path, model: torch.nn.Module, best: bool) -> Path | None:
    """The newest checkpoint of a training that is whole; None where none was finished before a kill.

    Those that are newer and not whole are removed: a kill cut them as they were written, or something
    damaged them. In a launch of several processes the first one looks, and all of them have to ask.

    Args:
        folder: of the training.
        model: what is trained.
        best: whether the best weights are looked for among the checkpoints.

    Raises:
        EdgepressError: there were finished checkpoints, and all of them are damaged.
    """
    return agreed(lambda: _newest(folder, model, best))


def _newest(folder: Path, model: torch.nn.Module, best: bool) -> Path | None:
    found = sorted(checkpoints_below(folder), key=lambda own: -own.step)
    flawed: list[tuple[TrainingCheckpoint, str]] = []
    for own in found:
        flaw = own.flaw(model, best)
        if not flaw:
            _remove_flawed(flawed)
            return own.folder
        flawed.append((own, flaw))
    for own, flaw in flawed:
        if own.was_finished:
            raise EdgepressError(f"{folder} holds no whole checkpoint: {own.folder.name}: {flaw}", AGAIN)
    _remove_flawed(flawed)
    return None


def _remove_flawed(flawed: list[tuple[TrainingCheckpoint, str]]) -> None:
    for own, flaw in flawed:
        console.warn(f"{own.folder.name} is not whole and left out: {flaw}")
        shutil.rmtree(own.folder, ignore_errors=True)


class Marking(TrainerCallback):
    """Marks each checkpoint once all of it is written, and finds the best one where the folder was moved."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Before the first step, resumed or not."""
        if state.best_model_checkpoint is not None:
            name = Path(state.best_model_checkpoint).name
            state.best_model_checkpoint = str(Path(str(args.output_dir)) / name)

    def on_save(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Behind the last file of a checkpoint."""
        wait()  # each process writes its own random state
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
            partial = folder / f"{FINISHED}.partial"
            partial.write_text(sha256(folder / STATE))
            partial.replace(folder / FINISHED)


def _is_whole(path: Path) -> bool:
    """Whether torch wrote all of a file, and nothing changed it since."""
    try:
        with zipfile.ZipFile(path) as content:
            return content.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError):
        return False


def _fits(path: Path, model: torch.nn.Module) -> bool:
    """Whether weights have the model's shapes: what was cut out of a model may come out otherwise."""
    try:
        saved = torch.load(path, map_location="meta", weights_only=True)
    except (RuntimeError, UnpicklingError):
        return False
    own = {name: value.shape for name, value in model.state_dict().items()}
    return all(name not in own or value.shape == own[name] for name, value in saved.items())
