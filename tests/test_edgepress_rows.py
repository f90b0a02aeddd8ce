"""Rows of a file: whatever its path is called, without a cache, and in the types that they have."""

import json
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from edgepress.core.errors import EdgepressError
from edgepress.core.splits import read_table
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TaskOptions

ROWS = [{"text": "a quiet delight", "label": "good"}, {"text": "a tedious mess", "label": "bad"}]
ODD_NAMES = (
    "data [v2]",
    "data*",
    "data?",
    "a{b}",
    "two words",
    "it's",
    'a "quote"',
    "données",
    "数据",
    "a#b",
    "a%20b",
    "**",
    "[!a]",
    "file::x",
    "-flag",
    "~",
    "$HOME",
    "a=1",
    "a\nb",
)


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        Dataset.from_list(ROWS).to_pandas().to_parquet(path)
    elif path.suffix in (".csv", ".tsv"):
        Dataset.from_list(ROWS).to_pandas().to_csv(
            path, sep="\t" if path.suffix == ".tsv" else ",", index=False
        )
    elif path.suffix == ".json":
        path.write_text(json.dumps(ROWS, indent=1), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def read_text(path: Path, text: str) -> Dataset:
    path.write_text(text, encoding="utf-8")
    return read_table([path])


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".tsv", ".jsonl", ".json"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_of_any_name(tmp_path, name, ending):
    for split in ("train", "validation"):
        write(tmp_path / name / f"{split}{ending}")
    assert read_table([tmp_path / name / f"train{ending}"]).to_list() == ROWS
    assert find_task(str(tmp_path / name), None, TaskOptions(label_column=("label",))).labels == (
        "bad",
        "good",
    )


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl", ".json"])
def test_nothing_is_written(tmp_path, monkeypatch, ending):
    """Not even where a library has read its cache's place already."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache)
    read_table([write(tmp_path / "data" / f"train{ending}")])
    assert not cache.exists()


def test_classes_of_a_parquet_file_keep_their_names(tmp_path):
    features = Features({"label": ClassLabel(names=["no", "yes"]), "text": Value("string")})
    Dataset.from_dict({"label": [1, 0], "text": ["x", "y"]}, features).to_parquet(tmp_path / "train.parquet")
    assert read_table([tmp_path / "train.parquet"]).features["label"].names == ["no", "yes"]


def test_text_that_looks_like_a_date_stays_text(tmp_path):
    rows = read_text(tmp_path / "train.jsonl", '{"text": "2024-01-31"}\n{"text": "2024-02-01"}\n')
    assert rows["text"][:] == ["2024-01-31", "2024-02-01"]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ('{"a": 1}\n\n{"a": 2}', [1, 2]),
        ('\ufeff{"a": 1}\r\n{"a": 2}\r\n', [1, 2]),
        ('\ufeff[{"a": 1}, {"a": 2}]', [1, 2]),
        ('{"b": 0}\n{"a": 2}', [None, 2]),
        ('{"a": 1}\n{"a": 2.5}', [1.0, 2.5]),
        ('{"a": null}\n{"a": null}', [None, None]),
        ('{"a": 1}\n{"a": "x"}\n{"a": null}', ["1", "x", None]),
        ('{"a": true}\n{"a": 1}', ["true", "1"]),
        ('{"a": [1, 0]}\n{"a": []}', [[1, 0], []]),
        ('{"a": "\\u2028 line"}\n{"a": "x\\u0085y"}', ["\u2028 line", "x\x85y"]),
        ('{"a": "\u2028 line"}', ["\u2028 line"]),
        ('{"a": 1180591620717411303424}\n{"a": 1}', ["1180591620717411303424", "1"]),
    ],
)
def test_json_values(tmp_path, text, column):
    assert read_text(tmp_path / "train.json", text)["a"][:] == column


def test_nested_answers_stay_nested(tmp_path):
    row = {"answers": {"text": ["x"], "answer_start": [4]}}
    assert read_text(tmp_path / "train.jsonl", json.dumps(row)).to_list() == [row]


@pytest.mark.parametrize(
    ("name", "text", "says", "hint"),
    [
        ("a.csv", "text,label\nx,1\ny,0\nz, and more,0\n", "unreadable: line 4 has 3 cells, not 2", "quotes"),
        ("a.csv", 'text,label\n"x\nz",1\nz, and more,0\n', "line 4 has 3 cells, not 2", "quotes"),
        ("a.csv", "text,label\n\nz, and,0\n", "line 3 has 3 cells, not 2", "quotes"),
        ("a.csv", 'text,label\n"x,1\n', "a quote is opened in line 2 and not closed", "close the quote"),
        ("a.csv", 'text,label\r\nx,1\r\ny,"0\r\nz,1\r\n', "opened in line 3 and not closed", "close"),
        ("a.csv", 'text,label\n"x\ny",1\n\n"z,1\nw,0\n', "opened in line 5 and not closed", "close"),
        ("a.csv", '"text,label\nx,1\n', "opened in line 1 and not closed", "close"),
        ("a.csv", 'text,label\n"x,1\n"y",0\nz,1\n', "opened in line 2 and not closed", "close"),
        ("a.csv", f'text,label\n"{"x" * 200_000},1\ny,0\n', "opened in line 2 and not closed", "close"),
        ("a.tsv", 'text\tlabel\nx\t1\n"y, z\t0\n', "opened in line 3 and not closed", "close"),
        ("a.csv", "title,label,title\nx,1,y\n", "has two columns named 'title'", "rename"),
        ("a.tsv", "title\ttitle\nx\ty\n", "has two columns named 'title'", "rename"),
        ("a.jsonl", '{"text": 1', "unreadable: line 1", "one object a line"),
        ("a.conll", "word O\nalone\n", "unreadable: line 2", "tag"),
    ],
)
def test_a_broken_table_says_what_mends_it(tmp_path, name, text, says, hint):
    with pytest.raises(EdgepressError, match=says) as refused:
        read_text(tmp_path / name, text)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ('text,label\n"x ""y"" z",1\n', 'x "y" z'),
        ('text,label\n"x\n""y""\n",1\n', 'x\n"y"\n'),
        ('text,label\n12" x,1\n', '12" x'),
        ('text,label\n"x" y,1\n', "x y"),
        ('text,label\n"",1\n', ""),
        (f'text,label\n"{"x" * 200_000}",1\n', "x" * 200_000),
    ],
)
def test_quotes_that_are_closed(tmp_path, text, first):
    assert read_text(tmp_path / "a.csv", text)["text"][0] == first


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1}\n{"a": \n', "unreadable: line 2: Expecting value"),
        ('{"a": 1}\n[1, 2]\n', "unreadable: line 2 is no JSON object"),
        ("3\n", "unreadable: line 1 is no JSON object"),
        ("[1, 2]", "unreadable: row 0 is no JSON object"),
        ('[{"a": 1}', "unreadable: "),
        ("[]", "has no rows"),
        ("{}\n{}", "has no rows"),
        (" \n\n", "has no rows"),
        ("", "has no rows"),
        ('{"a": ' + "[" * 100_000, "unreadable: nested too deeply"),
        ("[" * 100_000, "unreadable: nested too deeply"),
        ('{"a": "\\ud800"}', "unreadable: "),
    ],
)
def test_json_that_is_none(tmp_path, text, says):
    with pytest.raises(EdgepressError, match=says) as refused:
        read_text(tmp_path / "train.json", text)
    assert "\n" not in str(refused.value)


def test_another_encoding_in_the_second_file(tmp_path):
    first, second = (write(tmp_path / f"train-0000{part}-of-00002.csv") for part in (0, 1))
    second.write_bytes("text,label\nun café,good\n".encode("latin-1"))
    with pytest.raises(EdgepressError, match=r"00001-of-00002\.csv is not UTF-8"):
        read_table([first, second])


def test_files_of_a_split_that_differ(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text('{"a": 1}')
    second.write_text('{"a": [1]}')
    with pytest.raises(EdgepressError, match=r"a\.jsonl and the others of its split differ"):
        read_table([first, second])


def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "train.csv").mkdir()
    with pytest.raises(EdgepressError, match="Is a directory"):
        read_table([tmp_path / "train.csv"])


@pytest.mark.parametrize(
    ("name", "content", "said", "hint"),
    [
        ("a.csv", "text;label\nfine, so;x\n", "is separated by semicolons, not by commas", "sep=';'"),
        ("a.csv", "text\tlabel\nfine\tx\n", "is separated by tabs, not by commas", r"sep='\t'"),
        ("a.tsv", "text,label\nfine,x\n", "is separated by commas, not by tabs", "sep=','"),
        ("a.csv", "", "is empty", "a line of headings, such as text,label"),
        ("a.csv", "text,label\n", "has no rows", "a row for each text"),
        ("a.jsonl", "", "has no rows", "a row for each text"),
    ],
)
def test_tables_without_rows_or_with_other_separators(tmp_path, name, content, said, hint):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(EdgepressError, match=said) as refused:
        read_table([path])
    assert hint in refused.value.hint
