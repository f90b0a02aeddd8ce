"""Stopping a command: by Ctrl-C at a step of its training, or by a kill in the middle of a file."""

import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from compress.training.trainer import LengthTrainer
from edgepress.core.artifact import open_artifact
from edgepress.core.subcommand import Subcommand


@contextmanager
def signal_at(step: int, number: int = signal.SIGINT) -> Iterator[None]:
    """Send a signal to this process in a step of the optimizer, counted from 1 over all trainings."""
    whole, left = LengthTrainer.training_step, [step]
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)

    def training_step(self, *args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(number)
        return whole(self, *args, **kwargs)

    LengthTrainer.training_step = training_step
    try:
        yield
    finally:
        LengthTrainer.training_step = whole
        signal.signal(signal.SIGINT, deaf)


def stop(cli: Callable, step: int, *typed: object, number: int = signal.SIGINT) -> str:
    """Run a command until a signal at a step; gives what it said."""
    with signal_at(step, number):
        stopped = cli(*typed)
    assert stopped.code == 128 + number, stopped.err
    return stopped.err


def killed_writing(number: int, module: str, *arguments: object) -> None:
    """Run a command in a process of its own that is killed in the middle of torch's n-th file, from 0."""
    typed = [str(number), module, *map(str, arguments)]
    assert Subcommand("interrupting", typed).wait() == -signal.SIGKILL


def weights(folder: Path) -> str:
    """SHA-256 of an artifact's weights."""
    files = open_artifact(folder).manifest.files
    return next(file.sha256 for file in files if file.path == "model.safetensors")


def main(number: str, module: str, *arguments: str) -> None:
    """The process that is killed."""
    left, save = int(number), torch.save

    def cut(content: object, path: str, *args: object, **kwargs: object) -> None:
        nonlocal left
        save(content, path, *args, **kwargs)
        if left == 0:
            os.truncate(path, Path(path).stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    torch.save = cut
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
