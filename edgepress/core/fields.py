"""Whether what a file says has the types of a dataclass: files come from other programs and from editors."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Holds = Callable[[Any], bool]

# No time, size or count is as large; what is would overflow in a statistic or a chart.
LARGEST = 10**18
NAMES = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "a mapping"}
SHOWN = 40
"""Characters of a wrong value in a message."""


def require_fields(owner: type, content: object, signed: tuple[str, ...] = ()) -> None:
    """Raise unless every field that `content` has is of its type; what dataclasses hold is not looked into.

    Args:
        owner: a dataclass.
        content: what is to become one, as JSON gives it.
        signed: the fields that may be below 0.

    Raises:
        ValueError: it is no mapping, or a field is of another type; the message names it.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{_shown(content)} in the place of a mapping")
    for name, (holds, expected) in _fields(owner, signed).items():
        if name in content and not holds(content[name]):
            raise ValueError(f"{name} is {_shown(content[name])}, not {expected}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


@cache
def _fields(owner: type, signed: tuple[str, ...]) -> dict[str, tuple[Holds, str]]:
    """What each field may hold, as a check and in words."""
    hints = get_type_hints(owner)
    return {name: (_check(hint, name in signed), _words(hint)) for name, hint in hints.items()}


def _check(hint: Any, signed: bool) -> Holds:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        inner = _check(arguments[0], signed)
        return lambda value: isinstance(value, tuple | list) and all(map(inner, value))
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in arguments
    if origin in (Union, types.UnionType):
        checks = [_check(argument, signed) for argument in arguments]
        return lambda value: any(check(value) for check in checks)
    if hint in (int, float):
        kinds, least = ((int,) if hint is int else (int, float)), (-LARGEST if signed else 0)
        # A bool is an int to isinstance, and NaN compares with nothing.
        return lambda value: type(value) in kinds and least <= value <= LARGEST
    kind = dict if is_dataclass(hint) else origin or hint
    return lambda value: isinstance(value, kind)


def _words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return f"a list, each {_words(arguments[0])}"
    if origin is Literal:
        return _either(map(str, arguments))
    if origin in (Union, types.UnionType):
        return _either("null" if argument is types.NoneType else _words(argument) for argument in arguments)
    return NAMES.get(origin or hint, "a mapping")


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)
