"""The command line's manners: flags from a dataclass, tables, errors to exit codes."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NoReturn, TypeVar

import tyro
from rich.console import Console

from edgepress.errors import EdgepressError, first_line

INTERRUPTED = 130

# Answers go to stdout, everything about the way there to stderr, so that a pipe gets only the table.
# A file or pipe has no width of its own: wide enough for the widest table.
PIPE_WIDTH = 120
out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
log = Console(stderr=True)


# What a flag says about this machine's folders, or about the screen, does not belong in a manifest.
LOCAL_FLAGS = ("model", "task", "data", "output", "overwrite", "debug")


@dataclass(frozen=True, kw_only=True)
class Command:
    """What every command's config has."""

    debug: bool = False
    """Show the traceback of an error instead of its one line."""

    def recorded(self) -> dict[str, Any]:
        """The flags that belong in a manifest."""
        return {flag: value for flag, value in asdict(self).items() if flag not in LOCAL_FLAGS}


ConfigT = TypeVar("ConfigT", bound=Command)


def run(config_type: type[ConfigT], verb: Callable[[ConfigT], object], program: str) -> NoReturn:
    """Parse the command line into `config_type`, run the verb, and exit as DESIGN's table says.

    Exit codes: 0 done, 1 an expectation failed, 2 bad input or use, 130 interrupted.
    """
    config = tyro.cli(config_type, prog=program, config=(tyro.conf.FlagCreatePairsOff,))
    warn_anew()
    try:
        verb(config)
    except KeyboardInterrupt:
        _fail("interrupted; the output is as it was", "", config.debug, INTERRUPTED)
    except EdgepressError as error:
        _fail(str(error), error.hint, config.debug, error.exit_code)
    except OSError as error:
        _fail(_describe(error), "", config.debug, EdgepressError.exit_code)
    sys.exit(0)


def _describe(error: OSError) -> str:
    if error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return first_line(error)


def _fail(message: str, hint: str, debug: bool, code: int) -> NoReturn:
    if debug:
        log.print_exception()
    log.print(f"[bold red]error:[/] {_escape(message)}", soft_wrap=True, highlight=False)
    if hint:
        log.print(f"       {_escape(hint)}", soft_wrap=True, highlight=False)
    sys.exit(code)


def _escape(text: str) -> str:
    # Square brackets of a message ("tensor [2, 3]") are text, not rich's markup.
    return text.replace("[", r"\[")


def step(text: str) -> None:
    """Say which stage of a long command begins."""
    log.print(f"[dim]·[/] {_escape(text)}", soft_wrap=True, highlight=False)


def warn(text: str) -> None:
    """Say something that nobody should overlook."""
    log.print(f"[bold yellow]warning:[/] {_escape(text)}", soft_wrap=True, highlight=False)


_said: set[str] = set()


def warn_anew() -> None:
    """Let `warn_once` begin again, for another command in the same process."""
    _said.clear()


def warn_once(text: str) -> None:
    """Warn where this command has not done so in the same words."""
    if text not in _said:
        _said.add(text)
        warn(text)
