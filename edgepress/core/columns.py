"""The columns of a data folder: which hold the text, which the labels, and what kind of labels they are."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from datasets import Dataset
from datasets import Sequence as ListFeature
from pyarrow import types

from edgepress.core.errors import EdgepressError
from edgepress.core.labels import LabelMismatchError, label_number, label_text, match_columns
from edgepress.core.splits import flag_number
from edgepress.core.squad import ANSWERS, ANSWERS_FORM, CONTEXT, QUESTION
from edgepress.core.tasks import MOST_TEXTS, PAIR, ProblemType, TaskOptions
from edgepress.core.tasks.task import (
    MASKED,
    MULTI,
    QUESTIONS,
    RANKS,
    SINGLE,
    TAGS,
    VALUES,
    VECTORS,
    TrainedHead,
)

TOGETHER = ("anchor", "positive", "negative")
"""Columns of texts that belong together, and of one that does not."""
SCORES = ("score", "similarity_score", "similarity")
"""What a score of how alike two texts are is called, besides label."""
RANKED = ("query", "passage")
"""Columns of texts that are nothing but queries and what is ranked for them."""
LABEL = "label"
# Columns that number the rows: spreadsheets and data frames write them.
ROW_NUMBERS = ("", "id", "idx", "index", "unnamed: 0", "__index_level_0__")

TEXT_COLUMNS: tuple[tuple[str, ...], ...] = (
    PAIR,
    ("question", "sentence"),
    ("premise", "hypothesis"),
    RANKED,
    ("text",),
    ("sentence",),
    ("tokens",),
    ("words",),
)

# Columns of lists: of words, and of their tags.
WORD_COLUMNS = ("tokens", "words")
TAG_COLUMNS = ("ner_tags", "tags", "ner", "labels", "label")

# Rows of one first text, on average, from which on it is a query and they are its passages.
CANDIDATES = 2

# Lists and objects as JSON or Python write them; [yes] may be a class.
LISTED = re.compile(r"""[\[{]\s*([\[{"'\d-].*)?[\]}]""", re.DOTALL)

NOT_FINITE = ("inf", "infinity", "nan")


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


@dataclass(frozen=True)
class Columns:
    """Roles of a table's columns."""

    text: tuple[str, ...]
    label: tuple[str, ...]
    problem_type: ProblemType
    metric: str = ""
    """What models are judged by; empty: the usual metric of the problem type."""


def find_columns(table: Table, options: TaskOptions, head: TrainedHead | None) -> Columns:
    """Find the columns of text and labels, or of words and tags where there are lists of words; of text alone
    where the head learns from nothing else.

    Raises:
        EdgepressError: that is doubtful, or the head is of another kind.
    """
    if head is not None and head.problem_type == MASKED:
        text = text_columns(table.rows, table.where, options.text_columns)
        require_one_text(text, table.where)
        return Columns(text, (), MASKED)
    if vectors := _vector_columns(table, options, head):
        return vectors
    if _gives_vectors(head):  # an encoder, of which anything may be made
        head = None
    if answers := _answer_columns(table, options):
        _require_taken(head, QUESTIONS)
        return answers
    if words := _word_columns(table, options, head):
        _require_taken(head, TAGS)
        return Columns(words, _tag_columns(table, words, options), TAGS)
    text = text_columns(table.rows, table.where, options.text_columns)
    if head is not None and head.problem_type == TAGS:
        raise LabelMismatchError(
            f"{table.where} holds texts in {' and '.join(text)}, the model is for {TAGS}",
            "name a --task of the model's kind: lists of words with a tag each",
        )
    label = label_columns(table, text, options, head)
    if text == RANKED and options.problem_type is None:
        _require_relevance(table, label[0], head)
        options = replace(options, problem_type=RANKS) if _is_flag(table.column(label[0])) else options
    return Columns(text, label, problem_type_of(table, label, options, head))


def _require_relevance(table: Table, label: str, head: TrainedHead | None) -> None:
    """Raise for passages whose labels are not 0 and 1, where no trained head says what they are."""
    other = [value for value in table.column(label) if flag_number(value) not in (0, 1)]
    if head is None and other:
        raise EdgepressError(
            f"{table.where}: passages for queries are labelled 0 or 1 in column '{label}', and not "
            f"{'by nothing' if label_text(other[0]) is None else repr(other[0])}",
            f"mend the data; or --problem-type {SINGLE} or {VALUES}",
        )


def require_one_text(columns: Sequence[str], where: str) -> None:
    """Raise for pairs of texts, where a model reads one a row."""
    if len(columns) > 1:
        raise EdgepressError(
            f"{where} has texts in {' and '.join(columns)}, and the model reads one a row",
            f"name one: --text-columns {columns[-1]}",
        )


def _vector_columns(table: Table, options: TaskOptions, head: TrainedHead | None) -> Columns | None:
    """The columns of pairs or triples of texts; None where the table is not one for vectors.

    Raises:
        EdgepressError: the user says that it is one, and it has no two texts, or nothing beside them.
    """
    if options.problem_type not in (None, VECTORS):
        return None
    asked, given = options.problem_type == VECTORS, tuple(options.text_columns)
    together = tuple(name for name in TOGETHER if name in table.rows.column_names)
    if together[:MOST_TEXTS] == TOGETHER[:MOST_TEXTS] and given in ((), together):
        return Columns(together, (), VECTORS, "recall_at_1")
    if asked and len(given) == len(TOGETHER):
        return Columns(text_columns(table.rows, table.where, given), (), VECTORS, "recall_at_1")
    try:
        return _pair_columns(table, options) if asked or _gives_vectors(head) else None
    except EdgepressError:
        if asked:
            raise
        return None


def _gives_vectors(head: TrainedHead | None) -> bool:
    return head is not None and head.problem_type == VECTORS


def _pair_columns(table: Table, options: TaskOptions) -> Columns:
    """The columns of pairs of texts and one number.

    Raises:
        EdgepressError: the table has other texts or labels.
    """
    names = table.rows.column_names
    text = text_columns(table.rows, table.where, options.text_columns)
    scores = next(((name,) for name in (LABEL, *SCORES) if name in names), ())
    label = options.label_column or scores or label_columns(table, text, options, None)
    values = table.column(label[0])
    written = options.problem_type == VECTORS or all(label_number(value) is not None for value in values)
    if len(text) != MOST_TEXTS or len(label) > 1 or not written:
        raise EdgepressError(
            f"{table.where} has the texts {' and '.join(text)} and the labels {' and '.join(label)}: vectors "
            "are judged by pairs of texts with one score",
            "name them: --text-columns FIRST SECOND --label-column SCORE; or columns anchor, positive",
        )
    ranked = _is_flag(values) and _has_candidates(table.column(text[0]))
    return Columns(text, label, VECTORS, "map" if ranked else "spearman_cosine")


def _has_candidates(queries: Sequence[Any]) -> bool:
    """Whether a text mostly stands in several rows, as the query of several passages does."""
    return len(queries) >= CANDIDATES * len(set(map(str, queries)))


def _require_taken(head: TrainedHead | None, problem_type: ProblemType) -> None:
    """Raise for data of another kind than a trained head is of."""
    if head is not None and not head.takes(problem_type):
        own = head.problem_type or f"classifier of {len(head.labels)} labels"
        raise LabelMismatchError(
            f"the data are a {problem_type}, the model is a {own}", "name a --task of the model's kind"
        )


def _answer_columns(table: Table, options: TaskOptions) -> Columns | None:
    """The question, its context and its answers; None where the table has no column of answers."""
    text = options.text_columns or (QUESTION, CONTEXT)
    label = options.label_column or (ANSWERS,)
    there = {*text, *label} <= {*table.rows.column_names}
    if not there or len(text) != MOST_TEXTS or len(label) > 1:
        return None
    if _holds_objects(table.rows, label[0]):
        return Columns(text, label, QUESTIONS)
    if options.text_columns or options.label_column:
        return None
    raise EdgepressError(
        f"{table.where}: column '{ANSWERS}' holds no answers with a text and a start each in every row",
        ANSWERS_FORM,
    )


def _holds_objects(dataset: Dataset, column: str) -> bool:
    """Whether the values of a column are objects with fields."""
    return bool(types.is_struct(dataset.data.schema.field(column).type))


def holds_lists(dataset: Dataset, column: str) -> bool:
    """Whether the values of a column are lists."""
    kind = dataset.data.schema.field(column).type
    return bool(types.is_list(kind) or types.is_large_list(kind))


def _word_columns(table: Table, options: TaskOptions, head: TrainedHead | None) -> tuple[str, ...]:
    """The column of the words; none where the table has no lists of words, or is one of labelled texts."""
    there = [name for name in options.text_columns or WORD_COLUMNS if name in table.rows.column_names]
    found = tuple(name for name in there if holds_lists(table.rows, name))[:1]
    if options.text_columns or (head is not None and head.problem_type == TAGS):
        return found
    texts = {name for columns in TEXT_COLUMNS for name in columns} - {*WORD_COLUMNS}
    names = {name for name in table.rows.column_names if not holds_lists(table.rows, name)}
    if names & texts and (LABEL in names or not _listed(table, found)):
        return ()
    if there and not found:
        raise EdgepressError(
            f"{table.where}: column '{there[0]}' holds text, not lists of words",
            "lists stand in .jsonl, .parquet or CoNLL files (.conll); --text-columns takes it as text",
        )
    return found


def _listed(table: Table, words: Sequence[str]) -> list[str]:
    """The columns of lists, but for the words."""
    return [name for name in table.rows.column_names if name not in words and holds_lists(table.rows, name)]


def _tag_columns(table: Table, words: Sequence[str], options: TaskOptions) -> tuple[str, ...]:
    """The column of the tags: the one that is named, of a usual name, or the only list beside the words."""
    for name in options.label_column:
        table.column(name)
    listed = _listed(table, words)
    usual = [name for name in TAG_COLUMNS if name in listed]
    found = [name for name in options.label_column if name in listed] if options.label_column else usual
    if not found and not options.label_column and len(listed) == 1:
        found = listed
    if not found:
        raise EdgepressError(
            f"{table.where} has words in '{words[0]}', and no list of tags beside it; it has "
            f"{table.rows.column_names}",
            "name it: --label-column COLUMN",
        )
    return (found[0],)


def text_columns(dataset: Dataset, where: Path | str, given: Sequence[str] = ()) -> tuple[str, ...]:
    """Find the columns that hold the text: those given, or a known name or pair of names.

    Raises:
        EdgepressError: a column is not there, or none or several have known names.
    """
    for column in given:
        if column not in dataset.column_names:
            raise EdgepressError(
                f"{where} has no column '{column}'; it has {dataset.column_names}",
                "name one of these: --text-columns COLUMN",
            )
    if given:
        return tuple(given)
    known = [columns for columns in TEXT_COLUMNS if set(columns) <= set(dataset.column_names)]
    known = [columns for columns in known if not any(set(columns) < set(other) for other in known)]
    known = [columns for columns in known if columns[0] not in WORD_COLUMNS] or known[:1]
    if len(known) == 1:
        return known[0]
    if known:
        raise EdgepressError(
            f"{where} has text in {' or '.join(' and '.join(columns) for columns in known)}",
            f"say which: --text-columns {' '.join(known[0])}",
        )
    raise EdgepressError(
        f"{where} has no column 'text'; it has {dataset.column_names}",
        "name it by --text-columns: one column, or two for pairs",
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
    return (
        name not in text
        and not listed
        and not _holds_lists_as_text(table.column(name))
        and name.strip().lower() not in ROW_NUMBERS
    )


def _holds_lists_as_text(values: Iterable[Any]) -> bool:
    """Whether all values are lists or objects, which a file of rows may hold as text."""
    known = [str(value).strip() for value in values if label_text(value) is not None]
    return bool(known) and all(map(LISTED.fullmatch, known))


def _is_flag(values: Iterable[Any]) -> bool:
    return all(flag_number(value) in (0, 1) for value in values)


def problem_type_of(
    table: Table, label: Sequence[str], options: TaskOptions, head: TrainedHead | None
) -> ProblemType:
    """Infer the problem type: as the user says, as the trained head says, else by the labels' values.

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
    _require_taken(head, found)
    if found != MULTI and len(label) > 1:
        raise EdgepressError(f"a {found} has one label column, not {len(label)}", "name one --label-column")
    return found


def _by_values(table: Table, label: Sequence[str]) -> ProblemType:
    if len(label) > 1:
        return MULTI
    values = [value for value in table.column(label[0]) if label_text(value) is not None]
    if not values or any(isinstance(value, list | dict) for value in values) or _holds_lists_as_text(values):
        raise EdgepressError(
            f"{table.where}: column '{label[0]}' holds no numbers and no class names",
            "name another --label-column; several labels at once are a 0/1 column each, named entities lists "
            "of words with a tag each",
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
