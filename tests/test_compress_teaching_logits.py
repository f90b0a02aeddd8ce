"""The teacher's logits on disk: read again, computed anew, told apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from compress.teaching import logits as module
from compress.teaching.logits import teacher_logits
from edgepress.loading import OpenedModel, open_model
from edgepress.splits import Examples, load_split


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "logits"


@pytest.fixture
def teacher(model_folder, data_root) -> OpenedModel:
    return open_model(str(model_folder), task="verdicts", data=data_root)


@pytest.fixture
def texts(teacher, data_root) -> Examples:
    return load_split(teacher.task, "train", data_root)


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """How many texts the teacher read, each time that it did."""
    counts: list[int] = []
    real = module._compute

    def counted(opened, examples, *rest):
        counts.append(len(examples))
        return real(opened, examples, *rest)

    monkeypatch.setattr(module, "_compute", counted)
    return counts


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


def test_a_second_run_reads_what_the_first_kept(teacher, texts, computed, cache):
    first, second = (teacher_logits(teacher, texts, 64) for _ in range(2))
    assert computed == [len(texts)]
    assert np.array_equal(first, second)
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "rows"])
def test_a_damaged_file_is_computed_anew_with_a_warning(teacher, texts, computed, cache, capsys, damage):
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
        module._write(path, first[:-1])
    capsys.readouterr()
    assert np.array_equal(teacher_logits(teacher, texts, 64), first)
    assert computed == [len(texts)] * 2
    assert "damaged" in capsys.readouterr().err
    teacher_logits(teacher, texts, 64)
    assert len(computed) == 2


def test_another_text_is_another_key(teacher, texts, computed):
    changed = Examples([("the film is a quiet mess.",), *texts.texts[1:]], texts.labels)
    assert not np.array_equal(teacher_logits(teacher, texts, 64), teacher_logits(teacher, changed, 64))
    assert len(computed) == 2


def test_another_weight_is_another_key(teacher, texts, computed):
    teacher_logits(teacher, texts, 64)
    with torch.no_grad():
        teacher.model.classifier.bias[0] += 1e-3
    teacher_logits(teacher, texts, 64)
    assert len(computed) == 2


def test_another_tokenizer_is_another_key(teacher, texts, computed, model_folder, data_root):
    teacher_logits(teacher, texts, 64)
    other = open_model(str(model_folder), task="verdicts", data=data_root).tokenizer
    other.add_tokens(["splendid"])
    teacher_logits(replace(teacher, tokenizer=other), texts, 64)
    assert len(computed) == 2


def test_another_length_is_another_key(teacher, texts, computed):
    teacher_logits(teacher, texts, 64)
    teacher_logits(teacher, texts, 5)
    assert len(computed) == 2


def test_labels_do_not_matter(teacher, texts, computed):
    teacher_logits(teacher, texts, 64)
    teacher_logits(teacher, Examples(texts.texts, 1 - texts.labels), 64)
    assert len(computed) == 1
