"""Transfer sets of `compress.distill`: texts without labels, and what must never be among them."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import SENTENCES, run_well, write_split
from refusing import refused
from torch.nn.modules.module import register_module_forward_hook
from transformers import BertForSequenceClassification

from compress.distill.config import DistillOptions
from compress.distill.teachers import Taught, Teachers
from compress.distill.transfer import (
    TextSelection,
    TransferSet,
    transfer_set,
    with_augmented,
    with_transfer,
)
from compress.distillation.logits import TeacherLogits, teacher_logits
from compress.training.data import TrainingText
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.near_duplicates import TextIndex, letters_of
from edgepress.core.sentences import sentences
from edgepress.core.splits import held_out_splits, load_split
from edgepress.core.tags import IGNORED, TagSet
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TASKS


def shuffled() -> list[str]:
    """The words of the sentences in other orders, which no sentence is near to."""
    rng = np.random.default_rng(0)
    texts = (" ".join(rng.permutation(text.rstrip(".").split())) for text, _ in SENTENCES * 2)
    known = {letters_of((text,)) for text, _ in SENTENCES}
    return [text for text in dict.fromkeys(texts) if letters_of((text,)) not in known]


JUDGED = [text for text, _ in SENTENCES[::5]]
LEARNED = [text for at, (text, _) in enumerate(SENTENCES) if at % 5]
JUDGED_INDEX = TextIndex([(text,) for text in JUDGED])
OLD = [text for text in LEARNED if not JUDGED_INDEX.near([letters_of((text,))])[0]][:3]
NEW = [text for text in shuffled() if not JUDGED_INDEX.near([letters_of((text,))])[0]][:100]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A line each: new texts, some of them twice, and texts of both splits in other spellings."""
    path = tmp_path / "corpus.txt"
    lines = [*NEW, *NEW[:4], JUDGED[0].upper(), f"{JUDGED[1]} !", f"{JUDGED[20]} too", *OLD]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def flags(model_folder, data_root, tmp_path):
    return (
        *("--teacher", model_folder, "--task", "verdicts", "--epochs", 1),
        *("--data", data_root, "--output", tmp_path / "work" / "out"),
    )


@pytest.fixture
def teacher(model_folder, data_root) -> OpenedModel:
    return open_model(str(model_folder), task="verdicts", data=data_root)


def found_in(teacher: OpenedModel, *corpora: Path) -> TransferSet:
    options = DistillOptions(transfer=tuple(map(str, corpora)))
    found = transfer_set(options, TextSelection.of(options, teacher))
    assert found is not None
    return found


def letters(text: str) -> str:
    return "".join(own for own in text.lower() if own.isalnum())


def test_nothing_of_the_evaluation_split_gets_in(teacher, corpus, capsys):
    found = found_in(teacher, corpus)
    texts = [text for (text,) in found.examples.texts]
    assert sorted(texts) == sorted(NEW)
    assert not {*map(letters, texts)} & {*map(letters, JUDGED)}
    (counts,) = found.recorded["corpora"]
    assert (counts["evaluation"], counts["nearly_evaluation"], counts["duplicates"]) == (2, 1, 4 + len(OLD))
    assert counts["texts"] == sum(own for name, own in counts.items() if name not in ("corpus", "texts"))
    assert (
        f"2 of an evaluation split, 1 nearly of one, {4 + len(OLD)} that were there already"
        in capsys.readouterr().err
    )


