"""Labels: how they are written in data, and which class of a model each of them means."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgepress.core.errors import EdgepressError

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INTEGER = re.compile(r"-?(0|[1-9]\d*)")
WHOLE = re.compile(r"-?(0|[1-9]\d*)\.0+")
# What transformers calls the classes of a model whose maker gave them no names.
GENERIC = re.compile(r"label_\d+")
BY_ID = "id"
SHOWN = 8


class LabelMismatchError(EdgepressError):
    """The labels of the data are not those of the model."""


def label_text(value: Any) -> str | None:
    """A label as text: without the blanks around it, whole numbers without a fraction.

    None where it is missing. "positive " and "positive" are one label, and so are 1, 1.0 and "1".
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip()
    if WHOLE.fullmatch(text):
        return text.partition(".")[0]
    return text or None


def label_number(value: Any) -> float | None:
    """A label as a finite number; None where it is none."""
    if isinstance(value, str):
        value = float(value) if NUMBER.fullmatch(value.strip()) else None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def label_key(text: str) -> str:
    """Return the key that all spellings of a name share: case and the blanks around it do not count."""
    return text.strip().casefold()


def sorted_labels(texts: Iterable[str]) -> tuple[str, ...]:
    """Distinct labels in order: by value where all are whole numbers, else by name."""
    distinct = set(texts)
    if all(INTEGER.fullmatch(text) for text in distinct):
        return tuple(sorted(distinct, key=int))
    return tuple(sorted(distinct))


# More distinct labels than this, in more than half of the rows, are no classes.
MOST_RARE_CLASSES = 20


def refuse_ids(texts: Sequence[str], column: str, where: str) -> None:
    """Raise where nearly each row has a label of its own, as a column of numbers of tickets has.

    Raises:
        EdgepressError: it is no column of classes.
    """
    distinct = len(set(texts))
    if distinct > MOST_RARE_CLASSES and distinct > len(texts) / 2:
        raise EdgepressError(
            f"{where}: {distinct:,} classes in {len(texts):,} rows: is '{column}' the label?",
            "name another --label-column, or --problem-type regression for numbers",
        )


def shown(labels: Sequence[str]) -> str:
    """The labels in words; of many the first ones, and how many more."""
    more = f", ... {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return ", ".join(labels[:SHOWN]) + more


@dataclass(frozen=True)
class DataLabels:
    """The classes that data have."""

    texts: tuple[str, ...]
    """The labels' names, or the labels as they are written."""
    numbered: bool = False
    """Whether the data declare these names, in the order of their integers (a ClassLabel column, a task of
    the zoo); then a label is either."""

    def spellings(self, index: int) -> tuple[str, ...]:
        """List the labels that may stand in the data for one class."""
        return (self.texts[index], str(index)) if self.numbered else (self.texts[index],)

    def number(self, index: int) -> int | None:
        """The integer that a class is written as; None where it is a word."""
        if self.numbered:
            return index
        return int(self.texts[index]) if INTEGER.fullmatch(self.texts[index]) else None


@dataclass(frozen=True)
class LabelMatch:
    """Classes that the labels of the data stand for."""

    ids: Mapping[str, int]
    """`label_key` of a label -> class number."""
    by: str
    """How they were matched: name, number or map."""


def match_labels(
    data: DataLabels,
    own: Sequence[str],
    label_map: Mapping[str, str],
    what: str,
    recorded: Mapping[str, str] | None = None,
) -> LabelMatch:
    """Map the labels of data to the classes of a trained model, whose names are the truth.

    A label is mapped as `label_map` says, else as it was before, else by its name; where no label is any of
    these, by its number.

    Args:
        data: the classes of the data.
        own: the model's class names, in the order of its logits.
        label_map: label of the data -> name or number of the model's class; `{"id": "id"}`: by number.
        what: the data's name, for the message.
        recorded: label of the data -> name of the class that it meant when the model was trained.

    Raises:
        LabelMismatchError: a label means none of the model's classes without doubt.
    """
    _refuse_unused(data, label_map, what)
    known = {**(recorded or {}), **label_map}
    classes = [_class(data, index, own, known) for index in range(len(data.texts))]
    if all(number is not None for number in classes):
        found = [number for number in classes if number is not None]
        return LabelMatch(_ids(data, found), "map" if label_map else "name")
    if not any(number is not None for number in classes) and _may_go_by_number(data, own, label_map):
        return LabelMatch(_ids(data, [data.number(index) or 0 for index in range(len(classes))]), "number")
    unmatched = data.texts[classes.index(None)]
    raise LabelMismatchError(
        f"the labels do not fit: {what} has {list(data.texts)}, the model {list(own)}",
        f"say what each means: --label-map {_word(unmatched)}={_word(own[0])} ...; "
        "--label-map id takes integers as the model's class numbers",
    )


