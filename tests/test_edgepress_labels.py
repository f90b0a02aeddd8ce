"""Labels: which class of a trained model a label of the data means, and what is refused as doubtful."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgepress.core.errors import EdgepressError
from edgepress.core.labels import (
    DataLabels,
    LabelMismatchError,
    label_number,
    label_text,
    match_labels,
    parse_label_map,
)
from edgepress.core.splits import load_split
from edgepress.core.task_discovery import describe, find_task
from edgepress.core.tasks import Task, TaskOptions
from edgepress.core.tasks.task import TrainedHead

POS_NEG_NEU = ("POS", "NEG", "NEU")
GENERIC = ("LABEL_0", "LABEL_1", "LABEL_2")
WORDS = ("negative", "neutral", "positive")
MULTI = "multi_label_classification"
SINGLE = "single_label_classification"


def matched(
    texts: Sequence[str], own: Sequence[str], *entries: str, numbered: bool = False
) -> dict[str, int]:
    return dict(match_labels(DataLabels(tuple(texts), numbered), own, parse_label_map(entries), "data").ids)


@pytest.mark.parametrize(
    ("texts", "own", "expected"),
    [
        (("neg", "neu", "pos"), POS_NEG_NEU, {"neg": 1, "neu": 2, "pos": 0}),
        (("Neg ", "NEU", "pOs"), POS_NEG_NEU, {"neg": 1, "neu": 2, "pos": 0}),
        (("positive", "negative", "neutral"), WORDS, {"positive": 2, "negative": 0, "neutral": 1}),
        (("neg", "pos"), POS_NEG_NEU, {"neg": 1, "pos": 0}),
        (("0", "1", "2"), POS_NEG_NEU, {"0": 0, "1": 1, "2": 2}),
        (("0", "1", "2"), GENERIC, {"0": 0, "1": 1, "2": 2}),
        (("1", "2"), ("1", "2"), {"1": 0, "2": 1}),
        (("1", "0"), ("1", "0"), {"1": 0, "0": 1}),
        (("straße", "STRASSE"), ("straße", "weg"), {"strasse": 0}),
    ],
)
def test_labels_mean_the_class_of_their_name_or_number(
    texts: tuple[str, ...], own: tuple[str, ...], expected: dict[str, int]
) -> None:
    assert matched(texts, own) == expected


@pytest.mark.parametrize(
    ("texts", "own"),
    [
        (WORDS, POS_NEG_NEU),
        (WORDS, GENERIC),
        (("neg", "neutral", "pos"), POS_NEG_NEU),
        (("1", "2", "3"), POS_NEG_NEU),
        (("1", "2"), POS_NEG_NEU),
        (("0", "1"), POS_NEG_NEU),
        (("0", "1", "2"), ("1", "2", "3")),
        (("-1", "0", "1"), POS_NEG_NEU),
        (("0", "1", "2"), ("a", "b")),
        (("a",), ("A", "a ", "b")),
        (("True", "False"), GENERIC[:2]),
        (("0", "1", "pos"), POS_NEG_NEU),
    ],
)
def test_doubtful_labels_are_refused_with_both_lists(texts: tuple[str, ...], own: tuple[str, ...]) -> None:
    with pytest.raises(LabelMismatchError, match="labels do not fit") as refused:
        matched(texts, own)
    assert str(list(texts)) in str(refused.value)
    assert str(list(own)) in str(refused.value)
    assert "--label-map" in refused.value.hint


def test_names_that_the_data_declare_outrank_their_numbers() -> None:
    own = ("positive", "negative")
    assert matched(("negative", "positive"), own, numbered=True) == {
        "negative": 1,
        "0": 1,
        "positive": 0,
        "1": 0,
    }


def test_declared_names_that_are_not_the_models_are_refused() -> None:
    with pytest.raises(LabelMismatchError):
        matched(("negative", "positive"), ("cats", "dogs"), numbered=True)


def test_declared_names_go_by_number_where_the_model_has_none() -> None:
    assert matched(("negative", "positive"), GENERIC[:2], numbered=True)["1"] == 1


def test_a_map_decides() -> None:
    entries = ("negative=NEG", "neutral=2", "positive=pos")
    assert matched(WORDS, POS_NEG_NEU, *entries) == {"negative": 1, "neutral": 2, "positive": 0}


def test_a_map_of_what_has_no_name_alone() -> None:
    assert matched(("neg", "neu", "good"), POS_NEG_NEU, "good=POS") == {"neg": 1, "neu": 2, "good": 0}


def test_integers_are_numbers_where_the_user_says_so() -> None:
    assert matched(("0", "2"), POS_NEG_NEU, "id") == {"0": 0, "2": 2}


@pytest.mark.parametrize("entries", [("negative",), ("=NEG",), ("a=",), ("a=NEG", "A=POS")])
def test_a_map_that_is_none(entries: tuple[str, ...]) -> None:
    with pytest.raises(EdgepressError, match="--label-map"):
        parse_label_map(entries)


@pytest.mark.parametrize(
    ("entry", "word"), [("nein=NEG", "no label 'nein'"), ("negative=BAD", "no class 'BAD'")]
)
def test_a_map_of_what_is_not_there(entry: str, word: str) -> None:
    with pytest.raises(LabelMismatchError, match=word):
        matched(WORDS, POS_NEG_NEU, entry)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        ("1.0", "1"),
        ("1.10", "1.10"),
        ("v1.0", "v1.0"),
        (" a ", "a"),
        (True, "True"),
        (0.5, "0.5"),
        ("", None),
        (None, None),
    ],
)
def test_label_as_text(value: object, text: str | None) -> None:
    assert label_text(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [("1.5", 1.5), (" 2 ", 2), ("1e3", 1000), ("nan", None), ("inf", None), ("1_0", None), (3, 3)],
)
def test_label_as_number(value: object, number: float | None) -> None:
    assert label_number(value) == number


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def understood(
    folder: Path,
    rows: str,
    head: TrainedHead | None = None,
    splits: Sequence[str] = ("train", "val"),
    **options: object,
) -> Task:
    """What is made of a CSV that is train and validation at once."""
    for split in splits:
        (folder / f"{split}.csv").write_text(rows)
    return find_task(str(folder), options=TaskOptions(**options), head=head)  # type: ignore[arg-type]


def labels(task: Task, split: str = "train") -> list[object]:
    found: list[object] = load_split(task, split).labels.tolist()
    return found


def test_a_trained_head_keeps_its_names_and_the_data_are_mapped(folder: Path) -> None:
    task = understood(folder, "text,label\na,neg\nb,pos\nc,Neu\n", TrainedHead(POS_NEG_NEU))
    assert task.labels == POS_NEG_NEU
    assert labels(task) == [1, 0, 2]


def test_a_trained_head_keeps_its_names_over_integers(folder: Path) -> None:
    task = understood(folder, "text,label\na,2\nb,0\nc,1\n", TrainedHead(POS_NEG_NEU))
    assert (task.labels, task.matched_by) == (POS_NEG_NEU, "number")
    assert labels(task) == [2, 0, 1]
    assert "0 = POS, 1 = NEG, 2 = NEU" in describe(task)


def test_a_class_that_only_validation_has_is_mapped_for_a_trained_head(folder: Path) -> None:
    (folder / "train.csv").write_text("text,label\na,neg\nb,pos\n")
    (folder / "dev.csv").write_text("text,label\na,neu\n")
    task = find_task(str(folder), head=TrainedHead(POS_NEG_NEU))
    assert labels(task, "validation") == [2]


def test_zoo_task_for_a_turned_head(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "validation.csv").write_text("sentence,label\nfine,1\ndull,0\nfair,positive\n")
    task = find_task("sst2", tmp_path, head=TrainedHead(("POSITIVE", "NEGATIVE")))
    assert task.labels == ("POSITIVE", "NEGATIVE")
    assert load_split(task, "validation").labels.tolist() == [0, 1, 0]


def test_zoo_task_for_a_head_without_names(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "validation.csv").write_text("sentence,label\nfine,1\ndull,0\n")
    task = find_task("sst2", tmp_path, head=TrainedHead(GENERIC[:2]))
    assert (task.labels, task.matched_by) == (GENERIC[:2], "number")
    assert load_split(task, "validation").labels.tolist() == [1, 0]


def test_zoo_task_for_another_tasks_head() -> None:
    with pytest.raises(LabelMismatchError, match="cats"):
        find_task("sst2", head=TrainedHead(("cats", "dogs")))


@pytest.mark.parametrize("name", ["val", "dev", "valid", "eval", "evaluation", "validation", "Val", "DEV"])
def test_validation_by_any_name(folder: Path, name: str) -> None:
    task = understood(folder, "text,label\na,x\nb,y\n", splits=("train", name))
    assert (task.evaluation_split, task.metric) == ("validation", "accuracy")
    assert task.files == {"train": ("train.csv",), "validation": (f"{name}.csv",)}
    assert f"2 validation rows from {name}.csv" in describe(task)


@pytest.mark.parametrize("second", ["dev.csv", "validation.jsonl", "VAL.csv"])
def test_two_files_of_one_split(folder: Path, second: str) -> None:
    (folder / second).write_text("text,label\na,x\n")
    with pytest.raises(EdgepressError, match="both could be the validation split") as refused:
        understood(folder, "text,label\na,x\nb,y\n")
    assert "--split" in refused.value.hint


def test_the_flag_decides_between_two_files(folder: Path) -> None:
    (folder / "dev.csv").write_text("text,label\na,x\n")
    task = understood(folder, "text,label\na,x\nb,y\n", split="dev")
    assert len(load_split(task, "validation")) == 1


def test_nothing_to_score_on(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="no validation and no test split") as refused:
        understood(folder, "text,label\na,x\nb,y\n", splits=("train", "holdout"))
    assert "--split holdout" in refused.value.hint


def test_a_split_of_any_name(folder: Path) -> None:
    task = understood(folder, "text,label\na,x\nb,y\n", splits=("train", "holdout"), split="holdout")
    assert (task.evaluation_split, task.metric) == ("holdout", "accuracy")
    assert labels(task, "holdout") == [0, 1]


def test_a_score_on_the_train_split_says_so_in_its_name(folder: Path) -> None:
    task = understood(folder, "text,label\na,x\nb,y\n", splits=("train",), split="train")
    assert (task.evaluation_split, task.metric) == ("train", "accuracy_on_train")


def test_shards_are_one_split(folder: Path) -> None:
    for number in range(2):
        (folder / f"train-0000{number}-of-00002.csv").write_text(f"text,label\na{number},x\nb,y\n")
    task = understood(folder, "text,label\na,x\nb,y\n", splits=("test",))
    assert len(load_split(task, "train")) == 4


def test_a_missing_shard(folder: Path) -> None:
    (folder / "train-00000-of-00002.csv").write_text("text,label\na,x\nb,y\n")
    with pytest.raises(EdgepressError, match="1 of 2 files of the train split"):
        understood(folder, "text,label\na,x\nb,y\n", splits=("test",))


def test_whole_numbers_with_a_fraction_are_doubtful(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="classes, or values") as refused:
        understood(folder, "text,label\na,0.0\nb,1.0\n")
    assert "--problem-type" in refused.value.hint


def test_whole_numbers_with_a_fraction_as_the_user_says(folder: Path) -> None:
    task = understood(folder, "text,label\na,0.0\nb,1.0\n", problem_type=SINGLE)
    assert (task.labels, labels(task)) == (("0", "1"), [0, 1])
    task = understood(folder, "text,label\na,0.0\nb,1.0\n", problem_type="regression")
    assert (task.metric, labels(task)) == ("spearman", [0.0, 1.0])


def test_whole_numbers_with_a_fraction_as_a_trained_head_says(folder: Path) -> None:
    rows = "text,label\na,0.0\nb,1.0\n"
    assert understood(folder, rows, TrainedHead(("no", "yes"))).problem_type == SINGLE
    assert understood(folder, rows, TrainedHead(("LABEL_0",))).problem_type == "regression"


def test_labels_from_1_have_no_phantom(folder: Path) -> None:
    task = understood(folder, "text,label\na,1\nb,2\n")
    assert (task.labels, labels(task)) == (("1", "2"), [0, 1])


def test_blanks_make_no_class(folder: Path) -> None:
    task = understood(folder, "text,label\na,positive\nb,positive \nc, negative\n")
    assert (task.labels, labels(task)) == (("negative", "positive"), [1, 1, 0])


def test_case_alone_is_doubtful(folder: Path) -> None:
    rows = "text,label\na,Positive\nb,positive\nc,negative\n"
    with pytest.raises(EdgepressError, match="one class, or two"):
        understood(folder, rows)
    task = understood(folder, rows, label_map={"Positive": "positive"})
    assert (task.labels, labels(task)) == (("positive", "negative"), [0, 0, 1])


def test_one_class_only(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="one class only, 'positive'"):
        understood(folder, "text,label\na,positive\nb,positive\n")


@pytest.mark.parametrize("word", ["None", "n/a", "NA", "null", "nan", "NULL", "True", "007"])
def test_words_that_readers_take_for_something_else(folder: Path, word: str) -> None:
    task = understood(folder, f"text,label\n{word},{word}\nb,other\n")
    assert set(task.labels) == {word, "other"}
    assert load_split(task, "train").texts[0] == (word,)


def test_an_empty_label_is_missing(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="row 3: label ''"):
        labels(understood(folder, "text,label\na,x\nb,\nc,y\n"))


def test_a_number_as_text_stays_as_it_is(folder: Path) -> None:
    assert load_split(understood(folder, "text,label\n007,x\n1.50,y\n"), "train").texts == [
        ("007",),
        ("1.50",),
    ]


def test_a_text_with_a_comma_and_no_quotes(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="line 2 has 3 cells, not 2"):
        understood(folder, "text,label\ngood, really,x\nbad, really,y\n")


def test_flags_of_unknown_meaning_are_refused(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="0 and 1 in each of target, is_reply") as refused:
        understood(folder, "text,target,is_reply\na,0,1\nb,1,0\n")
    assert "--label-column target" in refused.value.hint
    assert MULTI in refused.value.hint


def test_flags_as_the_user_says(folder: Path) -> None:
    rows = "text,target,is_reply\na,0,1\nb,1,0\n"
    one = understood(folder, rows, label_column=("target",), problem_type=SINGLE)
    assert (one.labels, labels(one), one.unused) == (("0", "1"), [0, 1], ("is_reply",))
    both = understood(folder, rows, problem_type=MULTI)
    assert (both.labels, labels(both)) == (("target", "is_reply"), [[0, 1], [1, 0]])


def test_flags_of_a_trained_head_in_its_order(folder: Path) -> None:
    head = TrainedHead(("threat", "TOXIC"), MULTI)
    task = understood(folder, "text,toxic,threat,is_reply\na,1,0,1\nb,0,1,1\n", head)
    assert (task.labels, labels(task)) == (("threat", "TOXIC"), [[0, 1], [1, 0]])


def test_flags_that_a_trained_head_does_not_have(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="0 and 1 in each of"):
        understood(folder, "text,toxic,threat\na,1,0\nb,0,1\n", TrainedHead(("insult", "threat"), MULTI))


def test_one_flag_is_one_label(folder: Path) -> None:
    task = understood(folder, "text,spam\na,1\nb,0\n")
    assert (task.labels, task.problem_type, labels(task)) == (("spam",), MULTI, [[1], [0]])


def test_the_only_other_column_is_the_label(folder: Path) -> None:
    task = understood(folder, "id,text,labels\n7,a,x\n8,b,y\n")
    assert (task.label_columns, task.labels) == (("labels",), ("x", "y"))


def test_columns_that_are_not_read_are_named(folder: Path) -> None:
    task = understood(folder, "text,label,body\na,x,long\nb,y,longer\n")
    assert "not used: body" in describe(task)


def test_two_kinds_of_text(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="text in") as refused:
        understood(folder, "premise,hypothesis,text,label\na,b,c,x\na,b,c,y\n")
    assert "--text-columns" in refused.value.hint


def test_a_label_in_nearly_every_row(folder: Path) -> None:
    rows = "".join(f"a,comment {number}\n" for number in range(30))
    with pytest.raises(EdgepressError, match="30 classes in 30 rows: is 'label' the label"):
        understood(folder, f"text,label\n{rows}")


def test_values_for_a_head_of_classes(folder: Path) -> None:
    with pytest.raises(EdgepressError, match="labels do not fit"):
        understood(folder, "text,label\na,0.5\nb,1.25\n", TrainedHead(POS_NEG_NEU))


def test_several_labels_for_a_head_of_one_class_a_text(folder: Path) -> None:
    with pytest.raises(LabelMismatchError):
        understood(
            folder,
            "text,a,b\nx,0,1\ny,1,0\n",
            TrainedHead(("a", "b"), SINGLE),
            label_column=("a", "b"),
            problem_type=MULTI,
        )


def test_class_names_of_a_parquet_file(folder: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    rows = Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    for split in ("train", "validation"):
        rows.to_parquet(folder / f"{split}.parquet")
    task = find_task(str(folder), head=TrainedHead(("POS", "NEG")))
    assert labels(task) == [0, 1]
    assert (find_task(str(folder)).labels, labels(find_task(str(folder)))) == (("neg", "pos"), [1, 0])


def test_strings_in_json_are_read_as_csv_is(folder: Path) -> None:
    rows = [{"text": "a", "label": "1"}, {"text": "b", "label": "0"}]
    for split in ("train", "test"):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = find_task(str(folder), head=TrainedHead(("no", "yes")))
    assert (task.labels, labels(task)) == (("no", "yes"), [1, 0])
