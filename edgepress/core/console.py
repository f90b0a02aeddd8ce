"""The command line's manners: flags from a dataclass, tables, errors to exit codes."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TextIO, TypeVar

from rich.console import Console
from rich.text import Text

from edgepress.core.caches import cache_hint
from edgepress.core.causes import cause, said_cause
from edgepress.core.errors import HELP_SAYS, EdgepressError, EdgepressWarning, first_line
from edgepress.core.interruption import Stopping, exit_code, importing, raised, stop_words
from edgepress.core.option_values import Ranges
from edgepress.core.process import prepare

if TYPE_CHECKING:
    from rich.progress import Progress

UNFORESEEN = 70
"""EX_SOFTWARE of sysexits.h: the fault is the command's."""
READER_GONE = 141
"""What a shell says of a process that SIGPIPE ended."""
STDERR = 2
"""The last of the numbers that every process expects to be open."""
REPORT = "a fault of edgepress: please report it, with what the same command prints with --debug"

# Answers go to stdout, everything about the way there to stderr, so that a pipe gets only the table.
# A file or pipe has no width of its own: wide enough for the widest table.
PIPE_WIDTH = 120


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        """Pass it on to `whole_output`; rich would end with exit code 1."""
        raise BrokenPipeError


# Names, labels and texts are printed as they are: brackets are no markup, ":smile:" is no picture, and a line
# ends where the text says, so that a path can be copied. A process may be started without a stdout.
_TERMINAL = sys.stdout is not None and sys.stdout.isatty()
out = _Screen(width=None if _TERMINAL else PIPE_WIDTH, markup=False, emoji=False, soft_wrap=True)
log = _Screen(stderr=True, markup=False, emoji=False, soft_wrap=True)
# What would move the cursor or colour the terminal; a tab and the end of a line are let through.
CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


# What a flag says about this machine's folders, or about the screen, does not belong in a manifest.
LOCAL_FLAGS = ("model", "task", "data", "output", "overwrite", "debug")


@dataclass(frozen=True, kw_only=True)
class Command:
    """Flags of every command."""

    debug: bool = False
    """Show the traceback of an error instead of its one line."""

    RANGES: ClassVar[Ranges] = {}
    """Ranges of options that have others in this command."""
    MAKES_ARTIFACT: ClassVar[bool] = False
    """Whether the command's output is an artifact, as that of a recipe's step has to be."""

    def check_paths(self) -> None:
        """Raise for a path that cannot be used, as far as that is seen before libraries are imported.

        Raises:
            EdgepressError: there is one.
        """

    def recorded(self) -> dict[str, Any]:
        """The flags that belong in a manifest."""
        return {flag: value for flag, value in asdict(self).items() if flag not in LOCAL_FLAGS}


Listener = Callable[[str], object]
"""What the library's users give as `progress`: it is called with each step in words."""
OWN_CODE = tuple(
    f"{Path(__file__).parents[2] / package}{os.sep}"
    for package in ("edgepress", "compress", "device_bench", "export")
)

ConfigT = TypeVar("ConfigT", bound=Command)


def run(config_type: type[ConfigT], verb: Callable[[ConfigT], object], program: str) -> NoReturn:
    """Parse the command line into `config_type`, run the verb, and exit as DESIGN's table says.

    Exit codes: 0 done, 1 an expectation failed, 2 bad input or use, 70 an unforeseen error, 130 interrupted,
    141 the reader of the output is gone, 143 ended by SIGTERM.
    """
    program = typed_program(program)
    with whole_output():
        config = _parsed(config_type, program)
        warn_anew()
        prepare()
        stopping = Stopping()
        try:
            config.check_paths()
            with raised(stopping):
                verb(config)
        except KeyboardInterrupt as stop:
            _fail(f"{stop_words(stop)}; the output is as it was", "", config.debug, exit_code(stop))
        except BrokenPipeError:
            raise
        except EdgepressError as error:
            _fail(_with_cause(error), _help_of(program, error.hint), config.debug, error.exit_code)
        except SystemExit as stop:  # of a library: none of ours would know its code
            said = f"a library ended the command ({stop.code})"
            _fail(f"unforeseen{_doing()}: {said}", REPORT, config.debug, UNFORESEEN)
        except Exception as error:
            if stopping.stop is not None:  # a library made another error of it
                _fail(stop_words(stopping.stop), "", config.debug, exit_code(stopping.stop))
            _fail_unforeseen(error, _folders(config), config.debug)
    sys.exit(0)


