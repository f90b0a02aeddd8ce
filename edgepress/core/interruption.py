"""Ctrl-C and SIGTERM: a command at work puts back what it began; before and after that it ends at once.

An exception is no way out of imports or of the end of a process: C code and finalizers swallow it or print
it. There the handler of the signal ends the process itself.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from itertools import pairwise
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130
TERMINATED = 143
"""What shells say of processes that SIGINT and SIGTERM ended."""
SAID = b"error: interrupted\n"
AGAIN_S = 0.05
"""Time until an interruption that a finalizer swallowed is raised again [s]."""

Handler = Callable[[int, FrameType | None], Any]

_is_command: ContextVar[bool] = ContextVar("is_command", default=False)


class Terminated(KeyboardInterrupt):
    """SIGTERM reached a command at work: it puts back what it began, as after Ctrl-C."""


def exit_code(stop: KeyboardInterrupt) -> int:
    """The exit code of a command that a signal stopped."""
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


def stop_words(stop: KeyboardInterrupt) -> str:
    """What stopped a command."""
    return "ended by SIGTERM" if isinstance(stop, Terminated) else "interrupted"


def leave_at_once() -> None:
    """Let Ctrl-C end this process in one line; for a process that is a command, from its first import on."""
    _is_command.set(True)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a background job stays deaf to it
        signal.signal(signal.SIGINT, _leave)


def leave_where_run(package: str) -> None:
    """Do so where the process was started as `python -m PACKAGE...`; whoever imports a package keeps Ctrl-C.

    Args:
        package: the one that is being imported.
    """
    words = sys.orig_argv
    if any(flag == "-m" and name.partition(".")[0] == package for flag, name in pairwise(words)):
        leave_at_once()


# What they need is bound to them: modules are emptied before a process is gone.
def _leave(*_: object, write: Any = os.write, leave: Any = os._exit, said: bytes = SAID) -> None:
    try:
        write(2, said)
    finally:
        leave(130)


class Stopping:
    """Signals that reached a command at work."""

    def __init__(self) -> None:
        self.stop: KeyboardInterrupt | None = None
        """The first of them; None where none came."""

    def handle(self, number: int, _: FrameType | None) -> NoReturn:
        """Raise for a signal."""
        stop = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
        self.stop = self.stop or stop
        raise stop


@contextmanager
def raised(stopping: Stopping) -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in a block, and SIGTERM `Terminated`.

    Args:
        stopping: notes what came.
    """
    with ExitStack() as stack:
        stack.enter_context(_unswallowed())
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.enter_context(_handled(number, stopping.handle))
        yield


@contextmanager
def importing() -> Iterator[None]:
    """Let Ctrl-C end the process in a block of imports, where it is a command: nothing is to be put back."""
    with ExitStack() as stack:
        if _is_command.get():
            stack.enter_context(_handled(signal.SIGINT, _leave))
            stack.enter_context(_handled(signal.SIGTERM, signal.SIG_DFL))
        yield


@contextmanager
def _handled(number: int, handler: Handler | signal.Handlers) -> Iterator[None]:
    """Handle a signal in a block, unless the process is deaf to it, or another thread's signals are meant."""
    before = signal.getsignal(number)
    if before in (signal.SIG_IGN, None) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def _unswallowed() -> Iterator[None]:
    """Raise an interruption again that came in a finalizer, of which Python would print a traceback."""
    usual = sys.unraisablehook

    def hook(found: Any) -> None:
        if not issubclass(found.exc_type, KeyboardInterrupt):
            usual(found)
            return
        number = signal.SIGTERM if issubclass(found.exc_type, Terminated) else signal.SIGINT
        again = threading.Timer(AGAIN_S, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = usual
