"""The texts that a command is asked about: from flags, a file, or standard input."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepress.core.columns import holds_lists, text_columns
from edgepress.core.errors import EdgepressError
from edgepress.core.split_files import TABLES
from edgepress.core.splits import as_texts, join_texts, read_table, require_utf8, rows_of
from edgepress.core.tasks import MOST_TEXTS
from export.predict.config import PredictConfig

InputTexts = tuple[str, ...]
LINE = "\n"
WAYS = '--text "a film to remember", --file FILE, or - for standard input'


@dataclass(frozen=True)
class AskedTexts:
    """Texts that a model is asked about."""

    rows: list[InputTexts]
    """One text a row, or two for a model of pairs."""
    words: bool = False
    """Whether they are words with a space between: the column held lists of them."""


def read_texts(config: PredictConfig, columns: Sequence[str]) -> AskedTexts:
    """The texts that the flags name.

    Args:
        config: checked; with none of `text`, `file` and `stdin` standard input is read where it is no
            terminal.
        columns: of the texts that the model was trained on; empty where nobody recorded them.

    Raises:
        EdgepressError: there are no texts, or a row has not as many texts as the model reads.
    """
    wanted = config.text_columns or tuple(columns)
    count, words = len(wanted) if len(wanted) == MOST_TEXTS else 1, False
    if config.text:
        rows = _grouped(config.text, wanted if count > 1 else ("text",))
    elif config.file is not None and config.file.suffix.lower() in TABLES:
        rows, words = _from_table(config.file, wanted)
    elif config.file is not None:
        require_utf8(config.file)
        rows = _from_lines(config.file.read_text(encoding="utf-8").split(LINE), count, str(config.file))
    elif config.stdin is not None or not sys.stdin.isatty():
        rows = _from_lines(_standard_input(), count, "standard input")
    else:
        raise EdgepressError("no texts", WAYS)
    if not rows:
        where = "standard input" if config.file is None else config.file
        raise EdgepressError(f"no texts: {where} is empty, or every line of it", WAYS)
    return AskedTexts(rows, words)


def _grouped(texts: Sequence[str], columns: Sequence[str]) -> list[InputTexts]:
    count = len(columns)
    if len(texts) % count:
        raise EdgepressError(
            f"the model reads {count} texts at once ({' and '.join(columns)}), and --text has {len(texts)}",
            f"give both of each pair: --text {' '.join(name.upper() for name in columns)}",
        )
    rows = [tuple(texts[start : start + count]) for start in range(0, len(texts), count)]
    for row in rows:
        _require_text(row, "--text")
    return rows


def _standard_input() -> Iterable[str]:
    try:
        return sys.stdin.read().split(LINE)  # splitlines parts at more: a text may hold U+2028
    except UnicodeDecodeError as error:
        raise EdgepressError(
            "standard input is not UTF-8 text", "convert it, for example with iconv"
        ) from error


def _from_table(path: Path, wanted: Sequence[str]) -> tuple[list[InputTexts], bool]:
    """The texts of a table, and whether they are lists of words."""
    table, names = read_table([path]), rows_of([path], str(path))
    columns = text_columns(table, path, wanted)
    texts = [as_texts(table[column]) for column in columns]
    rows = list(zip(*([join_texts(texts)] if len(texts) > MOST_TEXTS else texts), strict=True))
    for number, row in enumerate(rows):
        _require_text(row, names.name(number))
    return rows, all(holds_lists(table, column) for column in columns)


def _from_lines(lines: Iterable[str], count: int, where: str) -> list[InputTexts]:
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            row = tuple(line.split("\t")) if count > 1 else (line,)
            if len(row) != count:
                raise EdgepressError(
                    f"{where}, line {number}: {len(row)} texts, and the model reads {count} at once",
                    "put a tab between them",
                )
            _require_text(row, f"{where}, line {number}")
            rows.append(row)
    return rows


def _require_text(row: Sequence[object], where: str) -> None:
    if not all(isinstance(text, str) and text.strip() for text in row):
        raise EdgepressError(f"{where}: an empty text", "drop or fill that row")