def match_columns(
    columns: Sequence[str], own: Sequence[str], label_map: Mapping[str, str]
) -> list[str] | None:
    """The column of each class of a multi-label model, in the order of its logits; None where one lacks."""
    known = {label_key(label_map.get(column, column)): column for column in columns}
    found = [known.get(label_key(name)) for name in own]
    present = [column for column in found if column is not None]
    return present if len(present) == len(own) else None


def _class(data: DataLabels, index: int, own: Sequence[str], label_map: Mapping[str, str]) -> int | None:
    spellings = [label_key(text) for text in data.spellings(index)]
    mapped = {label_key(text): name for text, name in label_map.items()}
    given = next((mapped[spelling] for spelling in spellings if spelling in mapped), None)
    if given is None:
        return _named(data.texts[index], own)
    number = _named(given, own)
    if number is None and INTEGER.fullmatch(given) and 0 <= int(given) < len(own):
        number = int(given)
    if number is None:
        raise LabelMismatchError(
            f"--label-map: the model has no class '{given}'; it has {list(own)}", "name one of them"
        )
    return number


def _named(text: str, own: Sequence[str]) -> int | None:
    """The class of this name; None where there is none, or more than one."""
    if text in own:
        return list(own).index(text)
    alike = [number for number, name in enumerate(own) if label_key(name) == label_key(text)]
    return alike[0] if len(alike) == 1 else None


def _refuse_unused(data: DataLabels, label_map: Mapping[str, str], what: str) -> None:
    known = {label_key(text) for index in range(len(data.texts)) for text in data.spellings(index)}
    for text in label_map:
        if text != BY_ID and label_key(text) not in known:
            raise LabelMismatchError(
                f"--label-map: {what} has no label '{text}'; it has {list(data.texts)}", "name one of them"
            )


def _may_go_by_number(data: DataLabels, own: Sequence[str], label_map: Mapping[str, str]) -> bool:
    """Whether the data's integers are class numbers without doubt, or the user says that they are."""
    numbers = [data.number(index) for index in range(len(data.texts))]
    if any(number is None or not 0 <= number < len(own) for number in numbers):
        return False
    if BY_ID in label_map:
        return True
    # Names on both sides that differ are two things, and so are numbers that differ.
    opaque = all(GENERIC.fullmatch(label_key(name)) for name in own)
    named = not any(INTEGER.fullmatch(name) for name in own)
    return set(numbers) == set(range(len(own))) and (opaque if data.numbered else named)


def _ids(data: DataLabels, numbers: Sequence[int]) -> dict[str, int]:
    return {label_key(text): number for index, number in enumerate(numbers) for text in data.spellings(index)}


def _word(text: str) -> str:
    """Quote a label as it is typed in a shell."""
    return f"'{text}'" if re.search(r"[^\w.-]", text) else text


def parse_label_map(entries: Sequence[str]) -> dict[str, str]:
    """`--label-map` as a mapping: entries DATA=MODEL, or `id` alone.

    Raises:
        EdgepressError: an entry is neither, or a label stands there twice.
    """
    if list(entries) == [BY_ID]:
        return {BY_ID: BY_ID}
    found: dict[str, str] = {}
    for entry in entries:
        text, sign, name = entry.rpartition("=")
        if not sign or not text.strip() or not name.strip():
            raise EdgepressError(
                f"--label-map: '{entry}' is not DATA=MODEL",
                "for example --label-map neg=negative",
            )
        if label_key(text) in map(label_key, found):
            raise EdgepressError(f"--label-map: '{text}' stands there twice", "keep one")
        found[text.strip()] = name.strip()
    return found
