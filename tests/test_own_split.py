"""One table for a task: split by itself, scored on what was held out, and the same split again later."""

import json
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import SENTENCES, write_split
from interrupting import stop

from edgepress.core.artifact import open_artifact
from edgepress.core.artifact_task import artifact_task
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256
from edgepress.core.own_split import (
    RECORD,
    provisional_split,
    record_of,
    split_again,
    split_beside,
    table_of,
)
from edgepress.core.split_files import read_rows
from edgepress.core.splits import held_out_splits, known_splits, load_split
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TaskOptions

TEAMS = {"positive": "sales", "negative": "support"}


def tickets(folder, ending="csv", rows=SENTENCES):
    """Titles and bodies, as a help desk exports them."""
    frame = pd.DataFrame(
        [
            {"id": number, "title": text, "body": f"please look at {number}", "team": TEAMS[label]}
            for number, (text, label) in enumerate(rows)
        ]
    )
    path = folder / f"tickets.{ending}"
    if ending == "parquet":
        frame.to_parquet(path, index=False)
    elif ending == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    return path


COLUMNS = ("--text-columns", "title", "--label-column", "team")
OPTIONS = TaskOptions(text_columns=("title",), label_column=("team",))


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_each_class_gives_a_fifth(tmp_path, ending):
    table = tickets(tmp_path, ending)
    folder = split_beside(table, tmp_path / "out", OPTIONS, overwrite=False)
    train, held = (read_rows(folder / f"{split}.{ending}") for split in ("train", "validation"))
    assert len(train) + len(held) == len(SENTENCES)
    whole, out = Counter(read_rows(table)["team"]), Counter(held["team"])
    assert {team: round(0.2 * count) for team, count in whole.items()} == dict(out)
    assert not {*train["title"]} & {*held["title"]}
    assert train.column_names == ["id", "title", "body", "team"]
    assert find_task(str(folder)).name == "tickets"


def test_a_text_that_occurs_twice_is_on_one_side(tmp_path):
    twice = [*SENTENCES, *((f" {text.upper()}", label) for text, label in SENTENCES)]
    folder = split_beside(tickets(tmp_path, rows=twice), tmp_path / "out", OPTIONS, overwrite=False)
    train, held = (read_rows(folder / f"{split}.csv")["title"] for split in ("train", "validation"))
    assert not {text.strip().lower() for text in train} & {text.strip().lower() for text in held}


def test_a_class_with_one_text_is_trained_on_and_said(tmp_path, capsys):
    table = tickets(tmp_path)
    with table.open("a") as stream:
        stream.write("999,the one of its kind,x,legal\n")
    folder = split_beside(table, tmp_path / "out", OPTIONS, overwrite=False)
    assert "class 'legal' has one text" in capsys.readouterr().err
    assert "legal" in read_rows(folder / "train.csv")["team"]
    assert "legal" not in read_rows(folder / "validation.csv")["team"]


def test_the_same_table_has_the_same_split(tmp_path, capsys):
    table = tickets(tmp_path)
    first = split_beside(table, tmp_path / "out", OPTIONS, overwrite=False)
    before = (first / "validation.csv").read_bytes()
    capsys.readouterr()
    assert split_beside(table, tmp_path / "out", OPTIONS, overwrite=False) == first
    assert "made before" in capsys.readouterr().err
    other = split_beside(table, tmp_path / "other", OPTIONS, overwrite=False)
    assert (other / "validation.csv").read_bytes() == before


def test_another_table_does_not_take_its_place(tmp_path):
    table = tickets(tmp_path)
    folder = split_beside(table, tmp_path / "out", OPTIONS, overwrite=False)
    table.write_text(table.read_text().replace("delight", "deligth"))
    with pytest.raises(EdgepressError, match="holds another split"):
        split_beside(table, tmp_path / "out", OPTIONS, overwrite=False)
    kept = record_of(folder)
    assert split_beside(table, tmp_path / "out", OPTIONS, overwrite=True) == folder
    assert record_of(folder) != kept


