"""Data of named entities: which files and columns are taken, whose tags they are, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Result
from datasets import ClassLabel, Dataset, Features, Value
from entities import tagged_texts, write_entities, write_tagged

import edgepress
from edgepress.core.corpus import load_corpus
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model
from edgepress.core.own_split import split_beside
from edgepress.core.splits import load_split, read_table
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TaskOptions

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def _data(own_cache: None, monkeypatch: pytest.MonkeyPatch, entities: Path) -> None:
    monkeypatch.setenv("EDGEPRESS_DATA", str(entities.parent))


def test_conll_files_and_numbers_are_the_same_data(
    cli: Cli, entity_model: Path, entities: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "conll"
    folder.mkdir()
    for split in ("train", "validation"):
        rows = [json.loads(line) for line in (entities / f"{split}.jsonl").read_text().splitlines()]
        blocks = [
            "".join(f"{word} X {tag}\n" for word, tag in zip(row["tokens"], row["ner_tags"], strict=True))
            for row in rows
        ]
        (folder / f"{split}.conll").write_text("-DOCSTART- X O\n\n" + "\n".join(blocks))
    model = edgepress.load(entity_model, task=str(folder))
    assert model.evaluate().score == pytest.approx(edgepress.load(entity_model).evaluate().score)


def test_splits_that_declare_other_tags_are_refused(cli: Cli, bare_encoder: Path, tmp_path: Path) -> None:
    names = ["O", "B-WORK", "I-WORK", "B-PART", "I-PART"]
    for split, own in (("train", names), ("validation", names[::-1])):
        rows = [
            {"tokens": words, "ner_tags": [own.index(tag) for tag in tags]} for words, tags in tagged_texts()
        ]
        features = Features(tokens=[Value("string")], ner_tags=[ClassLabel(names=own)])
        (tmp_path / "data").mkdir(exist_ok=True)
        Dataset.from_list(rows, features=features).to_parquet(tmp_path / "data" / f"{split}.parquet")
    flags = ("--model", bare_encoder, "--task", tmp_path / "data", "--output", tmp_path / "out")
    result = cli("compress.finetune", *flags)
    assert result.code == 2
    assert "of validation declares the tags ['I-PART', 'B-PART', " in result.error
    (tmp_path / "data" / "validation.parquet").unlink()
    (tmp_path / "data" / "train.parquet").rename(tmp_path / "data" / "validation.parquet")
    judged = edgepress.load(bare_encoder, task=str(tmp_path / "data")).opened
    assert judged.labels == tuple(names)


def test_a_single_conll_file_is_split(tmp_path: Path) -> None:
    blocks = ["".join(f"{word}\t{tag}\n" for word, tag in zip(*own, strict=True)) for own in tagged_texts()]
    table = tmp_path / "all.conll"
    table.write_text("\n".join(blocks))
    folder = split_beside(table, tmp_path / "out", TaskOptions(), overwrite=False)
    task = find_task(str(folder))
    counts = [len(load_split(task, split)) for split in ("train", "validation")]
    assert sum(counts) == len(blocks)
    assert counts[1] == pytest.approx(len(blocks) / 5, abs=2)
    assert load_corpus(str(table)).texts[0] == " ".join(tagged_texts()[0][0])


COLUMNS = {
    "text beside words and tags": ({"text": "a b", "tokens": ["a", "b"], "ner_tags": ["O", "B-X"]}, "tokens"),
    "a label beside a text, and words": ({"text": "a b", "tokens": ["a", "b"], "label": "x"}, "text"),
    "words under other names": ({"words": ["a", "b"], "marks": ["O", "B-X"]}, "words"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_which_columns_hold_words(tmp_path: Path, case: str) -> None:
    row, column = COLUMNS[case]
    other = {**row, **({"label": "y"} if "label" in row else {})}
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(other)}\n")
    task = find_task(str(tmp_path))
    assert task.text_columns == (column,)
    assert (task.problem_type == "token_classification") == (column != "text")


BROKEN: dict[str, tuple[list[Any], str]] = {
    "I after O": ([(["the", "film"], ["O", "I-WORK"])], "tag 2 is I-WORK"),
    "no words": ([([], [])], "row 1: no list of words in column 'tokens'"),
    "more words than tags": ([(["the", "film"], ["O"])], "2 words, and 1 tags"),
    "a word with a space": ([(["the film"], ["B-WORK"])], "'the film' in column 'tokens' is no word"),
    "a tag without a scheme": ([(["film"], ["WORK"])], "'WORK' is neither O nor B-TYPE"),
    "a type that train lacks": (
        [(["film"], ["B-ACTOR"])],
        "validation has tags of 'ACTOR', and train has none",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_input_is_one_line_and_nothing_is_written(
    cli: Cli, bare_encoder: Path, tmp_path: Path, case: str
) -> None:
    rows, word = BROKEN[case]
    folder = write_entities(tmp_path / "data")
    write_tagged(folder / "validation.jsonl", [*tagged_texts()[:3], *rows])
    if "row 1" in word:
        write_tagged(folder / "validation.jsonl", [*rows, *tagged_texts()[:3]])
    out = tmp_path / "out"
    result = cli("compress.finetune", "--model", bare_encoder, "--task", folder, "--output", out)
    assert (result.code, out.exists()) == (2, False), result.err
    assert word in result.error
    assert result.err.count("\n") <= 4


CONLL: dict[str, tuple[str, str]] = {
    "columns that differ": ("a O\nNew York B-LOC\n", "line 2 has 3 columns, and line 1 2"),
    "a tag that is missing": ("a x O\nb y\n", "line 2 has 2 columns, and line 1 3"),
    "words that are counted": ("1 a O\n2 b B-X\n\n1 c O\n", "the first column counts the words"),
    "no tag": ("a O\nb\n", "line 2 has a word and no tag"),
}


@pytest.mark.parametrize("case", CONLL)
def test_a_conll_file_that_is_not_right(tmp_path: Path, case: str) -> None:
    text, word = CONLL[case]
    (tmp_path / "train.conll").write_text(text)
    with pytest.raises(EdgepressError, match=word):
        read_table([tmp_path / "train.conll"])


def test_what_is_a_word_of_a_conll_file(tmp_path: Path) -> None:
    marks = "-DOCSTART- -X-\n\n# id = 1\n#alone\n"
    (tmp_path / "a.conll").write_text(
        f"{marks}# O\n#tag O\nNew\u00a0York B-X\nb\u2028c O\n", encoding="utf-8"
    )
    rows = read_table([tmp_path / "a.conll"])
    assert list(rows["tokens"]) == [["#", "#tag", "New\u00a0York", "b\u2028c"]]
    (tmp_path / "b.conll").write_text("# a b\nthe\t-\tO\n# tag\n#\t-\tO\n")
    assert list(read_table([tmp_path / "b.conll"])["tokens"]) == [["the", "#"]]


def test_a_row_is_that_of_the_table(tmp_path: Path) -> None:
    rows = tagged_texts()[:20]
    table = write_tagged(tmp_path / "all.jsonl", [*rows[:12], (["the", "film"], ["O", "I-PART"]), *rows[12:]])
    with pytest.raises(EdgepressError, match=r"all.jsonl, row 13: tag 2 is I-PART"):
        split_beside(table, tmp_path / "out", TaskOptions(), overwrite=False)


def test_a_split_without_entities_is_not_judged(tmp_path: Path) -> None:
    folder = write_entities(tmp_path / "data")
    write_tagged(folder / "validation.jsonl", [(["her", "script"], ["O", "O"])])
    with pytest.raises(EdgepressError, match="validation has no entities"):
        load_split(find_task(str(folder)), "validation")


def test_characters_of_entities_are_no_classes(tmp_path: Path) -> None:
    rows = [{"text": f"{name} ran", "entities": [[0, len(name), "PER"]]} for name in ("Ada", "Robert") * 4]
    table = tmp_path / "spans.jsonl"
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(EdgepressError, match="has no column 'label'"):
        find_task(str(table))
    with pytest.raises(EdgepressError, match="holds no numbers and no class names"):
        find_task(str(table), options=TaskOptions(label_column=("entities",)))


def test_a_class_may_stand_in_brackets(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("text,label\na,[yes]\nb,[no]\n")
    assert find_task(str(tmp_path / "all.csv")).labels == ("[no]", "[yes]")
    (tmp_path / "all.csv").write_text("text,label\na,\"['yes', 'no']\"\nb,[]\n")
    with pytest.raises(EdgepressError, match="holds no numbers and no class names"):
        find_task(str(tmp_path / "all.csv"))


def test_a_word_longer_than_the_model_is_refused(cli: Cli, bare_encoder: Path, tmp_path: Path) -> None:
    folder = write_entities(tmp_path / "data")
    write_tagged(folder / "validation.jsonl", [(["the", "filmscriptstory"], ["O", "O"]), *tagged_texts()[:3]])
    flags = ("--model", bare_encoder, "--task", folder, "--output", tmp_path / "out", "--max-length", 4)
    result = cli("compress.finetune", *flags)
    assert result.code == 2
    assert "is longer" in result.error or "tokens, and the model reads 2" in result.error


def test_types_go_by_other_names_where_the_map_says_so(
    cli: Cli, entity_model: Path, entities: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "renamed"
    for split in ("train", "validation"):
        text = (entities / f"{split}.jsonl").read_text().replace("-WORK", "-title").replace("-PART", "-bit")
        folder.mkdir(exist_ok=True)
        (folder / f"{split}.jsonl").write_text(text)
    flags = ("--model", entity_model, "--task", folder, "--output", tmp_path / "out", "--eval-samples", 6)
    refused = cli("export.onnx", *flags)
    assert refused.code == 2
    assert "the labels do not fit" in refused.error
    assert "--label-map" in refused.err
    unknown = cli("export.onnx", *flags, "--label-map", "title=WORK", "bit=PART", "other=PART")
    assert "no tag and no type 'other'" in unknown.error
    renamed = edgepress.load(entity_model, task=str(folder), label_map={"title": "WORK", "bit": "PART"})
    assert renamed.evaluate().score == edgepress.load(entity_model).evaluate().score
    task = find_task(str(folder), options=TaskOptions(label_map={"title": "WORK", "bit": "O"}))
    assert task.labels == ("O", "B-WORK", "I-WORK")
    kept, whole = (
        load_split(task, "validation").labels,
        load_split(find_task(str(entities)), "validation").labels,
    )
    assert set(kept[whole > 0].tolist()) == {0, 1, 2}


def test_numbers_without_names_ask_for_them(cli: Cli, bare_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    names = ["O", "B-WORK", "I-WORK", "B-PART", "I-PART"]
    numbered = [(words, [names.index(tag) for tag in tags]) for words, tags in tagged_texts()]
    for split in ("train", "validation"):
        write_tagged(folder / f"{split}.jsonl", numbered)  # type: ignore[arg-type]
    flags = ("--model", bare_encoder, "--task", folder, "--output", tmp_path / "out", "--epochs", 0.1)
    refused = cli("compress.finetune", *flags)
    assert refused.code == 2
    assert "tags are numbers" in refused.error
    said = ("--label-map", *(f"{number}={name}" for number, name in enumerate(names)))
    result = cli("compress.finetune", *flags, *said)
    assert result.code == 0, result.err
    again = open_model(str(tmp_path / "out"), task=str(folder))
    assert again.scored
    assert set(again.labels) == set(names)