def _parsed(config_type: type[ConfigT], program: str) -> ConfigT:
    """Options of the command line; what is wrong with it ends the command."""
    from edgepress.core.command_line import parse  # whoever only prints does without

    try:
        return parse(config_type, program)
    except EdgepressError as error:
        _fail(str(error), _help_of(program, error.hint), _asks_for_traceback(), error.exit_code)


def _help_of(program: str, hint: str) -> str:
    """The hint with the command whose --help it names."""
    return hint.replace(HELP_SAYS, f"{program} {HELP_SAYS}")


@contextmanager
def typed_as(program: str) -> Iterator[None]:
    """Let help and hints of the command that a block runs name it as the user has typed it.

    Args:
        program: the words that name it, such as "edgepress bench compare".
    """
    token = _typed.set(program)
    try:
        yield
    finally:
        _typed.reset(token)


def typed_program(default: str) -> str:
    """The words that the user has typed for this command, or `default` where nobody says."""
    return _typed.get() or default


def run_command(config_type: type[Command], program: str = "") -> NoReturn:
    """Run the command of a package: its `config.py` has the flags, and its `pipeline.py` a function `run`.

    The pipeline is imported once the flags are parsed and their paths checked: `--help` and a path that is
    wrong are answered before seconds of imports.

    Args:
        config_type: of the package.
        program: how it is typed; default: python -m PACKAGE.
    """
    package = config_type.__module__.rpartition(".")[0]

    def verb(config: Command) -> object:
        with importing():
            module = import_module(f"{package}.pipeline")
        return module.run(config)

    run(config_type, verb, program or f"python -m {package}")


@contextmanager
def whole_output() -> Iterator[None]:
    """Let a block end as a command does, whatever it raises and whoever reads what it prints.

    It ends quietly where the reader is gone (`... | head -1`), and aloud where the output is lost.
    """
    _open_missing_streams()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        _fail(stop_words(stop), "", False, exit_code(stop))
    except BrokenPipeError:
        _drop_output()
        sys.exit(READER_GONE)
    except OSError as error:
        _drop_output()
        if error.filename is not None:
            _fail_unforeseen(error, [], _asks_for_traceback())
        _fail(f"the output cannot be written: {error.strerror}", "", False, EdgepressError.exit_code)
    except Exception as error:
        _fail_unforeseen(error, [], _asks_for_traceback())


def _open_missing_streams() -> None:
    """Give a process that was started without one (`>&-`) a stdout or stderr that leads nowhere.

    Without it the next file that is opened has its number, and what C libraries print lands in there.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        continue
    os.close(nowhere)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # to the end


def _asks_for_traceback() -> bool:
    """Whether --debug was typed, where the flags could not be read."""
    return "--debug" in sys.argv


def _drop_output() -> None:
    """Let Python's own flush at the end have somewhere to go."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _drop(stream)


