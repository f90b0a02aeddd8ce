"""Augmented texts of `compress.distill`."""

import numpy as np
import pytest
import torch
from conftest import SENTENCES

from compress.distill.augmentation import (
    CUT,
    LONGEST_CUT,
    Augmenter,
    MaskedWords,
    WordClass,
    by_class,
    common_mask,
    word_classes,
)
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.masked_lm import open_masked_lm

TEXT = ("the film is a quiet delight from its first minute to its very last one",)
WORDS = {*TEXT[0].split()}
CLASSES = {word: WordClass(["alpha", "beta"], [1, 10]) for word in WORDS}


@pytest.fixture
def teacher(model_folder, data_root) -> OpenedModel:
    return open_model(str(model_folder), task="verdicts", data=data_root)


def varied(count: int = 2000, mask: str | None = "[MASK]", seed: int = 0) -> list[list[str]]:
    return [text.split() for (text,) in Augmenter(by_class(CLASSES), mask, seed).rows([TEXT], count)]


def test_words_are_masked_and_replaced_as_often_as_the_paper_says():
    whole = [words for words in varied() if len(words) == len(TEXT[0].split())]
    words = [word for text in whole for word in text]
    assert np.mean([word == "[MASK]" for word in words]) == pytest.approx(0.1, abs=0.01)
    replaced = [word for word in words if word in ("alpha", "beta")]
    assert len(replaced) / len(words) == pytest.approx(0.1, abs=0.01)
    assert replaced.count("beta") / len(replaced) == pytest.approx(0.9, abs=0.03)
    assert {*words} == WORDS | {"[MASK]", "alpha", "beta"}


def test_some_texts_are_cut_to_a_few_words_in_a_row():
    texts = varied()
    cut = [text for text in texts if len(text) <= LONGEST_CUT]
    assert len(cut) / len(texts) == pytest.approx(CUT, abs=0.03)
    assert {len(text) for text in cut} == {*range(1, LONGEST_CUT + 1)}
    plain = [" ".join(text) for text in cut if {*text} <= WORDS]
    assert all(f" {text} " in f" {TEXT[0]} " for text in plain)


def test_the_same_texts_give_the_same_ones():
    assert varied(20) == varied(20)
    assert varied(20) != varied(20, seed=1)


def test_masked_words_are_left_out_where_models_share_no_mask():
    assert not any("[MASK]" in text for text in varied(200, mask=None))


def test_a_pair_is_changed_on_either_side_and_on_both():
    pair = ("a b c d e f g h", "i j k l m n o p")
    rows = [*Augmenter(by_class({}), "[MASK]").rows([pair], 600)]
    sides = [(first != pair[0], second != pair[1]) for first, second in rows]
    assert {sides[at] for at in range(0, 600, 3)} == {(True, False), (False, False)}
    assert {sides[at] for at in range(1, 600, 3)} == {(False, True), (False, False)}
    assert (True, True) in {sides[at] for at in range(2, 600, 3)}


def test_words_that_are_near_in_the_teachers_table_are_one_class(teacher):
    classes = word_classes(teacher, [(text,) for text, _ in SENTENCES])
    words = {word for text, _ in SENTENCES for word in text.split()}
    assert {*classes} == words
    assert {word for own in classes.values() for word in own.words} == words
    assert all(word in own.words for word, own in classes.items())
    assert 1 < len({tuple(own.words) for own in classes.values()}) <= len(words) // 20 + 1


def test_no_mask_is_common_to_models_of_two_kinds(teacher, model_folder, data_root):
    other = open_model(str(model_folder), task="verdicts", data=data_root)
    assert common_mask([teacher, other]) == "[MASK]"
    other.tokenizer.mask_token = "<mask>"
    assert common_mask([teacher, other]) is None


def test_a_masked_language_model_says_what_stands_for_a_word(masked_model):
    opened = open_masked_lm(str(masked_model))
    words = ["the", "film", "is", "a", "quiet", "delight"]
    found = MaskedWords(opened)(words)
    assert len(found) == len(words)
    for at, own in enumerate(found):
        masked = " ".join([*words[:at], "[MASK]", *words[at + 1 :]])
        rows = opened.tokenizer(masked, return_tensors="pt")
        with torch.inference_mode():
            place = int((rows["input_ids"][0] == opened.tokenizer.mask_token_id).nonzero())
            likely = opened.model(**rows).logits[0, place].topk(15).indices.tolist()
        texts = [opened.tokenizer.decode([token]) for token in likely]
        assert [*own.words] == [text for text in texts if text.isalpha() and text != words[at]]
    assert MaskedWords(opened)([]) == []


def test_a_model_without_a_trained_head_fills_no_masks(bare_encoder):
    with pytest.raises(EdgepressError, match="cannot fill masks"):
        MaskedWords(open_masked_lm(str(bare_encoder)))


def test_a_student_learns_augmented_texts(cli, model_folder, data_root, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    flags = ("--teacher", model_folder, "--task", "verdicts", "--data", data_root, "--epochs", 1)
    result = cli(
        "compress.distill", *flags, "--output", tmp_path / "out", "--augment", 4, "--no-train-baseline"
    )
    assert result.code == 0, result.err
    step = open_artifact(tmp_path / "out").manifest.steps[-1]
    (counts,) = step.metrics["transfer"]["corpora"]
    assert counts["texts"] == 4 * 115
    assert 115 < counts["kept"] == step.metrics["transfer"]["rows"] < 4 * 115
    assert step.metrics["history"][-1]["step"] == -(-(115 + counts["kept"]) // 32)


def test_pre_training_is_not_augmented(cli, model_folder):
    flags = ("--teacher", model_folder, "--stage", "pretrain", "--corpus", "x", "--augment", 2)
    result = cli("compress.distill", *flags)
    assert (result.code, "--augment belongs to --stage task" in result.error) == (2, True)
