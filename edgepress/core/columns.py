"""The columns of a data folder: which hold the text, which the labels, and what kind of labels they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from datasets import Dataset
from datasets import Sequence as ListFeature

from edgepress.core.errors import EdgepressError
from edgepress.core.labels import LabelMismatchError, label_number, label_text, match_columns
from edgepress.core.splits import flag_number
from edgepress.core.tasks import PAIR, ProblemType, TaskOptions

SINGLE: ProblemType = "single_label_classification"
MULTI: ProblemType = "multi_label_classification"
VALUES: ProblemType = "regression"
LABEL = "label"
# Columns that number the rows: spreadsheets and data frames write them.
ROW_NUMBERS = ("", "id", "idx", "index", "unnamed: 0", "__index_level_0__")

TEXT_COLUMNS: tuple[tuple[str, ...], ...] = (
    PAIR,
    ("question", "sentence"),
    ("premise", "hypothesis"),
    ("text",),
    ("sentence",),
)

NOT_FINITE = ("inf", "infinity", "nan")


@dataclass(frozen=True)
class TrainedHead:
    """What a classifier that was trained before records of its classes."""

    labels: tuple[str, ...]
    """Names of the classes, in the order of the logits."""
    problem_type: ProblemType | None = None
    """None where its config does not say."""

    def takes(self, problem_type: ProblemType) -> bool:
        """Whether it can be what the logits mean."""
        if self.problem_type is not None:
            return self.problem_type == problem_type
        return (len(self.labels) == 1) == (problem_type == VALUES)


@dataclass(frozen=True)
class Table:
    """The rows of a split."""

    where: str
    """Name of the file, for messages."""
    rows: Dataset

    def column(self, name: str) -> list[Any]:
        """The values of a column.

        Raises:
            EdgepressError: there is none of this name.
        """
        if name not in self.rows.column_names:
            raise EdgepressError(
                f"{self.where} has no column '{name}'; it has {self.rows.column_names}",
                "name it: --label-column, --text-columns",
            )
        return list(self.rows[name])


def text_columns(dataset: Dataset, where: Path | str, given: Sequence[str] = ()) -> tuple[str, ...]:
    """Which columns hold the text: those given, or a known name or pair of names.

    Raises:
        EdgepressError: a column is not there, or none or several have known names.
    """
    for column in given:
        if column not in dataset.column_names:
            raise EdgepressError(
                f"{where} has no column '{column}'; it has {dataset.column_names}", "name another one"
            )
    if given:
        return tuple(given)
    known = [columns for columns in TEXT_COLUMNS if set(columns) <= set(dataset.column_names)]
    known = [columns for columns in known if not any(set(columns) < set(other) for other in known)]
    if len(known) == 1:
        return known[0]
    if known:
        raise EdgepressError(
            f"{where} has text in {' or '.join(' and '.join(columns) for columns in known)}",
            f"say which: --text-columns {' '.join(known[0])}",
        )
    raise EdgepressError(
        f"{where} has no column 'text'; it has {dataset.column_names}",
        "name it: --text-columns COLUMN, or COLUMN COLUMN for pairs",
    )


def label_columns(
    table: Table, text: Sequence[str], options: TaskOptions, head: TrainedHead | None
) -> tuple[str, ...]:
    """The column of the label; or of each label, where several may be given at once."""
    if options.label_column:
        for column in options.label_column:
            table.column(column)
    found = options.label_column or _named_by_itself(table, text, options, head)
    if both := {*found} & {*text}:
        raise EdgepressError(
            f"{table.where}: column '{min(both)}' is the text and the label at once",
            "name another --text-columns or --label-column",
        )
    return found


def _named_by_itself(
    table: Table, text: Sequence[str], options: TaskOptions, head: TrainedHead | None
) -> tuple[str, ...]:
    if LABEL in table.rows.column_names and options.problem_type != MULTI:
        return (LABEL,)
    rest = [name for name in table.rows.column_names if _may_be_label(table, name, text)]
    flags = [name for name in rest if _is_flag(table.column(name))]
    if (
        head is not None
        and head.takes(MULTI)
        and (own := match_columns(flags, head.labels, options.label_map))
    ):
        return tuple(own)
    if options.problem_type == MULTI and flags:
        return tuple(flags)
    if len(rest) == 1:
        return (rest[0],)
    raise _no_label(table, rest, flags)


def _no_label(table: Table, rest: Sequence[str], flags: Sequence[str]) -> EdgepressError:
    if len(flags) > 1 and len(flags) == len(rest):
        return EdgepressError(
            f"{table.where} has no column 'label', and 0 and 1 in each of {', '.join(flags)}",
            f"--problem-type {MULTI} takes each for a label; --label-column {flags[0]} takes one alone",
        )
    return EdgepressError(
        f"{table.where} has no column 'label'; it has {table.rows.column_names}",
        "name it: --label-column COLUMN, or one for each label",
    )


def _may_be_label(table: Table, name: str, text: Sequence[str]) -> bool:
    listed = isinstance(table.rows.features[name], list | dict | ListFeature)
    return name not in text and not listed and name.strip().lower() not in ROW_NUMBERS


def _is_flag(values: Iterable[Any]) -> bool:
    return all(flag_number(value) in (0, 1) for value in values)


def problem_type_of(
    table: Table, label: Sequence[str], options: TaskOptions, head: TrainedHead | None
) -> ProblemType:
    """What the labels are: as the user says, as the trained head says, else by their values.

    Raises:
        EdgepressError: their values say two things, or the head is of another kind.
    """
    if options.problem_type in get_args(ProblemType):
        found = cast("ProblemType", options.problem_type)
    elif head is not None and head.problem_type is not None:
        found = head.problem_type
    elif head is not None and len(head.labels) == 1:
        found = VALUES
    elif head is not None and len(label) == 1:
        found = SINGLE
    else:
        found = _by_values(table, label)
    if head is not None and not head.takes(found):
        own = head.problem_type or f"classifier of {len(head.labels)} labels"
        raise LabelMismatchError(
            f"the data are a {found}, the model is a {own}", "name a --task of the model's kind"
        )
    if found != MULTI and len(label) > 1:
        raise EdgepressError(f"a {found} has one label column, not {len(label)}", "name one --label-column")
    return found


def _by_values(table: Table, label: Sequence[str]) -> ProblemType:
    if len(label) > 1:
        return MULTI
    values = [value for value in table.column(label[0]) if label_text(value) is not None]
    if not values or any(isinstance(value, list | dict) for value in values):
        raise EdgepressError(
            f"{table.where}: column '{label[0]}' holds no numbers and no class names",
            "name another --label-column; several labels at once are a 0/1 column each",
        )
    if label[0] != LABEL and _is_flag(values):
        return MULTI
    numbers = [label_number(value) for value in values]
    if odd := _beyond_numbers(values):
        raise EdgepressError(
            f"{table.where}: column '{label[0]}' holds numbers, and {odd!r}, which is no finite one",
            "mend the data",
        )
    if any(number is None or isinstance(value, bool) for number, value in zip(numbers, values, strict=True)):
        return SINGLE
    if not any(_has_fraction(value) for value in values):
        return SINGLE
    if all(number is not None and number.is_integer() for number in numbers):
        raise EdgepressError(
            f"{table.where}: labels are whole numbers with a fraction ({values[0]}): classes, or values?",
            f"--problem-type {SINGLE}, or --problem-type {VALUES}",
        )
    return VALUES


def _beyond_numbers(values: Sequence[Any]) -> Any:
    """A value that is not finite among numbers with a fraction; None where there is none."""
    texts = [str(value).strip().lower() for value in values]
    odd = [value for value, text in zip(values, texts, strict=True) if text.lstrip("+-") in NOT_FINITE]
    rest = [value for value, text in zip(values, texts, strict=True) if text.lstrip("+-") not in NOT_FINITE]
    fractions = any(_has_fraction(value) for value in rest)
    numeric = all(label_number(value) is not None for value in rest)
    return odd[0] if odd and fractions and numeric else None


def _has_fraction(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, str) and any(sign in value for sign in ".eE"))
