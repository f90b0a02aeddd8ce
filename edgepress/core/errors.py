"""The errors that a command turns into one clear line and an exit code."""

from collections.abc import Iterable
from difflib import get_close_matches


class EdgepressError(Exception):
    """Bad input or use: the message says what is wrong and where, `hint` what to do next."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def with_hint(self) -> str:
        """The message and what to do next, for a warning that a command goes on after."""
        return f"{self}; {self.hint}" if self.hint else str(self)


class ExpectationError(EdgepressError):
    """The command ran, and what was expected of its result (parity, a goal) does not hold."""

    exit_code = 1


HELP_SAYS = "--help says what it takes"


class EdgepressWarning(UserWarning):
    """Something that a user of the library should not overlook."""


def unknown_name(kind: str, name: str, known: Iterable[str], reason: str = "") -> EdgepressError:
    """The error for a name that stands in no registry, with the nearest one that does."""
    names = sorted(known)
    guess = did_you_mean(name, names, cutoff=0.5)
    because = f": {reason}" if reason else ""
    return EdgepressError(f"unknown {kind} '{name}'{because}", f"{guess}known: {', '.join(names)}")


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Ask for the nearest of the known names, "did you mean 'half'? "; flags stand without quotes.

    Args:
        name: as it was typed.
        known: names that there are.
        cutoff: how alike the two have to be, 0 to 1.

    Returns:
        the question with a blank behind it; empty where none is near.
    """
    close = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    if not close:
        return ""
    return f"did you mean {close[0] if close[0].startswith('--') else repr(close[0])}? "


def first_line(error: BaseException) -> str:
    """The first line of an exception's text: other libraries' messages run over pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
