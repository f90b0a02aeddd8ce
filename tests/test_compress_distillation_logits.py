"""The teacher's logits on disk: read again, computed anew, told apart."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from transformers import BertForSequenceClassification, BertTokenizer

from compress.distillation.logits import teacher_logits
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.splits import Examples, load_split


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "logits"


@pytest.fixture
def teacher(model_folder, data_root) -> OpenedModel:
    return open_model(str(model_folder), task="verdicts", data=data_root)


@pytest.fixture
def texts(teacher, data_root) -> Examples:
    return load_split(teacher.task, "train")


@pytest.fixture
def read() -> Iterator[Callable[[], int]]:
    """How many texts classifiers have read so far, over all their forward passes."""
    rows: list[int] = []

    def count(module: nn.Module, _: object, output: Any) -> None:
        if isinstance(module, BertForSequenceClassification):
            rows.append(len(output.logits))

    hook = register_module_forward_hook(count)
    yield lambda: sum(rows)
    hook.remove()


def test_logits_stand_in_the_order_of_the_texts(teacher, texts):
    """Though it reads them by length; one by one, without padding, it says the same."""
    found = teacher_logits(teacher, texts, 64)
    assert found.shape == (len(texts), 2)
    assert found.dtype == np.float32
    for row in (0, 7, len(texts) - 1):
        encoded = teacher.tokenizer(*texts.texts[row], return_tensors="pt")
        with torch.inference_mode():
            alone = teacher.model(**encoded).logits[0].numpy()
        np.testing.assert_allclose(found[row], alone, atol=0.1)  # bf16, where the machine has it
    assert np.mean(found.argmax(1) == texts.labels) == 1


def test_a_second_run_reads_what_the_first_kept(teacher, texts, read, cache):
    first, second = (teacher_logits(teacher, texts, 64) for _ in range(2))
    assert read() == len(texts)
    assert np.array_equal(first, second)
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "rows"])
def test_a_damaged_file_is_computed_anew_with_a_warning(teacher, texts, read, cache, capsys, damage):
    first = teacher_logits(teacher, texts, 64)
    (path,) = cache.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[:-10])
    elif damage == "altered":
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        digest = hashlib.sha256(first[:-1].tobytes()).hexdigest()
        save_file({"logits": first[:-1]}, path, {"sha256": digest})
    capsys.readouterr()
    assert np.array_equal(teacher_logits(teacher, texts, 64), first)
    assert read() == 2 * len(texts)
    assert "damaged" in capsys.readouterr().err
    teacher_logits(teacher, texts, 64)
    assert read() == 2 * len(texts)


def test_another_text_is_another_key(teacher, texts, read):
    changed = Examples([("the film is a quiet mess.",), *texts.texts[1:]], texts.labels)
    assert not np.array_equal(teacher_logits(teacher, texts, 64), teacher_logits(teacher, changed, 64))
    assert read() == 2 * len(texts)


def test_another_weight_is_another_key(teacher, texts, read):
    teacher_logits(teacher, texts, 64)
    with torch.no_grad():
        teacher.model.classifier.bias[0] += 1e-3
    teacher_logits(teacher, texts, 64)
    assert read() == 2 * len(texts)


def test_another_tokenizer_is_another_key(teacher, texts, read, model_folder, data_root):
    teacher_logits(teacher, texts, 64)
    other = open_model(str(model_folder), task="verdicts", data=data_root).tokenizer
    other.add_tokens(["splendid"])
    teacher_logits(replace(teacher, tokenizer=other), texts, 64)
    assert read() == 2 * len(texts)


def test_another_length_is_another_key(teacher, texts, read):
    teacher_logits(teacher, texts, 64)
    teacher_logits(teacher, texts, 5)
    assert read() == 2 * len(texts)


def test_labels_do_not_matter(teacher, texts, read):
    teacher_logits(teacher, texts, 64)
    teacher_logits(teacher, Examples(texts.texts, 1 - texts.labels), 64)
    assert read() == len(texts)


def slow(teacher, tmp_path, **settings) -> OpenedModel:
    """The teacher with a tokenizer in Python, which has no tokenizer.json."""
    vocabulary = teacher.tokenizer.get_vocab()
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(sorted(vocabulary, key=vocabulary.get)), encoding="utf-8")
    return replace(teacher, tokenizer=BertTokenizer(str(path), **settings))


def test_a_slow_tokenizer_teaches_and_is_kept(teacher, texts, read, tmp_path):
    found = [teacher_logits(slow(teacher, tmp_path), texts, 64) for _ in range(2)]
    assert np.array_equal(*found)
    assert read() == len(texts)


def test_settings_of_a_slow_tokenizer_are_another_key(teacher, texts, read, tmp_path):
    for settings in ({}, {"do_lower_case": False}, {"strip_accents": False}, {"unk_token": "[PAD]"}):
        teacher_logits(slow(teacher, tmp_path, **settings), texts, 64)
    assert read() == 4 * len(texts)


def test_the_side_that_is_padded_or_cut_is_another_key(teacher, texts, read):
    for side in ("right", "left"):
        teacher.tokenizer.padding_side = side
        teacher_logits(teacher, texts, 64)
    teacher.tokenizer.truncation_side = "left"
    teacher_logits(teacher, texts, 64)
    assert read() == 3 * len(texts)


def test_pairs_that_join_to_the_same_text_are_two_keys(teacher, read):
    for pair in (("the film", "is dull ."), ("the film is", "dull .")):
        teacher_logits(teacher, Examples([pair], np.zeros(1)), 64)
    assert read() == 2


def test_another_config_is_another_key(teacher, texts, read):
    teacher_logits(teacher, texts, 64)
    teacher.model.config.layer_norm_eps = 1e-3
    teacher_logits(teacher, texts, 64)
    assert read() == 2 * len(texts)


def test_another_version_of_a_library_is_another_key(teacher, texts, read, monkeypatch):
    teacher_logits(teacher, texts, 64)
    monkeypatch.setattr("compress.distillation.logits.library_versions", lambda: {"transformers": "1.0"})
    teacher_logits(teacher, texts, 64)
    assert read() == 2 * len(texts)


def test_a_folder_that_was_moved_is_the_same_key(teacher, texts, read, model_folder, data_root, tmp_path):
    teacher_logits(teacher, texts, 64)
    moved = shutil.copytree(model_folder, tmp_path / "moved")
    teacher_logits(open_model(str(moved), task="verdicts", data=data_root), texts, 64)
    assert read() == len(texts)
