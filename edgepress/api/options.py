"""Options of a function as the dataclass of its command has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from edgepress.core.errors import EdgepressError, first_line, unknown_name

OptionsT = TypeVar("OptionsT")


def make_options(kind: type[OptionsT], values: Mapping[str, Any]) -> OptionsT:
    """An instance of an options dataclass; what may be several may also be given as one, or as a list.

    Raises:
        EdgepressError: there is no such option, or one is missing.
    """
    hints = get_type_hints(kind, include_extras=False)
    known = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]  # a dataclass, as all options are
    for name in values:
        if name not in known:
            raise unknown_name("option", name, known)
    try:
        return kind(**{name: _fitted(value, hints[name]) for name, value in values.items()})
    except TypeError as error:
        raise EdgepressError(first_line(error).partition("__init__() ")[2] or first_line(error)) from error


def _fitted(value: Any, hint: Any) -> Any:
    """A list as a tuple, and a single text or number as a tuple of one where only tuples are taken."""
    several = get_origin(hint) is tuple
    if isinstance(value, list) and (several or any(get_origin(own) is tuple for own in get_args(hint))):
        return tuple(value)
    return (value,) if several and isinstance(value, str | int | float) else value
