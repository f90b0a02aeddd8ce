"""A command line as the options of a command; what is wrong becomes one line, and one on what to do."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import MISSING, fields
from typing import TypeVar, get_type_hints

from edgepress.core.errors import HELP_SAYS, EdgepressError, did_you_mean
from edgepress.core.option_values import accepts, choices, flag_of, require_numbers, takes

ConfigT = TypeVar("ConfigT")

USAGE = 2
"""Exit code with which tyro ends a process whose command line it refuses."""
# Lines and corners of tyro's boxes, and colours.
FRAME = re.compile(r"\x1b\[[0-9;]*m|[╭╮╰╯│]|^\s*\|?|\|?\s*$", re.MULTILINE)
RULE = re.compile(r"^\s*[─-]{5,}\s*$")
STRAY = re.compile(r"Unrecognized (?:options|arguments): (?P<words>.+?)(?= For full | Perhaps |$)")
TYPED = re.compile(r"--[A-Za-z][\w-]*")


def parse(config_type: type[ConfigT], program: str) -> ConfigT:
    """Parse `sys.argv` into the options of a command.

    Raises:
        EdgepressError: a flag is unknown or lacks a value, a value is of another type, empty, below 0 or not
            finite, or something is missing.
        SystemExit: the help was asked for, and is printed.
    """
    import tyro  # takes a moment, and a process that only times a file does without

    typed = sys.argv[1:]
    _require_texts(typed)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            config = tyro.cli(config_type, prog=program, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as stop:
        if stop.code != USAGE:
            raise
        raise _refused(config_type, program, typed, said.getvalue()) from None
    sys.stderr.write(said.getvalue())
    require_numbers(config_type, vars(config))
    return config


def _require_texts(typed: Sequence[str]) -> None:
    """Raise for a value that is an empty text, which stands for no name, path or number."""
    flag = ""
    for word in typed:
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            flag = name
        if not word or (name.startswith("--") and equals and not value):
            raise EdgepressError(f"{flag or 'an argument'}: an empty text", f"give {flag or 'it'} a value")


def _refused(config_type: type, program: str, typed: Sequence[str], box: str) -> EdgepressError:
    """The error of a command line, by what tyro says of it."""
    said = _first_part(box)
    lists = f"{program} --help lists all flags"
    if flag := _unknown_flag(config_type, typed):
        guess = did_you_mean(flag, _known_flags(config_type))
        return EdgepressError(f"unknown flag {flag}", f"{guess}{lists}")
    if "Unrecognized" in said:
        stray = STRAY.search(said)
        words = stray["words"] if stray else said
        return EdgepressError(
            f"'{words}' belongs to no flag", f"a text with blanks stands in quotes; {lists}"
        )
    if "Missing from" in said or "required" in said:
        names = _missing(config_type, box)
        return EdgepressError(
            f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing", HELP_SAYS
        )
    flag = next(iter(TYPED.findall(said)), "")
    hint = get_type_hints(config_type).get(_option(flag))
    if hint is None:
        return EdgepressError(said, HELP_SAYS)
    values = _values(typed, flag)
    wrong = next((value for value in values if not accepts(hint, value)), values[0] if values else None)
    found = "and has none" if wrong is None else f"not {wrong!r}"
    guess = did_you_mean(wrong or "", choices(hint))
    return EdgepressError(f"{flag} takes {takes(hint)}, {found}", f"{guess}{HELP_SAYS}")


def _first_part(box: str) -> str:
    """What stands above the first rule in a box, without its title, on one line."""
    lines = [FRAME.sub("", line) for line in box.splitlines()]
    parts: list[list[str]] = [[]]
    for line in lines:
        if RULE.match(line):
            parts.append([])
        elif line.strip():
            parts[-1].append(line.strip())
    filled = [" ".join(part) for part in parts if part]
    # A title is a part of its own only where a rule is below it.
    return " ".join(filled[:2])


def _known_flags(config_type: type) -> list[str]:
    return [flag_of(entry.name) for entry in fields(config_type)]


def _unknown_flag(config_type: type, typed: Sequence[str]) -> str:
    """The first flag that the command does not have; empty without one."""
    known = {_option(flag) for flag in _known_flags(config_type)}
    names = (word.partition("=")[0] for word in typed)
    return next((name for name in names if TYPED.fullmatch(name) and _option(name) not in known), "")


def _missing(config_type: type, box: str) -> list[str]:
    """Names of what has to be given and is not: flags, and the last of the arguments without one."""
    needed = [
        entry.name
        for entry in fields(config_type)
        if entry.default is MISSING and entry.default_factory is MISSING
    ]
    shown = [FRAME.sub("", line).strip() for line in box.splitlines()]
    flags = [flag_of(name) for name in needed if any(line.startswith(flag_of(name)) for line in shown)]
    if flags:
        return flags
    count = max(sum("(required)" in line for line in shown), 1)
    return [name.upper() for name in needed[-count:]]


def _option(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def _values(typed: Sequence[str], flag: str) -> list[str]:
    """What stands behind the last use of a flag, up to the next one."""
    found: list[str] = []
    own = False
    for word in typed:
        name, equals, value = word.partition("=")
        if TYPED.fullmatch(name):
            own = _option(name) == _option(flag)
            found = [] if own else found
            found += [value] if own and equals else []
        elif own:
            found.append(word)
    return found
