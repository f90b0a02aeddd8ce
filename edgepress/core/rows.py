"""The rows of one CSV, JSON or Parquet file, read into memory: no cache, and any path is only a path."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import pandas
import pyarrow
from datasets import Dataset
from pandas.errors import ParserWarning
from pyarrow import parquet


def read_rows(path: Path) -> Dataset:
    """The rows of a file, as its ending says.

    Raises:
        ValueError, OSError or an exception of pyarrow: the file is unreadable.
    """
    return READERS[path.suffix.lower()](path)


def _read_csv(path: Path) -> Dataset:
    """The cells as they are written: pandas by itself takes "None" and "n/a" for missing, and 007 for 7."""
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    with warnings.catch_warnings():
        # A row with more cells than headings: a text with a comma and no quotes.
        warnings.simplefilter("error", ParserWarning)
        try:
            table = pandas.read_csv(path, sep=separator, dtype=str, keep_default_na=False, index_col=False)
        except ParserWarning:
            raise ValueError("rows have more cells than the first line has headings") from None
    return Dataset.from_pandas(table, preserve_index=False)


def _read_parquet(path: Path) -> Dataset:
    with path.open("rb") as stream:  # a path of pyarrow's own would be a URL or a partitioned folder
        return Dataset(parquet.ParquetFile(stream).read())


def _read_json(path: Path) -> Dataset:
    """JSON lines, or one list of objects; a row lacks what other rows have."""
    try:
        rows = list(_json_rows(path))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    names = dict.fromkeys(name for row in rows for name in row)
    return Dataset(pyarrow.table({name: _column([row.get(name) for row in rows]) for name in names}))


def _json_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig") as stream:
        if stream.read(1) == "[":
            stream.seek(0)
            yield from (_object(row, f"row {number}") for number, row in enumerate(json.load(stream)))
            return
        stream.seek(0)
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield _object(_parsed(line, number), f"line {number}")


def _parsed(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except JSONDecodeError as error:
        raise ValueError(f"line {number}: {error.msg} (column {error.colno})") from error


def _object(row: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise ValueError(f"{where} is no JSON object")
    return row


def _column(values: Sequence[Any]) -> pyarrow.Array:
    """The column in the type of its values; where they have none in common, text as JSON writes it."""
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowException, OverflowError):
        texts = (value if isinstance(value, str | None) else json.dumps(value) for value in values)
        return pyarrow.array(texts, pyarrow.string())


READERS: dict[str, Callable[[Path], Dataset]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json,
    ".json": _read_json,
}
