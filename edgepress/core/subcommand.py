"""A command in a process of its own, begun where the libraries are imported already."""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.context import BaseContext
from typing import Any

from edgepress.core.interruption import leave_at_once

WINDOWS = sys.platform == "win32"
# File descriptors that a command gets of the process that starts it; Windows hands over its own.
STREAMS = () if WINDOWS else (1, 2)


class Subcommand:
    """`python -m MODULE ARGUMENTS` beside this process, in a session of its own.

    On Linux it is a fork of a server that has imported libraries once for all commands of this process;
    that server runs nothing, so no thread, seed or memory of one command reaches the next. Elsewhere
    libraries are not safe to fork, and each command begins anew.

    Args:
        module: what is run.
        arguments: its command line.
    """

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self._process = _context().Process(  # type: ignore[attr-defined]  # typeshed has it on subclasses
            target=_run, args=(_Streams(), module, tuple(arguments), dict(os.environ))
        )
        self._process.start()
        self.pid: int = self._process.pid

    def wait(self) -> int:
        """Wait until it ends and return its exit code, negative for a signal; Ctrl-C is passed on to it."""
        try:
            self._process.join()
        except BaseException:
            if not WINDOWS:
                with suppress(ProcessLookupError):  # it ended in the same instant
                    os.kill(self.pid, signal.SIGINT)
            self._process.join()
            raise
        return int(self._process.exitcode)


def _context() -> BaseContext:
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["edgepress.core.preload"])
    return context


class _Streams:
    """Output and errors of this process as they are now; the server's are those of when it began."""

    def __reduce__(self) -> tuple[Any, ...]:
        if WINDOWS:
            return tuple, ()
        from multiprocessing.reduction import DupFd  # Windows has none

        return tuple, ([DupFd(own) for own in STREAMS],)


def _run(streams: Any, module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """The command's process: its environment and command line are those of a process started by hand."""
    if not WINDOWS:
        os.setsid()  # one Ctrl-C reaches it, from the process that started it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        leave_at_once()  # until it is at work
    for own, stream in zip(STREAMS, streams, strict=True):
        os.dup2(stream.detach(), own)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
