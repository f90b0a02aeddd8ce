"""A training's checkpoints: which are whole, of what run they are, and where it goes on from them."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from transformers import TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from compress.training.config import TrainingOptions
from compress.training.identity import Rows, RunIdentity, run_identity
from compress.training.machine import agreed, processes, wait
from edgepress.core import console
from edgepress.core.errors import EdgepressError
from edgepress.core.files import remove, sha256, writable_folder, write_whole
from edgepress.core.identity import in_words
from edgepress.core.loading import OpenedModel
from edgepress.core.locking import exclusive_lock
from edgepress.core.tasks import Task

STATE, WEIGHTS = "trainer_state.json", "pytorch_model.bin"
FINISHED = "finished"
IDENTITY = "identity.json"
RUNNING = ".running"
NUMBERED = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)")
AGAIN = "--restart begins again and removes them; another --output keeps them"


@dataclass(frozen=True)
class TrainingCheckpoint:
    """A checkpoint of a training."""

    folder: Path

    @property
    def step(self) -> int:
        """Number of optimizer steps before it was written."""
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
        """Name the flaw that forbids resuming from it; empty where there is none."""
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
    """List the checkpoints of all trainings of a run."""
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
        """Point the best checkpoint's path into the output folder, which may have been moved."""
        if state.best_model_checkpoint is not None:
            name = Path(state.best_model_checkpoint).name
            state.best_model_checkpoint = str(Path(str(args.output_dir)) / name)

    def on_save(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Mark a checkpoint as whole, after its last file."""
        wait()  # each process writes its own random state
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
            write_whole(folder / FINISHED, sha256(folder / STATE))


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


def _enter(stack: ExitStack, folder: Path, identity: RunIdentity, restart: bool) -> None:
    writable_folder(folder)
    busy = f"{folder}: a training for this output is still at work"
    stack.enter_context(
        exclusive_lock(folder / RUNNING, busy, "wait for it or end it, or name another --output")
    )
    stack.callback(_remove_unused, folder)
    if not restart and any(own.is_of_use for own in checkpoints_below(folder)):
        _require_same(folder, identity)
    else:  # what a kill cut as it was first written is nothing to lose
        for path in folder.iterdir():
            if path.name != RUNNING:
                remove(path)
    write_whole(folder / IDENTITY, json.dumps(asdict(identity), indent=2) + "\n")


def _remove_unused(folder: Path) -> None:
    if not any(checkpoints_below(folder)):
        shutil.rmtree(folder, ignore_errors=True)


def _require_same(folder: Path, identity: RunIdentity) -> None:
    before = _read(folder / IDENTITY)
    if before is None:
        raise EdgepressError(f"{folder} holds checkpoints, and no {IDENTITY} that says of what run", AGAIN)
    if found := identity.since(before):
        raise EdgepressError(f"{folder} holds checkpoints of another run: {in_words(found)}", AGAIN)


def _read(path: Path) -> RunIdentity | None:
    """What was written; None where it is missing, damaged, or another format."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = RunIdentity(content["decides"], content["typed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found.decides, dict) and isinstance(found.typed, dict) else None


class TechniqueRun(ExitStack):
    """A technique at work: where its trainings go on after an interruption."""

    def __init__(self, folder: Path, restart: bool = False) -> None:
        """Keep the folder of its checkpoints.

        Args:
            folder: for checkpoints; made when the first training begins.
            restart: whether checkpoints that are there already are removed.
        """
        super().__init__()
        self.folder = folder
        self._restart = restart

    def checkpoints(
        self,
        options: TrainingOptions,
        task: Task | None,
        rows: Rows,
        more: Mapping[str, Any] | None = None,
        **models: OpenedModel,
    ) -> Path:
        """The folder for checkpoints of trainings that are made from all this (`run_identity`).

        Raises:
            EdgepressError: checkpoints of another run are there, or another process is training there.
        """
        identity = run_identity(options, task, rows, more, **models)
        return self.enter_context(self._held(identity))

    @contextmanager
    def _held(self, identity: RunIdentity) -> Iterator[Path]:
        """The folder, where checkpoints stay if the run does not end well; the first of several processes
        decides for all of them.
        """
        with ExitStack() as stack:
            agreed(lambda: _enter(stack, self.folder, identity, self._restart))
            try:
                yield self.folder
            except KeyboardInterrupt:
                kept = any(own.is_of_use for own in checkpoints_below(self.folder))
                said = "resumes from the last checkpoint" if kept else "begins again"
                console.warn(f"the same command {said}")
                raise

    def clear(self) -> None:
        """Remove the checkpoints: what they were for is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
