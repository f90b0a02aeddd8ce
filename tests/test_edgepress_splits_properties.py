"""Data folders: whatever their files are called, each row keeps its split and its class."""

import csv
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepress.core.errors import EdgepressError
from edgepress.core.split_files import ALIASES, find_splits
from edgepress.core.split_record import SPLITS
from edgepress.core.splits import load_split
from edgepress.core.task_discovery import find_task

Row = tuple[str, str]
NAMES = {split: [split, *(name for name, own in ALIASES.items() if own == split)] for split in SPLITS}
CASES = st.sampled_from([str.lower, str.title, str.upper])


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    separator = "\t" if path.suffix == ".tsv" else ","
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=separator).writerows([("text", "label"), *rows])


def write_jsonl(path: Path, rows: Sequence[Row]) -> None:
    lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in rows]
    path.write_text("".join(lines), encoding="utf-8")


WRITERS: dict[str, Callable[[Path, Sequence[Row]], None]] = {
    ".csv": write_csv,
    ".tsv": write_csv,
    ".jsonl": write_jsonl,
}
CLASSES = st.lists(
    st.sampled_from(["None", "n/a", "bad", "Good", "so so", "ü", "1", "7"]), min_size=2, unique=True
)


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, str]:
    """Split -> name of its file; train and one more at least."""
    splits = ["train", *draw(st.sampled_from([["validation"], ["test"], ["validation", "test"]]))]
    return {
        split: draw(CASES)(draw(st.sampled_from(NAMES[split]))) + draw(st.sampled_from(sorted(WRITERS)))
        for split in splits
    }


@contextmanager
def folder_of(layout: dict[str, str], classes: Sequence[str]) -> Iterator[Path]:
    """A data folder whose rows say in their text which split and class they are of."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "data set")
        folder.mkdir()
        for split, file in layout.items():
            WRITERS[Path(file).suffix](folder / file, [(f"{split} of {label}", label) for label in classes])
        yield folder


@given(layouts(), CLASSES)
@settings(max_examples=15)
def test_each_row_keeps_its_split_and_its_class(layout: dict[str, str], classes: list[str]) -> None:
    with folder_of(layout, classes) as folder:
        task = find_task(str(folder))
        assert sorted(task.labels) == sorted(classes)
        assert task.evaluation_split == ("validation" if "validation" in layout else "test")
        for split in layout:
            rows = load_split(task, split)
            found = [
                (text, task.labels[int(label)])
                for (text,), label in zip(rows.texts, rows.labels, strict=True)
            ]
            assert found == [(f"{split} of {label}", label) for label in classes]


@given(st.sampled_from(SPLITS), st.data())
def test_two_files_of_one_split_are_refused_by_name(split: str, data: st.DataObject) -> None:
    first, second = data.draw(st.lists(st.sampled_from(NAMES[split]), min_size=2, max_size=2, unique=True))
    with tempfile.TemporaryDirectory() as name:
        for file in (first, second):
            write_csv(Path(name, f"{file}.csv"), [("fine", "good")])
        with pytest.raises(EdgepressError, match=f"could be the {split} split") as refused:
            find_splits(Path(name))
        assert f"{first}.csv" in str(refused.value)
        assert f"{second}.csv" in str(refused.value)
        assert find_splits(Path(name), [first])[split] == [Path(name, f"{first}.csv")]


@given(st.text(alphabet="abcdefgh", min_size=1, max_size=8).filter(lambda name: name not in ALIASES))
def test_a_file_of_another_name_is_a_split_of_its_own(name: str) -> None:
    with folder_of({"train": "train.csv", name: f"{name}.csv"}, ["bad", "good"]) as folder:
        assert set(find_splits(folder)) == {"train", name}
        with pytest.raises(EdgepressError, match="no validation and no test split") as refused:
            find_task(str(folder))
        assert f"--split {name}" in refused.value.hint
