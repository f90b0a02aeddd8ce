"""The command line's manners: flags from a dataclass, tables, errors to exit codes."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import tyro
from rich.console import Console
from rich.text import Text

from edgepress.errors import EdgepressError, first_line

if TYPE_CHECKING:
    from rich.progress import Progress

INTERRUPTED = 130

# Answers go to stdout, everything about the way there to stderr, so that a pipe gets only the table.
# A file or pipe has no width of its own: wide enough for the widest table.
PIPE_WIDTH = 120
# Names, labels and texts are printed as they are: brackets are no markup, ":smile:" is no picture, and a line
# ends where the text says, so that a path can be copied.
out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, markup=False, emoji=False, soft_wrap=True)
log = Console(stderr=True, markup=False, emoji=False, soft_wrap=True)
# What would move the cursor or colour the terminal; a tab and the end of a line are let through.
CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


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
    print_error(message, hint)
    sys.exit(code)


def visible(text: str, console: Console = out) -> str:
    """The text, with escapes for control characters and for what the console's encoding lacks."""
    shown = text.translate(CONTROL)
    return shown.encode(console.encoding, "backslashreplace").decode(console.encoding)


def line(text: str) -> None:
    """Print an answer, exactly as it is."""
    out.print(Text(visible(text)))


def step(text: str) -> None:
    """Say which stage of a long command begins."""
    _say("·", "dim", text)


def warn(text: str) -> None:
    """Say something that nobody should overlook."""
    _say("warning:", "bold yellow", text)


def print_error(message: str, hint: str) -> None:
    """Say what is wrong and, below, what to do next."""
    _say("error:", "bold red", message)
    if hint:
        _say("      ", "", hint)


def _say(label: str, style: str, text: str) -> None:
    log.print(Text.assemble((visible(label, log), style), " ", visible(text, log)))


def progress() -> "Progress":
    """A bar on stderr that vanishes when it is full; descriptions are shown as they are."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    description = TextColumn("{task.description}", style="progress.description", markup=False)
    columns = (description, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=log, transient=True)
