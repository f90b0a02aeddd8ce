"""Options of a function as the dataclass of its command has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from edgepress.core.console import errors_in_library_words
from edgepress.core.errors import EdgepressError, first_line, unknown_name
from edgepress.core.option_values import require_numbers, require_words
from edgepress.core.tasks import TaskFlags

OptionsT = TypeVar("OptionsT")


def _names(kind: type) -> set[str]:
    return {entry.name for entry in fields(kind)}


# What commands have flags for and techniques do not read -> where the library takes it.
ELSEWHERE = {
    **dict.fromkeys(("task", "data", "weights", *_names(TaskFlags)), "edgepress.load takes it"),
    **dict.fromkeys(("output", "overwrite"), "save(folder, overwrite=True) of what comes back takes them"),
    **dict.fromkeys(("time_budget", "threads", "sequence_lengths"), "benchmark times files"),
    "restart": "remove the folder that checkpoints names",
    "debug": "an error is an exception, with its traceback",
}


def accepted(kind: type, own: Collection[str] = (), without: type | None = None) -> set[str]:
    """Names of the options that a function takes.

    Args:
        kind: the dataclass of its options.
        own: those that the function fills in itself.
        without: the class of flags among them that the command alone reads.
    """
    return _names(kind) - set(own) - (_names(without) if without else set())


def make_options(
    kind: type[OptionsT],
    values: Mapping[str, Any],
    own: Mapping[str, Any] = MappingProxyType({}),
    without: type | None = None,
) -> OptionsT:
    """An instance of an options dataclass; what may be several may also be given as one, or as a list.

    Args:
        kind: the dataclass.
        values: options as the user gave them.
        own: options that the function fills in itself.
        without: the class of flags among them that the command alone reads: here they would do nothing.

    Raises:
        EdgepressError: there is no such option, it would have no effect, one is missing, or a number is none.
    """
    hints = get_type_hints(kind, include_extras=False)
    known = accepted(kind, own, without)
    for name in values:
        if name not in known and name in ELSEWHERE:
            raise EdgepressError(f"'{name}' would have no effect here", ELSEWHERE[name])
        if name not in known:
            raise unknown_name("option", name, known | (own.keys() - ELSEWHERE.keys()))
    given = {**own, **values}
    with errors_in_library_words():
        require_numbers(kind, values)
        require_words(kind, values)
    try:
        return kind(**{name: _fitted(value, hints[name]) for name, value in given.items()})
    except TypeError as error:
        raise EdgepressError(first_line(error).partition("__init__() ")[2] or first_line(error)) from error


def _fitted(value: Any, hint: Any) -> Any:
    """A list as a tuple, and a single text or number as a tuple of one where only tuples are taken."""
    several = get_origin(hint) is tuple
    if isinstance(value, list) and (several or any(get_origin(own) is tuple for own in get_args(hint))):
        return tuple(value)
    return (value,) if several and isinstance(value, str | int | float) else value
