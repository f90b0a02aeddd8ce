"""Options: their help texts, what values each takes, in words, and the ranges of numbers.

A range is one of a name in all commands, unless a command says otherwise.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from edgepress.core.errors import HELP_SAYS, EdgepressError, did_you_mean


def described(text: str) -> Any:
    """Return the help text of a flag, for `Annotated`; tyro reads PEP 727's `Doc` from 0.9.18 on only."""
    from tyro.conf import arg  # processes that only run a file take ranges from here

    return arg(help=text)


WORDS = {float: "number", int: "whole number"}


@dataclass(frozen=True)
class Range:
    """Numbers that an option takes."""

    low: float = 0
    high: float = math.inf
    above: bool = False
    """Whether the lower end itself is none of them."""
    below: bool = False
    """Whether the upper end itself is none of them."""

    def holds(self, value: float) -> bool:
        """Whether a number is in the range; what is not finite never is."""
        over = value > self.low if self.above else value >= self.low
        under = value < self.high if self.below else value <= self.high
        return math.isfinite(value) and over and under

    @property
    def text(self) -> str:
        """The range in words: "1 or more", "above 0 and below 1", "0 to below 1"."""
        if math.isinf(self.high):
            return "any number" if math.isinf(self.low) else self._from(" or more")
        if self.above and self.below:
            return f"above {self.low:.15g} and below {self.high:.15g}"
        return f"{self._from('')} to {'below ' if self.below else ''}{self.high:.15g}"

    def _from(self, end: str) -> str:
        return f"above {self.low:.15g}" if self.above else f"{self.low:.15g}{end}"


FROM_0 = Range()
FROM_1 = Range(1)
ABOVE_0 = Range(above=True)
SHARE = Range(0, 1)
PART = Range(0, 1, below=True)
BETWEEN = Range(0, 1, above=True, below=True)

Ranges = Mapping[str, Range]
"""Option -> its range."""

RANGES: Ranges = {
    **dict.fromkeys(
        ("batch_size", "batch_sizes", "sequence_length", "sequence_lengths", "signatures"), FROM_1
    ),
    **dict.fromkeys(("max_length", "min_length", "train_samples", "eval_samples", "pass_samples"), FROM_1),
    **dict.fromkeys(("calibration_samples", "importance_samples", "transfer_samples", "min_count"), FROM_1),
    **dict.fromkeys(("depth", "heads", "hidden_size", "intermediate_size", "embedding_size", "size"), FROM_1),
    **dict.fromkeys(("gradient_accumulation", "iterations", "max_steps", "patience", "threads"), FROM_1),
    **dict.fromkeys(("dimensions", "launches", "min_runs", "signatures", "workers"), FROM_1),
    **dict.fromkeys(
        ("epochs", "learning_rate", "temperature", "max_ms", "max_size_mb", "time_budget"), ABOVE_0
    ),
    **dict.fromkeys(("attention_weight", "cosine_weight", "hidden_weight", "label_weight"), FROM_0),
    **dict.fromkeys(("response_weight", "weight_decay", "atol", "augment", "vocabulary"), FROM_0),
    **dict.fromkeys(("max_drop", "max_label_drop", "passes", "threshold"), FROM_0),
    **dict.fromkeys(("moments", "mutations", "sizes"), FROM_0),
    **dict.fromkeys(("smooth_quant", "transfer_confidence", "warmup_ratio"), SHARE),
    **dict.fromkeys(("cooldown", "subword_dropout", "memory_noise", "ffn", "hidden", "layers"), PART),
    **dict.fromkeys(("average", "hold_out", "sparsity", "target"), BETWEEN),
    "layer_decay": Range(0, 1, above=True),
    "null_threshold": Range(-math.inf),
    "opset": Range(14, 20),
    "seed": Range(0, 2**32 - 1),  # the largest that numpy takes
}


def range_of(kind: type, option: str) -> Range:
    """The range of an option; that of its command, in the class attribute `RANGES`, comes first.

    Args:
        kind: the dataclass of the options.
        option: its name.
    """
    own: Ranges = getattr(kind, "RANGES", {})
    return own.get(option) or RANGES.get(option, FROM_0)


def flag_of(name: str) -> str:
    """The flag of an option, as it is typed."""
    return "--" + name.replace("_", "-")


def require_numbers(kind: type, values: Mapping[str, Any]) -> None:
    """Raise for the first option that takes numbers and has none, or one that is out of its range.

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
        several = isinstance(value, tuple | list)
        if several and not value and getattr(kind, name, ()) != ():  # nothing would stand for the default
            raise EdgepressError(f"{flag_of(name)} takes {takes(hints[name])}, and has none", HELP_SAYS)
        for one in value if several else (value,):
            _require_number(flag_of(name), one, hints[name], whole=float not in numbers)
            if not (known := range_of(kind, name)).holds(one):
                raise out_of_range(name, one, known)


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


def out_of_range(name: str, value: float, known: Range) -> EdgepressError:
    """The error for a number that an option does not take.

    Args:
        name: the option.
        value: the number.
        known: what it takes.
    """
    finite = "" if math.isfinite(value) else ", and finite"
    said = f"{flag_of(name)} is out of range: it is {known.text}{finite}, not {value:.15g}"
    return EdgepressError(said, HELP_SAYS)


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