def test_several_corpora_hold_each_text_once(teacher, corpus, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n".join([*NEW[:5], "this story is warm , and so is the acting in its second half"]))
    found = found_in(teacher, corpus, other)
    assert len(found.examples) == len(NEW) + 1
    assert found.recorded["corpora"][1]["duplicates"] == 5


def test_long_texts_are_cut_into_sentences(teacher, tmp_path):
    path = tmp_path / "reviews.txt"
    path.write_text(" ".join(f"{text}." for text in NEW) + "\n")
    found = found_in(teacher, path)
    cut = [own.rstrip(".") for (text,) in found.examples.texts for own in sentences(text)]
    assert {*cut} <= {*NEW}
    assert len(NEW) / 2 < len(cut) <= len(NEW)


def test_the_student_learns_what_the_teacher_says_of_them(cli, flags, corpus, tmp_path):
    result = cli("compress.distill", *flags, "--transfer", corpus, "--transfer-samples", 30)
    assert result.code == 0, result.err
    step = open_artifact(tmp_path / "work" / "out").manifest.steps[-1]
    assert step.metrics["transfer"]["rows"] == 30
    assert 0 <= step.metrics["transfer"]["unknown_tokens"] < 0.05
    assert step.config["transfer"] == [str(corpus)]
    assert step.metrics["history"][-1]["step"] == -(-(len(LEARNED) + 30) // 32)
    assert step.metrics["baseline"]["history"][-1]["step"] == -(-len(LEARNED) // 32)


@pytest.mark.slow
def test_transfer_texts_are_worth_something(cli, model_folder, data_root, tmp_path):
    """Five labelled texts teach little; the same with texts that the teacher labels teach more."""
    path, scores = tmp_path / "unlabelled.txt", []
    path.write_text("\n".join(NEW))
    few = tmp_path / "data" / "few"
    write_split(few / "train.jsonl", SENTENCES[1:6])
    write_split(few / "validation.jsonl", SENTENCES[::5])
    for name, more in (("alone", ()), ("taught", ("--transfer", path))):
        flags = ("--teacher", model_folder, "--task", few, "--output", tmp_path / name, "--student", "cnn")
        schedule = ("--vocabulary", 150, "--epochs", 20, "--no-train-baseline")
        run_well("compress.distill", *flags, *schedule, *more)
        scores.append(open_artifact(tmp_path / name).manifest.steps[-1].metrics["accuracy"])
    assert scores[1] > scores[0] + 0.1


def test_the_teachers_confidence_leaves_texts_out(cli, flags, corpus, tmp_path):
    sure = ("--transfer", corpus, "--transfer-confidence", 0.97, "--no-train-baseline")
    result = cli("compress.distill", *flags, *sure)
    assert result.code == 0, result.err
    found = open_artifact(tmp_path / "work" / "out").manifest.steps[-1].metrics["transfer"]
    assert 0 < found["confident"] < found["rows"]


def test_labels_are_read_again_after_an_interruption(teacher, monkeypatch):
    """Shards that were read are kept: the rest is read, and nothing twice."""
    monkeypatch.setattr("compress.distillation.logits.SHARD", 40)
    texts, rows = load_split(teacher.task, "train"), []

    def stop(module, _, output):
        if isinstance(module, BertForSequenceClassification):
            rows.append(len(output.logits))
            if len(rows) == 2:
                raise KeyboardInterrupt

    hook = register_module_forward_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        teacher_logits(teacher, texts, 64)
    found = teacher_logits(teacher, texts, 64)
    hook.remove()
    assert rows == [40, 40, 40, 35]
    whole = teacher_logits(teacher, texts, 64)
    assert (found == whole).all()


def test_every_split_but_the_train_split_is_held_out(data_root, tmp_path):
    """Also one that the task is not judged on: somebody may judge on it later."""
    assert held_out_splits(TASKS["movie_reviews"]) == ["validation", "test"]
    assert held_out_splits(find_task("verdicts", data_root)) == ["validation"]
    for split in ("train", "dev", "test", "unsupervised"):
        write_split(tmp_path / "folder" / f"{split}.jsonl", SENTENCES[:8])
    assert {*held_out_splits(find_task(str(tmp_path / "folder")))} == {"validation", "test"}


def write_pairs(path: Path, rows: list[tuple[str, str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"premise": a, "hypothesis": b, "label": label}) for a, b, label in rows]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def pairs(tmp_path) -> Path:
    """A task of pairs: is the verdict on both the same?"""
    rows = [
        (first, second, "same" if ours == theirs else "other")
        for (first, ours), (second, theirs) in zip(SENTENCES, SENTENCES[3:] + SENTENCES[:3], strict=True)
    ]
    folder = tmp_path / "pairs"
    write_pairs(folder / "train.jsonl", rows[:60])
    write_pairs(folder / "validation.jsonl", rows[60:80])
    write_pairs(folder / "more.jsonl", [*rows[80:], rows[60], rows[3]])
    return folder


def test_pairs_come_from_tables_of_pairs(pairs, model_folder, data_root, tmp_path):
    labels = ("--label-map", "same=positive", "other=negative")
    flags = ("--teacher", model_folder, "--task", pairs, "--epochs", 1, "--no-train-baseline", *labels)
    run_well("compress.distill", *flags, "--transfer", pairs / "more.jsonl", "--output", tmp_path / "out")
    found = open_artifact(tmp_path / "out").manifest.steps[-1].metrics["transfer"]
    (counts,) = found["corpora"]
    assert (counts["evaluation"], counts["duplicates"]) == (1, 1)
    assert found["rows"] == counts["kept"] > 20


def test_pairs_are_not_in_lines(cli, pairs, corpus, model_folder, tmp_path):
    labels = ("--label-map", "same=positive", "other=negative")
    flags = ("--teacher", model_folder, "--task", pairs, "--output", tmp_path / "work" / "out", *labels)
    refused(cli("compress.distill", *flags, "--transfer", corpus), tmp_path, "a text a line, and no pairs")


def test_the_evaluation_split_itself_is_refused(cli, flags, tmp_path):
    result = cli("compress.distill", *flags, "--transfer", "verdicts/validation")
    refused(result, tmp_path, "verdicts/validation", "of a split that verdicts is judged on")


def test_a_copy_of_the_evaluation_split_is_refused(cli, flags, tmp_path):
    path = tmp_path / "copy.txt"
    path.write_text("\n".join([*(f"{text.title()} !" for text in JUDGED), *NEW[:10]]))
    refused(cli("compress.distill", *flags, "--transfer", path), tmp_path, "judged on, or nearly so")


def test_nothing_left_is_refused_with_its_counts(cli, flags, tmp_path):
    path = tmp_path / "learned.txt"
    path.write_text("\n".join(OLD))
    result = cli("compress.distill", *flags, "--transfer", path)
    refused(result, tmp_path, "is left to learn from", f"{len(OLD)} that were there already")


def test_another_language_is_warned_of(cli, flags, tmp_path):
    path = tmp_path / "foreign.txt"
    path.write_text("\n".join(f"фильм номер {at} очень хорош и очень длинный" for at in range(20)))
    result = cli("compress.distill", *flags, "--transfer", path, "--no-train-baseline")
    assert result.code == 0, result.err
    assert "another language than the teacher" in result.err.replace("\n", " ")


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (("--transfer-samples", 5), "of the texts of --transfer"),
        (("--augment-with", "x"), "says how --augment makes texts"),
        (("--augment", -1), "--augment is out of range"),
        (("--transfer-confidence", 0.5), "of the texts of --transfer"),
        (("--label-with", "onnx/model.onnx"), "of the texts of --transfer"),
        (("--corpus", "wikitext2"), "--corpus belongs to --stage pretrain"),
        (("--transfer", "no/such/corpus"), "unknown corpus"),
    ],
)
def test_flags_that_cannot_be(cli, flags, tmp_path, changed, word):
    refused(cli("compress.distill", *flags, *changed), tmp_path, word)


def test_a_file_that_is_not_the_teachers_is_refused(cli, flags, corpus, tmp_path):
    result = cli("compress.distill", *flags, "--transfer", corpus, "--label-with", "onnx/model.onnx")
    refused(result, tmp_path, "no file of", "compared with it")


def test_kinds_that_need_labels_are_refused(answer_model, corpus):
    opened = open_model(str(answer_model))
    with pytest.raises(EdgepressError, match="is learned from labelled texts alone"):
        found_in(opened, corpus)


@pytest.mark.parametrize("options", [{"transfer": True}, {"augment": 2}], ids=["corpus", "augmented"])
def test_entities_are_learned_of_text_without_tags(entity_model, entities, corpus, options):
    """Words are parted as in a text that is predicted, the teacher's tags stand for labels."""
    teacher = open_model(str(entity_model), task=str(entities))
    some, link = NEW[0], "x" * 200
    corpus.write_text("\n".join([f"{some}, {some}!", f"{some} {link}", *NEW[1:20]]), encoding="utf-8")
    if "transfer" in options:
        options = {"transfer": (str(corpus),)}
    own = DistillOptions(**options, train_baseline=False)
    selection = TextSelection.of(own, teacher)
    found = transfer_set(own, selection)
    learned = load_split(teacher.task, "train")
    found = with_augmented(own, selection, learned, teacher, [teacher], found)
    texts = [text for (text,) in found.examples.texts]
    if "transfer" in options:
        assert f"{some} , {some} !" in texts
        assert not any(link in own for own in texts)
    said = teacher_logits(teacher, found.examples, 64)
    logits = TeacherLogits({"train": said[:0], "transfer": said}, np.zeros(0))
    words_of = [one.split() for one in texts]
    text = TrainingText(learned, learned, transfer=found.examples)
    taught, _ = with_transfer(own, Taught(Teachers(teacher), text, logits), found)
    train = taught.text.train
    assert len(train) == len(learned) + len(texts)
    tags = TagSet(teacher.labels)
    for row, (words, own_logits) in enumerate(zip(words_of, said, strict=True), len(learned)):
        decided = tags.in_order(own_logits).argmax(-1)
        assert train.labels[row, : len(words)].tolist() == decided.tolist()
        assert set(train.labels[row, len(words) :].tolist()) <= {IGNORED}
    assert (train.labels[len(learned) :] > 0).any()


@pytest.mark.slow
def test_the_teachers_file_labels_in_its_place(cli, model_folder, data_root, corpus, tmp_path):
    exported = tmp_path / "teacher"
    task = ("--task", "verdicts", "--data", data_root)
    run_well("export.onnx", "--model", model_folder, *task, "--output", exported)
    out = ("--output", tmp_path / "out", "--epochs", 1, "--data", data_root, "--no-train-baseline")
    both = ("--teacher", exported, exported, "--label-with", "onnx/model.onnx", "onnx/model.onnx")
    run_well("compress.distill", *both, "--transfer", corpus, *out)
    step = open_artifact(tmp_path / "out").manifest.steps[-1]
    assert step.config["label_with"] == ["onnx/model.onnx"] * 2
    opened = open_model(str(exported), data=data_root)
    texts = load_split(opened.task, "train")
    ours, theirs = (
        teacher_logits(opened, texts, 64, file=file) for file in (None, exported / "onnx" / "model.onnx")
    )
    assert abs(ours - theirs).max() < 1e-3
