"""The files of a data folder: which of them is which split, and the rows of each.

Rows are read into memory: no cache, and any path is only a path.
"""

import csv
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import pandas
import pyarrow
from datasets import Dataset
from pandas.errors import ParserError, ParserWarning
from pyarrow import parquet

from edgepress.core.errors import EdgepressError, did_you_mean
from edgepress.core.split_record import SPLITS

# Words and tags, one a line, texts apart by an empty line (CoNLL-2003).
CONLL = (".conll", ".iob", ".iob2", ".bio")
WORDS, TAGS = "tokens", "ner_tags"
WORD_AND_TAG = 2
COMMENT, DOCUMENT = "#", "-DOCSTART-"
# What `read_rows` reads.
TABLES = (".parquet", ".csv", ".tsv", ".jsonl", ".json", *CONLL)
# Names that people give a split, in lower case.
ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "testing": "test",
}
# SQuAD's files have their format's version behind the split: train-v1.1.json.
VERSION = re.compile(r"-v\d+(\.\d+)*$")
# How the Hub stores a split in several files.
SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})")

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
"""How cells of a text table may be separated, in words."""
REPAIRS = {
    (".csv", ".tsv"): 'put texts that hold the separator or a line break between quotes: "..."',
    (".json", ".jsonl"): 'write one object a line: {"text": "...", "label": "..."}',
    CONLL: "write a word and its tag on each line, and an empty line between texts",
    (".parquet",): "write the file again, for example with pandas.DataFrame.to_parquet",
}
"""Endings -> what mends an unreadable file."""
PANDAS_SAYS = "Error tokenizing data. C error: "
NEEDS_ROWS = "a table is a line of headings, such as text,label, and a row for each text below it"

# By which a folder is a model's.
MODEL_CONFIG, PICKLED = "config.json", "pytorch_model*.bin"


def split_name(name: str) -> str:
    """The split that a file's or a flag's name means: `val`, `Dev` and `validation` are one."""
    return ALIASES.get(name.lower(), name.lower() if name.lower() in SPLITS else name)


def split_of(path: Path) -> str:
    """The split that a table's name means; of a shard's the part before its number."""
    return split_name(_stem(path))


def _stem(path: Path) -> str:
    shard = SHARD.fullmatch(path.stem)
    return shard["split"] if shard else VERSION.sub("", path.stem)


def find_splits(folder: Path, preferred: Sequence[str] = ()) -> dict[str, list[Path]]:
    """The files of each split in a folder: of train, validation and test, and of every other name.

    Args:
        folder: holds `train.csv`, `dev.csv`, ..., or the Hub's shards, also in a folder `data` of its own.
        preferred: names of files, with or without their ending, that are taken where two could be a split.

    Raises:
        EdgepressError: two files could be the same split, or a shard is missing.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(tables(folder)):
        shard = SHARD.fullmatch(path.stem)
        named = f"{_stem(path)}-?{path.suffix}" if shard else path.name
        found.setdefault(split_of(path), {}).setdefault(named, []).append(path)
    return {split: _only(folder, split, files, preferred) for split, files in found.items()}


def in_order(splits: Iterable[str]) -> list[str]:
    """Names of splits with the usual ones first."""
    names = list(splits)
    return [*(split for split in SPLITS if split in names), *sorted({*names} - {*SPLITS})]


def no_split(where: object, split: str, known: Iterable[str]) -> EdgepressError:
    """The error for a split that is not there, with the nearest name and all that are.

    Args:
        where: the data, in words.
        split: as it was typed.
        known: names of the splits that there are.
    """
    names = in_order(known)
    return EdgepressError(
        f"no split '{split}' of {where}", f"{did_you_mean(split, names)}it has {', '.join(names)}"
    )


def tables(folder: Path) -> list[Path]:
    """The tables in a data folder or, where it has none itself, in its folder `data`.

    Raises:
        EdgepressError: it is a model's folder.
    """
    if ((folder / MODEL_CONFIG).is_file() and any(folder.glob("*.safetensors"))) or any(folder.glob(PICKLED)):
        raise EdgepressError(f"{folder} is a model, not a data folder", "name the folder of the texts")
    nested = folder / "data"
    own = _files(folder)
    return own or (_files(nested) if nested.is_dir() else [])


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in TABLES and path.is_file()]


def _only(folder: Path, split: str, files: dict[str, list[Path]], preferred: Sequence[str]) -> list[Path]:
    if len(files) > 1:
        files = {name: paths for name, paths in files.items() if _is_any(name, preferred)} or files
    if len(files) > 1:
        first, second, *_ = files
        named = f", or name what to score on: --split {Path(first).stem}"
        alike = Path(first).stem == Path(second).stem  # the flag would name both
        raise EdgepressError(
            f"{folder} has {first} and {second}: both could be the {split} split",
            f"move one of them out of the folder{'' if split == 'train' or alike else named}",
        )
    (paths,) = files.values()
    shard = SHARD.fullmatch(paths[0].stem)
    if shard and len(paths) != int(shard["count"]):
        raise EdgepressError(
            f"{folder}: {len(paths)} of {int(shard['count'])} files of the {split} split are there",
            "fetch the others",
        )
    return paths


def _is_any(name: str, preferred: Sequence[str]) -> bool:
    return name in preferred or Path(name).stem in preferred


def read_rows(path: Path) -> Dataset:
    """The rows of a file, as its ending says.

    Raises:
        ValueError, OSError or an exception of pyarrow: the file is unreadable.
    """
    return READERS[path.suffix.lower()](path)


def repair_hint(path: Path) -> str:
    """Return what mends an unreadable table, by its ending."""
    return next(hint for endings, hint in REPAIRS.items() if path.suffix.lower() in endings)


def _read_csv(path: Path) -> Dataset:
    """The cells as they are written: pandas by itself takes "None" and "n/a" for missing, and 007 for 7."""
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    from edgepress.core.csv_faults import more_cells, refuse_open_quote

    refuse_open_quote(path, separator)
    _check_headings(path, separator)
    with warnings.catch_warnings():
        # A row with more cells than headings: a text with a comma and no quotes.
        warnings.simplefilter("error", ParserWarning)
        try:
            table = pandas.read_csv(path, sep=separator, dtype=str, keep_default_na=False, index_col=False)
        except (ParserWarning, ParserError) as error:
            said = more_cells(path, separator) or str(error).removeprefix(PANDAS_SAYS)
            raise ValueError(said) from None
    return Dataset.from_pandas(table, preserve_index=False)


def _check_headings(path: Path, separator: str) -> None:
    """Look at the line of headings before pandas does, which would rename the second of two.

    Raises:
        ValueError: it cannot be read.
        EdgepressError: there is none, it has two of one name, or another separator only.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        headings = stream.readline()
        stream.seek(0)
        try:
            names = next(csv.reader(stream, delimiter=separator), [])
        except csv.Error as error:
            raise ValueError(f"line 1: {error}") from None
    if not headings.strip():
        raise EdgepressError(f"{path} is empty", NEEDS_ROWS)
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise EdgepressError(f"{path} has two columns named '{twice}'", "rename one of them")
    _refuse_other_separator(path, headings, separator)


