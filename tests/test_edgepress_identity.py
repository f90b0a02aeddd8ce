"""What a result is made from: digests of contents, and differences in words."""

import copy

import numpy as np
import pytest
import torch
from conftest import SENTENCES, small_bert
from datasets import Dataset, concatenate_datasets
from transformers import BertTokenizer, BertTokenizerFast

from edgepress.core.identity import (
    differences,
    in_words,
    model_config,
    rows_identity,
    texts_digest,
    tokenizer_digest,
    weights_digest,
)
from edgepress.core.splits import Examples

TEXTS = [(text,) for text, _ in SENTENCES]
LABELS = np.arange(len(TEXTS)) % 2


def test_nothing_differs_in_the_same():
    assert differences({"a": 1, "b": {"c": [1]}}, {"b": {"c": [1]}, "a": 1}) == []


def test_differences_are_said_with_what_was_and_what_is():
    before = {"--epochs": 3.0, "classes": ["no", "yes"], "versions": {"torch": "2.5"}}
    now = {"--epochs": 3.0, "classes": ["no", "yes", "maybe"], "versions": {"torch": "2.6"}, "--seed": None}
    said = in_words(differences(before, now))
    assert said == 'classes was ["no", "yes"], is ["no", "yes", "maybe"]; versions.torch was 2.5, is 2.6'


def test_contents_are_said_with_their_rows_and_the_beginning_of_their_digest():
    before = {"train texts": {"rows": 8530, "sha256": "ab12cd34" * 8}}
    now = {"train texts": {"rows": 8529, "sha256": "ef56ab78" * 8}}
    said = "train texts differ (was 8,530 rows, ab12cd34; is 8,529 rows, ef56ab78)"
    assert in_words(differences(before, now)) == said
    assert in_words(differences({}, now)) == "train texts differ (was none; is 8,529 rows, ef56ab78)"


def test_many_differences_are_cut():
    said = in_words(differences({}, {f"flag {number}": number for number in range(20)}))
    assert said.endswith("flag 7 was none, is 7; 12 more")
    assert len(in_words(differences({"a": ""}, {"a": "long " * 100}))) < 100


def test_texts_and_labels_have_digests_of_their_own():
    first, other = rows_identity("train", Examples(TEXTS, LABELS)), Examples(TEXTS, 1 - LABELS)
    assert first == rows_identity("train", Examples(list(TEXTS), LABELS.copy()))
    assert [own.place for own in differences(first, rows_identity("train", other))] == ["train labels"]
    swapped = Examples([TEXTS[1], TEXTS[0], *TEXTS[2:]], LABELS)
    assert [own.place for own in differences(first, rows_identity("train", swapped))] == ["train texts"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([("a", "b c")], [("a b", "c")]),
        ([("a b",)], [("a", "b")]),
        ([("a",), ("b",)], [("a b",)]),
        ([("a",), ("",)], [("",), ("a",)]),
        ([("café",)], [("cafe\u0301",)]),
        ([("\ud800",)], [("\ud801",)]),
    ],
)
def test_texts_that_look_alike_are_told_apart(first, second):
    found = [texts_digest(Examples(texts, np.zeros(len(texts)))) for texts in (first, second)]
    assert found[0] != found[1]


def test_types_and_shapes_of_labels_count():
    kinds = [
        np.zeros(4, np.int64),
        np.zeros(4, np.float32),
        np.zeros((4, 1), np.int64),
        np.zeros((2, 2), np.int64),
    ]
    found = {rows_identity("", Examples(TEXTS[:4], labels))[" labels"]["sha256"] for labels in kinds}
    assert len(found) == 4


def rows(ids, labels=None):
    return Dataset.from_dict({"input_ids": ids} | ({} if labels is None else {"labels": labels}))


def digest(dataset):
    return rows_identity("", dataset)[" texts"]["sha256"]


def test_encoded_rows_are_told_apart_by_lengths_values_and_columns():
    kinds = [rows([[1, 2], [3]]), rows([[1], [2, 3]]), rows([[1, 2], [4]]), rows([[3], [1, 2]])]
    kinds.append(kinds[0].rename_column("input_ids", "token_type_ids"))
    assert len({digest(own) for own in kinds}) == len(kinds)


