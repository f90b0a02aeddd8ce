"""Values of options: what each takes, in words, and whether a number is one that any command can use."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from edgepress.core.errors import HELP_SAYS, RANGES, EdgepressError, did_you_mean

SIGNED = ("null_threshold",)
"""Options that may be below 0."""
WORDS = {float: "number", int: "whole number"}


def flag_of(name: str) -> str:
    """The flag of an option, as it is typed."""
    return "--" + name.replace("_", "-")


def require_numbers(kind: type, values: Mapping[str, Any]) -> None:
    """Raise for the first option that takes numbers and has none, or one that is below 0 or not finite.

    Args:
        kind: the dataclass of the options.
        values: option -> value, of those that were given.

    Raises:
        EdgepressError: there is one; the message names its flag.
    """
    hints = get_type_hints(kind)
    for name, value in values.items():
        numbers = {hint for hint in _scalars(hints[name]) if hint is not types.NoneType}
        if value is None or not numbers or not numbers <= WORDS.keys():
            continue
        for one in value if isinstance(value, tuple | list) else (value,):
            _require_number(flag_of(name), one, hints[name], whole=float not in numbers)
            _require_range(flag_of(name), one, signed=name in SIGNED)


def require_words(kind: type, values: Mapping[str, Any]) -> None:
    """Raise for the first option that takes one of some words and has another text.

    Args:
        kind: the dataclass of the options.
        values: option -> value, of those that were given.

    Raises:
        EdgepressError: there is one; the message names its flag, and the hint the nearest word.
    """
    hints = get_type_hints(kind)
    for name, value in values.items():
        known = choices(hints[name])
        for one in value if isinstance(value, tuple | list) else (value,):
            if known and isinstance(one, str) and not accepts(hints[name], one):
                said = f"{flag_of(name)} takes {takes(hints[name])}, not {one!r}"
                raise EdgepressError(said, did_you_mean(one, known) + HELP_SAYS)


def _require_number(flag: str, value: Any, hint: Any, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        raise EdgepressError(f"{flag} takes {takes(hint)}, not {value!r}", HELP_SAYS)


def _require_range(flag: str, value: Any, signed: bool) -> None:
    if math.isfinite(value) and (signed or value >= 0):
        return
    known = RANGES.get(flag)
    what = "below 0" if math.isfinite(value) else "no finite number"
    said = f"it is {known}" if known else f"{value:g} is {what}"
    raise EdgepressError(f"{flag} is out of range: {said}", HELP_SAYS)


def _scalars(hint: Any) -> list[Any]:
    """The types of single values that a type hint is made of, and the values of its literals."""
    if get_origin(hint) is Annotated:
        return _scalars(get_args(hint)[0])
    inner = [part for part in get_args(hint) if part is not Ellipsis]
    if not inner or get_origin(hint) is Literal:
        return inner or [hint]
    return [found for part in inner for found in _scalars(part)]


def takes(hint: Any) -> str:
    """Say what an option of this type takes: "a number", "whole numbers", "one of latency, size"."""
    found = [part for part in _scalars(hint) if part is not types.NoneType]
    several, words = _is_several(hint), choices(hint)
    said = [WORDS[kind] for kind in (float, int) if kind in found][:1]
    said = [f"{word}s" if several else f"a {word}" for word in said]
    said += [f"one of {', '.join(words)}"] if words else []
    if not said:
        said = ["values" if several else "a value"]
    return " or ".join(said)


def choices(hint: Any) -> list[str]:
    """The words that an option of this type takes; none where it takes any text, or numbers alone."""
    return [str(part) for part in _scalars(hint) if not isinstance(part, type)]


def accepts(hint: Any, text: str) -> bool:
    """Whether a single value of this type may be typed so."""
    for part in _scalars(hint):
        if part not in WORDS:
            if part is str or text == str(part):
                return True
            continue
        try:
            part(text)
        except ValueError:
            continue
        return True
    return False


def _is_several(hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType, Annotated):
        return any(_is_several(part) for part in get_args(hint))
    return origin in (tuple, list, dict)