def _refuse_other_separator(path: Path, headings: str, separator: str) -> None:
    """Raise where the line of headings has another separator only: spreadsheets of many countries write `;`.

    Raises:
        EdgepressError: names it.
    """
    other = max(SEPARATORS, key=headings.count)
    if separator in headings or other not in headings:
        return
    raise EdgepressError(
        f"{path} is separated by {SEPARATORS[other]}, not by {SEPARATORS[separator]}",
        f"a .csv has commas, a .tsv tabs: pandas.read_csv({path.name!r}, sep={other!r})"
        ".to_csv('NEW.csv', index=False)",
    )


def _read_parquet(path: Path) -> Dataset:
    with path.open("rb") as stream:  # a path of pyarrow's own would be a URL or a partitioned folder
        return Dataset(parquet.ParquetFile(stream).read())


def _read_json(path: Path) -> Dataset:
    """JSON lines, one list of objects, or SQuAD's format; a row lacks what other rows have."""
    from edgepress.core.squad import squad_rows

    try:
        asked = squad_rows(path)
        rows: list[Mapping[str, Any]] = list(_json_rows(path) if asked is None else asked)
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


def _read_conll(path: Path) -> Dataset:
    """The first column as words, the last as their tags; documents' marks and comments are left out.

    Raises:
        ValueError: a line has no tag, or other columns than the first has; or the first column counts words.
    """
    text = path.read_text(encoding="utf-8-sig")
    tabs = "\t" in text
    lines = [*enumerate((_conll_cells(line, tabs) for line in text.split("\n")), 1)]
    told = [(number, len(cells)) for number, cells in lines if len(cells) > 1 and cells[0] != COMMENT]
    first, wanted = told[0] if told else (1, WORD_AND_TAG)
    rows: list[list[tuple[str, str]]] = [[]]
    for number, cells in lines:
        if not cells:
            rows.append([])
        elif _is_comment(cells, wanted):
            continue
        elif len(cells) == 1:
            raise ValueError(f"line {number} has a word and no tag")
        elif len(cells) != wanted:
            raise ValueError(f"line {number} has {len(cells)} columns, and line {first} {wanted}")
        else:
            rows[-1].append((cells[0], cells[-1].strip()))
    texts = [row for row in rows if row]
    parts = [[[own[at] for own in row] for row in texts] for at in (0, 1)]
    if any(len(row) > 1 for row in texts) and all(map(_counted, parts[0])):
        raise ValueError("the first column counts the words: leave it out")
    return Dataset(pyarrow.table(dict(zip((WORDS, TAGS), map(pyarrow.array, parts), strict=True))))


def _conll_cells(line: str, tabs: bool) -> list[str]:
    """The columns of a line; none of an empty one, and of a document's mark.

    Args:
        line: without its end.
        tabs: whether tabs stand between columns in its file: then what begins with # and has none is a
            comment, as one word is.
    """
    kept = line.strip(" \t")
    # A space that does not break is part of a word.
    cells = kept.split("\t") if "\t" in kept else [cell for cell in kept.split(" ") if cell]
    if not kept.strip() or cells[0] == DOCUMENT:
        return []
    return [kept] if tabs and cells[0] == COMMENT and "\t" not in kept else cells


def _is_comment(cells: Sequence[str], columns: int) -> bool:
    """Whether a line is a comment: # is a word, too, and stands beside a tag then."""
    return cells[0] == COMMENT and len(cells) != columns if len(cells) > 1 else cells[0][0] == COMMENT


def _counted(words: Sequence[str]) -> bool:
    return list(words) == [str(number) for number in range(1, len(words) + 1)]


def _column(values: Sequence[Any]) -> pyarrow.Array:
    """The column in the type of its values; where they have none in common, text as JSON writes it."""
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowException, OverflowError):
        texts = (value if isinstance(value, str | None) else json.dumps(value) for value in values)
        return pyarrow.array(texts, pyarrow.string())


READERS: dict[str, Callable[[Path], Dataset]] = {
    **dict.fromkeys(CONLL, _read_conll),
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json,
    ".json": _read_json,
}