def test_too_few_rows(tmp_path):
    with pytest.raises(EdgepressError, match="too few to hold some out"):
        split_beside(tickets(tmp_path, rows=[SENTENCES[0]]), tmp_path / "out", OPTIONS, overwrite=False)
    assert not (tmp_path / "out-split").exists()


def test_classes_of_one_text_are_named_at_once(tmp_path, capsys):
    rows = [*SENTENCES, *((f"note {number}", "positive") for number in range(3))]
    table = tickets(tmp_path, rows=rows)
    frame = pd.read_csv(table)
    frame.loc[len(SENTENCES) :, "team"] = ["Legal", "HR", "Press"]
    frame.to_csv(table, index=False)
    split_beside(table, tmp_path / "out", OPTIONS, overwrite=False)
    said = " ".join(capsys.readouterr().err.split())
    assert "3 classes 'HR', 'Legal', 'Press' have one text each" in said
    assert said.count("warning") == 1


def test_a_column_of_ids_is_no_label(tmp_path, capsys):
    options = TaskOptions(text_columns=("title",), label_column=("body",))
    with pytest.raises(EdgepressError, match=r"classes in \d+ rows: is 'body' the label\?"):
        split_beside(tickets(tmp_path), tmp_path / "out", options, overwrite=False)
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "number", "said"),
    [
        ("title", 0, "tickets.csv, row 2: no text in column 'title'"),
        ("title", 70, "tickets.csv, row 72: no text in column 'title'"),
        ("team", 41, "tickets.csv, row 43: no label in column 'team'"),
    ],
)
def test_a_row_is_named_as_the_table_numbers_it(tmp_path, column, number, said):
    table = tickets(tmp_path)
    frame = pd.read_csv(table)
    frame.loc[number, column] = ""
    frame.to_csv(table, index=False)
    with pytest.raises(EdgepressError, match=said):
        split_beside(table, tmp_path / "out", OPTIONS, overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["tickets.csv"]


def test_what_fails_leaves_the_split_as_it_was(tmp_path):
    def fail(overwrite):
        with (
            pytest.raises(KeyError),
            provisional_split(table, tmp_path / "out", OPTIONS, overwrite),
        ):
            raise KeyError

    table = tickets(tmp_path)
    fail(overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["tickets.csv"]
    kept = record_of(split_beside(table, tmp_path / "out", OPTIONS, overwrite=False))
    fail(overwrite=False)
    assert record_of(tmp_path / "out-split") == kept
    table.write_text(table.read_text() + "999,another,x,sales\n")
    fail(overwrite=True)
    assert record_of(tmp_path / "out-split") == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-split", "tickets.csv"]


def test_a_training_that_fails_does_not_stand_in_the_way_of_the_next(cli, bare_encoder, tmp_path):
    table = tickets(tmp_path)
    frame = pd.read_csv(table)
    whole = frame.copy()
    frame["team"] = "sales"
    frame.to_csv(table, index=False)
    flags = (
        "--model",
        bare_encoder,
        "--task",
        table,
        *COLUMNS,
        "--epochs",
        0.1,
        "--output",
        tmp_path / "out",
    )
    refused = cli("compress.finetune", *flags)
    assert (refused.code, "one class only" in refused.error) == (2, True)
    assert "out-split" not in refused.err  # it is not left
    assert [path.name for path in tmp_path.iterdir()] == ["tickets.csv"]
    whole.to_csv(table, index=False)
    done = cli("compress.finetune", *flags)
    assert done.code == 0, done.err


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_goes_on_keeps_its_split(cli, bare_encoder, tmp_path, number):
    flags = ("--epochs", 2, "--batch-size", 8, "--output", tmp_path / "out")
    typed = ("compress.finetune", "--model", bare_encoder, "--task", tickets(tmp_path), *COLUMNS, *flags)
    stop(cli, 1, *typed, number=number)
    assert names_in(tmp_path) == ["tickets.csv"]  # there is no checkpoint yet
    said = stop(cli, 12, *typed, number=number)
    assert "the split of tickets.csv stays for the run that goes on" in said.replace("\n", " ")
    assert names_in(tmp_path) == [".out.training", "out-split", "tickets.csv"]
    rows = (tmp_path / "out-split/validation.csv").read_bytes()
    resumed = cli(*typed)
    assert resumed.code == 0, resumed.err
    assert "resuming from step" in resumed.err
    assert (tmp_path / "out-split/validation.csv").read_bytes() == rows
    assert names_in(tmp_path) == ["out", "out-split", "tickets.csv"]


def test_a_training_that_begins_again_may_have_another_split(cli, bare_encoder, tmp_path):
    table = tickets(tmp_path)
    flags = ("--epochs", 1, "--batch-size", 8, "--output", tmp_path / "out")
    typed = ("compress.finetune", "--model", bare_encoder, "--task", table, *COLUMNS, *flags)
    stop(cli, 12, *typed)
    table.write_text(table.read_text() + "999,the film is a mess,x,sales\n")
    held = cli(*typed)
    assert "holds another split" in held.error
    assert "--restart takes this table in its place" in held.err
    assert names_in(tmp_path) == [".out.training", "out-split", "tickets.csv"]
    done = cli(*typed, "--restart")
    assert done.code == 0, done.err
    assert record_of(tmp_path / "out-split").source_sha256 == sha256(table)


def test_one_row_is_too_few(tmp_path):
    with pytest.raises(EdgepressError, match=r"has 1 row: too few"):
        split_beside(tickets(tmp_path, rows=SENTENCES[:1]), tmp_path / "out", OPTIONS, overwrite=False)


def test_which_tasks_are_one_table(tmp_path, data_root):
    table = tickets(tmp_path)
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "train.csv").write_bytes(table.read_bytes())
    assert table_of(str(table)) == table
    assert table_of(str(tmp_path / "alone")) == tmp_path / "alone" / "train.csv"
    assert table_of(str(data_root / "verdicts")) is table_of("sst2") is None
    split = split_beside(table, tmp_path / "out", OPTIONS, overwrite=False)
    assert table_of(str(split)) is None


@pytest.mark.parametrize("content", ["", "[]", '{"source": 1}', "\x00"])
def test_a_damaged_record(tmp_path, content):
    folder = split_beside(tickets(tmp_path), tmp_path / "out", OPTIONS, overwrite=False)
    (folder / RECORD).write_text(content)
    with pytest.raises(EdgepressError, match=RECORD):
        find_task(str(folder))


@pytest.fixture(scope="module")
def trained(cli, bare_encoder, tmp_path_factory):
    """A classifier of a table, as the command trains it; its folder and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    flags = ("--epochs", 20, "--learning-rate", 1e-3, "--output", folder / "out")
    result = cli("compress.finetune", "--model", bare_encoder, "--task", tickets(folder), *COLUMNS, *flags)
    assert result.code == 0, result.err
    return folder, result


def test_a_table_trains_a_classifier(trained):
    folder, result = trained
    said = result.err.replace("\n", " ")
    assert "rows held out, by class and at random (seed 0)" in said
    assert said.count("2 classes: sales, support; text from title") == 1
    assert said.index("rows held out") < said.index("the split of tickets.csv: ")
    assert "2 classes: sales, support; text from title, labels from team" in said
    assert "not used: body" in said
    manifest = open_artifact(folder / "out").manifest
    assert (manifest.task, manifest.data["evaluation_split"]) == ("tickets", "validation")
    assert manifest.data["own_split"]["folder"] == "out-split"
    assert manifest.steps[-1].metrics["accuracy"] > 0.8


def test_more_than_two_columns_are_joined(cli, bare_encoder, tmp_path):
    table = tickets(tmp_path)
    columns = ("--text-columns", "title", "body", "id", "--label-column", "team")
    flags = ("--epochs", 0.1, "--output", tmp_path / "out")
    result = cli("compress.finetune", "--model", bare_encoder, "--task", table, *columns, *flags)
    assert result.code == 0, result.err
    assert "text from title, body, id, joined" in result.err.replace("\n", " ")
    examples = load_split(find_task(str(tmp_path / "out-split")), "train")
    assert len(examples.texts[0]) == 1
    assert "please look at" in examples.texts[0][0]
    answered = cli("export.predict", tmp_path / "out", "--json", "--text", "one text")
    assert answered.code == 0, answered.err
    asked = cli("export.predict", tmp_path / "out", "--json", "--file", table)
    assert json.loads(asked.out.splitlines()[0])["text"].endswith("please look at 0 0")


def test_what_comes_after_finds_the_split_beside_the_model(cli, trained, tmp_path):
    folder, _ = trained
    flags = ("--output", tmp_path / "exported")
    result = cli("export.onnx", "--model", folder / "out", *flags)
    assert result.code == 0, result.err
    own = open_artifact(tmp_path / "exported").manifest
    rows = own.steps[-1].metrics["evaluation_set"]
    assert (rows["split"], rows["texts"]) == (
        "validation",
        len(pd.read_csv(folder / "out-split/validation.csv")),
    )


def test_the_table_itself_is_scored_on_what_was_held_out(cli, trained, tmp_path, monkeypatch):
    folder, _ = trained
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    own = open_artifact(folder / "out").manifest.data["own_split"]
    again = split_again(folder / "tickets.csv", own)
    assert (again / "validation.csv").read_bytes() == (folder / "out-split/validation.csv").read_bytes()
    flags = ("--task", folder / "tickets.csv", "--output", tmp_path / "exported")
    assert cli("export.onnx", "--model", folder / "out", *flags).code == 0


def test_a_table_that_was_changed_since_is_refused(cli, trained, tmp_path):
    folder, _ = trained
    changed = tmp_path / "tickets.csv"
    changed.write_text((folder / "tickets.csv").read_text() + "999,the film is a mess,x,sales\n")
    result = cli("export.onnx", "--model", folder / "out", "--task", changed, "--output", tmp_path / "no")
    assert (result.code, "was changed since the model was trained" in result.error) == (2, True)
    assert not (tmp_path / "no").exists()


def test_another_table_is_not_a_changed_one(cli, trained, tmp_path, monkeypatch):
    folder, _ = trained
    (tmp_path / "there").mkdir()
    rows = [(f"quite another note, number {number}", label) for number, (_, label) in enumerate(SENTENCES)]
    same_name, fresh = tickets(tmp_path, rows=rows), tmp_path / "fresh.csv"
    fresh.write_text(same_name.read_text())
    for table in (same_name, fresh):
        flags = ("--task", table, "--output", tmp_path / "no")
        result = cli("export.onnx", "--model", folder / "out", *flags)
        assert (result.code, (tmp_path / "no").exists()) == (2, False)
        assert "is another table than the tickets.csv that the model was trained on" in result.error
        assert "changed" not in result.err
    assert "--split fresh scores on all rows of fresh.csv" in result.err.replace("\n", " ")
    scored = cli("export.onnx", "--model", folder / "out", *flags, "--split", "fresh")
    assert scored.code == 0, scored.err
    assert "scored on all rows of fresh.csv" in scored.err.replace("\n", " ")
    own = open_artifact(tmp_path / "no").manifest.steps[-1].metrics["evaluation_set"]
    assert own["texts"] == len(SENTENCES)


def test_without_the_split_the_name_tells_another_table(trained, tmp_path):
    folder, _ = trained
    own = open_artifact(folder / "out").manifest.data["own_split"]
    table = tickets(tmp_path, rows=SENTENCES[:30])
    with pytest.raises(EdgepressError, match="was changed since"):
        split_again(table, own)
    with pytest.raises(EdgepressError, match="is another table than the tickets"):
        split_again(table.rename(tmp_path / "fresh.csv"), own)
    with pytest.raises(EdgepressError, match="was changed since"):  # a copy under another name
        split_again(tmp_path / "fresh.csv", own, folder / "out-split")


def test_a_model_of_others_is_scored_on_all_rows(cli, model_folder, tmp_path):
    rows = [(text, label) for text, label in SENTENCES[:20]]
    table = tmp_path / "tickets.csv"
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(table, index=False)
    result = cli("export.onnx", "--model", model_folder, "--task", table, "--output", tmp_path / "out")
    assert result.code == 0, result.err
    own = open_artifact(tmp_path / "out").manifest
    assert own.data["evaluation_split"] == "tickets"
    assert own.steps[-1].metrics["evaluation_set"]["texts"] == 20


def test_files_beside_a_table_are_no_splits_of_it(cli, model_folder, tmp_path):
    """Somebody's train.csv in the same folder is another task's."""
    table = tickets(tmp_path)
    for name in ("train.csv", "validation.csv"):
        (tmp_path / name).write_bytes(table.read_bytes())
    task = find_task(str(table), None, OPTIONS)
    assert known_splits(task) == held_out_splits(task) == ["tickets"]
    assert len(load_split(task, "tickets")) == len(SENTENCES)
    with pytest.raises(EdgepressError, match="no split 'train' of tickets"):
        load_split(task, "train")
    with pytest.raises(EdgepressError, match=r"no split 'tset' of .*tickets\.csv"):
        find_task(str(table), None, replace(OPTIONS, split="tset"))
    flags = ("--label-map", "sales=positive", "support=negative", "--output", tmp_path / "out")
    made = cli("export.onnx", "--model", model_folder, "--task", table, *COLUMNS, *flags)
    assert made.code == 0, made.err
    again = artifact_task(open_artifact(tmp_path / "out"))
    assert again is not None
    assert (again.is_table, known_splits(again)) == (True, ["tickets"])


def test_unknown_tasks_say_that_a_table_will_do(cli, model_folder, tmp_path):
    result = cli("compress.finetune", "--model", model_folder, "--task", "tikets", "--output", tmp_path / "o")
    assert result.code == 2
    assert "--task FILE.csv --text-columns" in result.err
    gone = cli(
        "compress.finetune", "--model", model_folder, "--task", "tikets.csv", "--output", tmp_path / "o"
    )
    assert "no such data folder or file: tikets.csv" in gone.error


def test_a_split_says_what_it_is_made_of(tmp_path):
    folder = split_beside(tickets(tmp_path), tmp_path / "out", OPTIONS, overwrite=False)
    content = json.loads((folder / RECORD).read_text())
    assert content["source"] == "tickets.csv"
    assert (content["held_out"], content["seed"], content["stratified"]) == (0.2, 0, True)


def test_data_are_found_where_they_were(cli, bare_encoder, tmp_path, monkeypatch):
    write_split(tmp_path / "there" / "verdicts" / "train.jsonl", SENTENCES)
    write_split(tmp_path / "there" / "verdicts" / "validation.jsonl", SENTENCES[::5])
    monkeypatch.chdir(tmp_path)
    flags = ("--task", "there/verdicts", "--epochs", 0.1, "--output", "out")
    trained = cli("compress.finetune", "--model", bare_encoder, *flags)
    assert trained.code == 0, trained.err
    assert "not clearly above always saying" in trained.err.replace("\n", " ")
    assert artifact_task(open_artifact(Path("out"))).folder == Path("there/verdicts")
    write_split(tmp_path / "there" / "verdicts" / "validation.jsonl", SENTENCES[::4])
    with pytest.raises(EdgepressError, match="which is not here"):
        artifact_task(open_artifact(Path("out")))
