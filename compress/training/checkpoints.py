"""Where a run that was interrupted continues, and whether it is the same run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from compress.training.identity import RunIdentity
from compress.training.launch import agreed
from compress.training.saved import AGAIN, checkpoints_below
from edgepress.core import console
from edgepress.core.errors import EdgepressError
from edgepress.core.files import remove, writable_folder
from edgepress.core.identity import in_words
from edgepress.core.locking import alone

IDENTITY = "identity.json"
RUNNING = ".running"


@contextmanager
def checkpoint_folder(folder: Path, restart: bool, identity: RunIdentity) -> Iterator[Path]:
    """Hold a folder for the run's checkpoints; they stay where the run does not end well.

    In a launch of several processes the first one decides for all of them.

    Args:
        folder: made here.
        restart: whether checkpoints that are there already are removed.
        identity: what the run is made from.

    Raises:
        EdgepressError: checkpoints of another run are there, or another process is training there.
    """
    with ExitStack() as stack:
        agreed(lambda: _enter(stack, folder, identity, restart))
        try:
            yield folder
        except KeyboardInterrupt:
            kept = any(checkpoints_below(folder))
            console.warn(f"the same command {'resumes from the last checkpoint' if kept else 'begins again'}")
            raise


def _enter(stack: ExitStack, folder: Path, identity: RunIdentity, restart: bool) -> None:
    writable_folder(folder)
    busy = f"{folder}: the same command is still at work"
    stack.enter_context(alone(folder / RUNNING, busy, "wait for it or end it, or name another --output"))
    stack.callback(_remove_unused, folder)
    if not restart and any(own.is_of_use for own in checkpoints_below(folder)):
        _require_same(folder, identity)
    else:  # what a kill cut as it was first written is nothing to lose
        for path in folder.iterdir():
            if path.name != RUNNING:
                remove(path)
    _write(folder / IDENTITY, identity)


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


def _write(path: Path, identity: RunIdentity) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(identity), indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
