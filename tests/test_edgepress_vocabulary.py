"""A vocabulary built from the training text."""

from pathlib import Path

from conftest import SENTENCES
from transformers import AutoTokenizer

from edgepress.core.vocabulary import SPECIAL, train_tokenizer

TEXTS = [text for text, _ in SENTENCES]


def test_size_and_special_tokens() -> None:
    tokenizer = train_tokenizer(TEXTS, 80)
    assert len(tokenizer) == 80
    assert tokenizer.convert_ids_to_tokens(range(5)) == list(SPECIAL)
    assert tokenizer.pad_token_id == 0


def test_small_text_gives_fewer_entries() -> None:
    assert len(train_tokenizer(TEXTS, 10_000)) < 300


def test_reads_as_bert_does() -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("The FILM, élan")["input_ids"])
    assert tokens[:4] == ["[CLS]", "the", "film", ","]
    assert tokens[4].startswith("e")
    assert tokens[-1] == "[SEP]"
    pair = tokenizer("the film", "is dull")
    assert pair["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]


def test_same_text_same_vocabulary() -> None:
    assert train_tokenizer(TEXTS, 100).get_vocab() == train_tokenizer(iter(TEXTS), 100).get_vocab()


def test_survives_saving(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 120)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert [loaded(text)["input_ids"] for text in TEXTS] == [tokenizer(text)["input_ids"] for text in TEXTS]
    assert [loaded.convert_tokens_to_ids(token) for token in SPECIAL] == [0, 1, 2, 3, 4]
