"""Unlabelled text by name, and its blocks."""

import pytest
from conftest import SENTENCES, write_split

from edgepress.core.corpus import Corpus, blocks, load_corpus
from edgepress.core.errors import EdgepressError

TEXTS = [text for text, _ in SENTENCES]


def test_a_text_a_line(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\ufeffone\n\n  \ntwo words\n", encoding="utf-8")
    assert load_corpus(str(path)).texts == ["one", "two words"]


@pytest.mark.parametrize("name", ["verdicts", "verdicts/train"])
def test_a_split_below_the_data_root(data_root, name):
    assert load_corpus(name, data_root).texts == [text for at, text in enumerate(TEXTS) if at % 5]


def test_a_split_of_a_folder_and_a_table(data_root):
    folder = data_root / "verdicts"
    for name in (folder / "validation", folder / "validation.jsonl"):
        assert load_corpus(str(name)).texts == TEXTS[::5]


def test_a_set_without_a_train_split_is_all_its_splits(tmp_path):
    for split in ("validation", "test"):
        write_split(tmp_path / "wikitext2" / f"{split}.jsonl", [(f"of {split}", "positive")])
    assert load_corpus("wikitext2", tmp_path).texts == ["of validation", "of test"]


@pytest.mark.parametrize("name", ["imbd/unsupervised", "no/such/set"])
def test_unknown_corpus(name):
    with pytest.raises(EdgepressError, match=f"unknown corpus '{name}'") as error:
        load_corpus(name)
    assert "a text a line" in error.value.hint


def test_corpus_without_text_and_in_another_encoding(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n \n")
    with pytest.raises(EdgepressError, match="no text"):
        load_corpus(str(path))
    path.write_bytes("café".encode("latin-1"))
    with pytest.raises(EdgepressError, match="not UTF-8"):
        load_corpus(str(path))


def test_folder_without_splits(tmp_path):
    with pytest.raises(EdgepressError, match="no split"):
        load_corpus(str(tmp_path))


def test_a_split_that_is_not_there_is_told_those_that_are(data_root):
    with pytest.raises(EdgepressError, match="no split 'nope' of ") as refused:
        load_corpus("verdicts/nope", data_root)
    assert "it has train, validation" in refused.value.hint


def test_held_out_texts_are_the_same_in_any_order():
    training, held_out = Corpus("c", TEXTS).parts()
    assert sorted(training.texts + held_out.texts) == sorted(TEXTS)
    assert 0 < len(held_out.texts) < len(TEXTS) / 5
    assert sorted(Corpus("c", TEXTS[::-1]).parts()[1].texts) == sorted(held_out.texts)
    _, twice = Corpus("c", TEXTS * 2).parts()
    assert len(twice.texts) == 2 * len(held_out.texts)


def test_sample_keeps_order_and_digest_tells_texts_apart():
    corpus = Corpus("c", TEXTS)
    drawn = corpus.sample(10, seed=3)
    assert [text for text in TEXTS if text in drawn.texts] == drawn.texts
    assert len({corpus.digest, drawn.digest, Corpus("c", ["a", "b"]).digest, Corpus("c", ["ab"]).digest}) == 4


def test_blocks_hold_every_token_once(tokenizer):
    rows = blocks(tokenizer, Corpus("c", TEXTS), 16)["input_ids"]
    assert {len(row) for row in rows[:-1]} == {16}
    assert {(row[0], row[-1]) for row in rows} == {(tokenizer.cls_token_id, tokenizer.sep_token_id)}
    tokens = [token for row in rows for token in row[1:-1]]
    texts = " [SEP] ".join(TEXTS)
    assert tokens == tokenizer(texts, add_special_tokens=False)["input_ids"]
