"""Locks that let one process work at a time; a lock that a killed process left does not count."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from edgepress.core.errors import EdgepressError
from edgepress.core.files import writable_folder


@contextmanager
def exclusive_lock(folder: Path, busy: str, hint: str) -> Iterator[None]:
    """Keep every other process that asks with this folder out of the block.

    Args:
        folder: holds an empty file for each process at work; further ones are `noted` there.
        busy: what the error says, before the number of the process that is at work.
        hint: what to do then.

    Raises:
        EdgepressError: somebody is at work, be it this process.
    """
    _refuse(_alive(writable_folder(folder)), busy, hint)
    own = os.getpid()
    with noted(folder, own):
        # Two that begin in the same instant see each other here, and neither goes on.
        _refuse((pid for pid in _alive(folder) if pid != own), busy, hint)
        yield


@contextmanager
def noted(folder: Path, pid: int) -> Iterator[None]:
    """Count a process among those at work, in the block and, if this one is killed there, until it ends."""
    mark = folder / (_name(pid) or f"{pid}-ended")
    mark.touch()
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def _refuse(pids: Iterable[int], busy: str, hint: str) -> None:
    for pid in pids:
        raise EdgepressError(f"{busy} (process {pid})", hint)


def _alive(folder: Path) -> Iterator[int]:
    for mark in folder.glob("[0-9]*-*"):
        pid = int(mark.name.partition("-")[0])
        if mark.name == _name(pid):
            yield pid
        else:
            mark.unlink(missing_ok=True)


def _name(pid: int) -> str:
    """A process's number and when it began, for numbers are given again; "" once it has ended."""
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return "" if ended else f"{pid}-{process.create_time()}"
    except psutil.NoSuchProcess:
        return ""