def _drop(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _folders(config: Command) -> list[Path]:
    """Folder that the command writes in; empty without one."""
    output = getattr(config, "output", None)
    return [output.absolute().parent] if isinstance(output, Path) else []


def _with_cause(error: EdgepressError) -> str:
    """The message, with what is behind a library's error that it repeats."""
    behind = said_cause(error.__cause__) if error.__cause__ else ""
    return f"{error} ({behind})" if behind and behind not in str(error) else str(error)


def _fail_unforeseen(error: Exception, folders: list[Path], debug: bool) -> NoReturn:
    _fail(*_unforeseen(error, folders), debug, _exit_code(error, folders))


def _exit_code(error: Exception, folders: list[Path]) -> int:
    known = isinstance(error, OSError) or cause(error, *folders)
    return EdgepressError.exit_code if known else UNFORESEEN


def _unforeseen(error: Exception, folders: list[Path]) -> tuple[str, str]:
    """Message and hint for an exception that nobody made into an error of ours."""
    known = cause(error, *folders)
    doing = _doing()
    if isinstance(error, OSError):
        described = _describe(error)
        return (f"{described} ({known})" if known else described), cache_hint(error)
    said = f"{type(error).__name__}: {first_line(error)}"
    if known:
        return f"{known}{doing} ({said})", ""
    return f"unforeseen{doing}: {said}", REPORT


def _doing() -> str:
    return f", at the step '{_steps[-1]}'" if _steps else ""


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


def step_once(text: str) -> None:
    """Say what a command says once, however often it comes to it; listeners hear it each time."""
    if _listener.get() or text not in _steps:
        step(text)


def step(text: str) -> None:
    """Say which stage of a long command begins."""
    _steps.append(text)
    if listener := _listener.get():
        listener(text)
    else:
        _say("·", "dim", text)


def warn(text: str) -> None:
    """Say something that nobody should overlook."""
    if _listener.get():
        from edgepress.core.library_words import in_library_words

        warnings.warn(in_library_words(text), EdgepressWarning, stacklevel=_levels_to_user())
    else:
        _say("warning:", "bold yellow", text)


@contextmanager
def reporting(progress: Listener | None) -> Iterator[None]:
    """Let nothing that a block says reach the screen: steps go to a function, warnings to Python's.

    Errors and warnings name options and data as the library's users know them.

    Args:
        progress: called with each step in words; None: nobody is told.
    """
    token = _listener.set(progress or (lambda _: None))
    try:
        with errors_in_library_words():
            yield
    finally:
        _listener.reset(token)


@contextmanager
def errors_in_library_words() -> Iterator[None]:
    """Let the errors of a block name options and data as the library's users know them."""
    try:
        yield
    except EdgepressError as error:
        from edgepress.core.library_words import in_library_words

        error.args = (in_library_words(str(error)),)
        error.hint = in_library_words(error.hint)
        raise


def _levels_to_user() -> int:
    """Number of frames from `warn` to the line that called the library, as `warnings.warn` counts them."""
    frame: FrameType | None = sys._getframe(1)
    level = user = 1
    while frame is not None:
        if frame.f_code.co_filename.startswith(OWN_CODE):
            user = level + 1
        frame, level = frame.f_back, level + 1
    return user


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_typed: ContextVar[str] = ContextVar("typed", default="")
_steps: list[str] = []
_said: set[str] = set()


def warn_anew() -> None:
    """Let `warn_once` begin again, for another command in the same process."""
    _steps.clear()
    _said.clear()


def warn_once(text: str) -> None:
    """Warn where this command has not done so in the same words."""
    if text not in _said:
        _said.add(text)
        warn(text)


def print_error(message: str, hint: str) -> None:
    """Say what is wrong and, below, what to do next."""
    _say("error:", "bold red", message)
    if hint:
        _say("      ", "", hint)


def _say(label: str, style: str, text: str) -> None:
    try:
        log.print(Text.assemble((visible(label, log), style), " ", visible(text, log)))
    except BrokenPipeError:
        raise
    except OSError:  # a log on a full disk is no reason to lose the work, nor another exit code
        _drop(sys.stderr)


def progress() -> "Progress":
    """A bar on stderr that vanishes when it is full; descriptions are shown as they are."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    description = TextColumn("{task.description}", style="progress.description", markup=False)
    columns = (description, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=log, transient=True, disable=_listener.get() is not None)