def test_how_encoded_rows_lie_in_memory_does_not_count():
    ids = [[number, *range(number % 5)] for number in range(50)]
    whole, parts = rows(ids), concatenate_datasets([rows(ids[:7]), rows(ids[7:])])
    picked = rows([[9], *ids]).select(range(1, 51))
    assert digest(whole) == digest(parts) == digest(picked)


def test_labels_of_encoded_rows_and_what_a_teacher_says_to_them():
    first, other = rows([[1], [2]], [0, 1]), rows([[1], [2]], [1, 1])
    assert [
        own.place for own in differences(rows_identity("train", first), rows_identity("train", other))
    ] == ["train labels"]
    taught = first.add_column("teacher_logits", [[0.1, 0.2], [0.3, 0.4]])
    assert rows_identity("train", taught) == rows_identity("train", first)
    spans = rows([[1], [2]], [[0, 1], [2, 3]]), rows([[1], [2]], [[0, 1], [3, 2]])
    assert len({rows_identity("", own)[" labels"]["sha256"] for own in spans}) == 2


def test_one_weight_counts_and_a_name_of_a_folder_does_not():
    model = small_bert(300)
    same = copy.deepcopy(model)
    same.config._name_or_path = "elsewhere"
    assert weights_digest(model) == weights_digest(same)
    assert model_config(model) == model_config(same)
    same.bert.pooler.dense.bias.data[3] += 1e-6
    same.config.hidden_dropout_prob = 0.2
    same.config.id2label = {0: "positive", 1: "negative"}
    assert weights_digest(model) != weights_digest(same)
    places = {own.place for own in differences(model_config(model), model_config(same))}
    assert places == {"hidden_dropout_prob", "id2label.0", "id2label.1"}


def test_type_and_shape_of_weights_count_and_single_numbers_are_read():
    class Single(torch.nn.Module):
        def __init__(self, value):
            super().__init__()
            self.register_buffer("value", value)

    zeros = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(8, dtype=torch.float16), torch.tensor(0.0)]
    assert len({weights_digest(Single(value)) for value in zeros}) == 4


@pytest.fixture
def vocabulary(tokenizer, tmp_path):
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("kind", [BertTokenizer, BertTokenizerFast])
def test_every_setting_of_a_tokenizer_counts_slow_or_fast(kind, vocabulary, tmp_path):
    def made(**settings):
        return kind(vocabulary, **settings)

    more = made()
    more.add_tokens(["splendid"])
    narrowed = made()
    narrowed.model_input_names = ["input_ids"]
    left, cased = made(), made(do_lower_case=False)
    left.padding_side = "left"
    other_pad = made(pad_token="[UNK]")
    (tmp_path / "fewer.txt").write_text((tmp_path / "vocab.txt").read_text().rpartition("\n")[0])
    fewer = kind(str(tmp_path / "fewer.txt"))
    accents, cut = made(strip_accents=False), made(truncation_side="left")
    kinds = [made(), more, narrowed, left, cased, other_pad, fewer, accents, cut]
    assert len({tokenizer_digest(own) for own in kinds}) == len(kinds)
    assert tokenizer_digest(made()) == tokenizer_digest(made())


def test_a_slow_tokenizer_is_not_its_fast_one(vocabulary):
    if BertTokenizer is BertTokenizerFast:
        pytest.skip("transformers 5 has one tokenizer for BERT")
    assert tokenizer_digest(BertTokenizer(vocabulary)) != tokenizer_digest(BertTokenizerFast(vocabulary))


def test_what_a_tokenizer_was_last_used_for_does_not_count(tokenizer, tmp_path):
    own = copy.deepcopy(tokenizer)
    before = tokenizer_digest(own)
    own(["the film", "the acting is dull"], padding=True, truncation=True, max_length=3)
    assert tokenizer_digest(own) == before
    own.save_pretrained(tmp_path / "moved")
    assert tokenizer_digest(type(own).from_pretrained(tmp_path / "moved")) == tokenizer_digest(
        type(own).from_pretrained(tmp_path / "moved")
    )
