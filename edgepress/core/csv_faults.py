"""Faults of a table of text cells that pandas reads over, or gives another line number of."""

import csv
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepress.core.errors import EdgepressError

CLOSE = 'close the quote: a text stands between two, "...", and a quote inside it is written twice, ""'


def refuse_open_quote(path: Path, separator: str) -> None:
    """Raise for a quote that is not closed where its cell ends: what follows would be read as one text.

    A cell with more than a line that goes on behind its closing quote is one: the quote of the next text has
    closed it.

    Raises:
        EdgepressError: there is one; the message names its line.
    """
    try:
        with _cells_of_any_length():
            _read_strictly(path, separator)
    except csv.Error:  # also of what is no open quote
        text = path.read_text(encoding="utf-8-sig")
        if (line := _open_quote(text, separator)) is not None:
            raise EdgepressError(
                f"{path}: unreadable: a quote is opened in line {line} and not closed", CLOSE
            ) from None


def more_cells(path: Path, separator: str) -> str:
    """Say which row has more cells than there are headings, by its line as an editor counts; empty without
    one.
    """
    with _cells_of_any_length(), path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=separator)
        headings, before = 0, 0
        for row in reader:
            headings = headings or len(row)
            if len(row) > headings:
                return f"line {before + 1} has {len(row)} cells, not {headings}"
            before = reader.line_num
    return ""


def _read_strictly(path: Path, separator: str) -> None:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for _ in csv.reader(stream, delimiter=separator, strict=True):
            pass


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    usual = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


def _open_quote(text: str, separator: str) -> int | None:
    """Line of the first quote that is opened and not closed where its cell ends; None without one."""
    end = rf"[^{re.escape(separator)}\n]*"
    cell = re.compile(rf'(?P<quoted>"[^"]*(?:""[^"]*)*(?P<closed>"(?!"))?)?(?P<rest>{end})')
    at = 0
    while at < len(text):
        found = cell.match(text, at)
        assert found is not None, "a cell may be empty"
        quoted, rest = found["quoted"] or "", found["rest"].strip("\r")
        if quoted and (not found["closed"] or ("\n" in quoted and rest)):
            return text.count("\n", 0, at) + 1
        at = found.end() + 1
    return None
