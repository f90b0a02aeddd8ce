"""Parity: differences are measured where they are, and what cannot be compared is refused."""

from pathlib import Path

import numpy as np
import pytest
from conftest import SENTENCES, small_bert
from transformers import PreTrainedTokenizerFast

from edgepress.core.errors import ExpectationError
from edgepress.core.pretrained import encode
from export.core.eager import EagerRunner
from export.core.runner import Batch
from export.core.shapes import Shapes
from export.onnx import OnnxRunner
from export.validation.parity import TOLERANCES, Parity, compare, compare_logits, parity_batches, require

SINGLE = "single_label_classification"


def batch(rows: int, length: int) -> Batch:
    return {"input_ids": np.zeros((rows, length), dtype=np.int64)}


BATCHES = [batch(1, 7), batch(2, 33)]
PARENT = [np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [2.0, 0.0]])]


@pytest.fixture(scope="module")
def encodings(tokenizer: PreTrainedTokenizerFast) -> list[dict[str, np.ndarray]]:
    return encode(tokenizer, [(text,) for text, _ in SENTENCES], 64)


def parity(max_abs: float) -> Parity:
    return Parity(max_abs, max_abs / 2, 1.0, worst_batch=8, worst_length=33, rows=10)


def test_equal_logits() -> None:
    found = compare_logits(PARENT, PARENT, BATCHES, SINGLE)
    assert (found.max_abs, found.mean_abs, found.agreement, found.rows) == (0, 0, 1, 3)


def test_differences_and_where_the_largest_is() -> None:
    child = [np.array([[1.25, 0.0]]), np.array([[0.0, -0.5], [2.0, 0.25]])]
    found = compare_logits(PARENT, child, BATCHES, SINGLE)
    assert found.max_abs == 1.5
    assert found.mean_abs == pytest.approx((0.25 + 1.5 + 0.25) / 6)
    assert found.agreement == pytest.approx(2 / 3)
    assert (found.worst_batch, found.worst_length) == (2, 33)


def test_first_batch_can_be_the_worst() -> None:
    found = compare_logits(PARENT, [PARENT[0] + 1, PARENT[1]], BATCHES, SINGLE)
    assert (found.worst_batch, found.worst_length) == (1, 7)


def test_to_dict_names_every_figure() -> None:
    assert parity(0.5).to_dict() == {
        "max_abs": 0.5,
        "mean_abs": 0.25,
        "agreement": 1.0,
        "worst_batch": 8,
        "worst_length": 33,
        "rows": 10,
        "agreed_rows": 0,
        "likeness": {},
    }


def test_onnx_file_next_to_its_torch_model(
    onnx_file: Path, tokenizer: PreTrainedTokenizerFast, encodings: list[Batch]
) -> None:
    batches = parity_batches(encodings, 64)
    with EagerRunner(small_bert(len(tokenizer))) as parent, OnnxRunner(onnx_file) as child:
        found = compare(parent, child, batches, SINGLE)
    require(found, "onnx", "fp32", None, "model.onnx")
    assert found.agreement == 1
    assert found.rows == sum(len(one["input_ids"]) for one in batches)


def test_another_model_fails_parity(onnx_file: Path, encodings: list[Batch], tmp_path: Path) -> None:
    from export.onnx import export

    export(small_bert(400), tmp_path / "other.onnx")
    with OnnxRunner(onnx_file) as parent, OnnxRunner(tmp_path / "other.onnx") as child:
        found = compare(parent, child, parity_batches(encodings, 64), SINGLE)
    with pytest.raises(ExpectationError, match="parity of other failed"):
        require(found, "onnx", "fp32", None, "other")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_child_that_is_not_finite(value: float) -> None:
    child = [PARENT[0], PARENT[1].copy()]
    child[1][0, 1] = value
    with pytest.raises(ExpectationError, match="logits are not finite at batch 2, sequence 33"):
        compare_logits(PARENT, child, BATCHES, SINGLE)


def test_parent_that_is_not_finite() -> None:
    parent = [np.full((1, 2), np.nan), np.full((2, 2), np.nan)]
    with pytest.raises(ExpectationError):
        require(compare_logits(parent, PARENT, BATCHES, SINGLE), "onnx", "fp32", None, "model.onnx")


def test_shapes_that_differ() -> None:
    child = [PARENT[0], np.zeros((2, 3))]
    with pytest.raises(ExpectationError, match=r"logits have shape \(2, 3\), the parent's \(2, 2\)"):
        compare_logits(PARENT, child, BATCHES, SINGLE)


def test_failed_parity_says_where_and_by_how_much() -> None:
    with pytest.raises(ExpectationError) as failed:
        require(parity(0.5), "onnx", "fp32", None, "model.onnx")
    assert str(failed.value) == (
        "parity of model.onnx failed: a logit differs by 5.00e-01 from its parent's, "
        "allowed 1.0e-04, at batch 8, sequence 33"
    )
    assert "--atol" in failed.value.hint
    assert failed.value.exit_code == 1


@pytest.mark.parametrize("precision", TOLERANCES)
def test_tolerance_of_each_precision(precision: str) -> None:
    limit = TOLERANCES[precision]
    require(parity(limit), "onnx", precision, None, "file")
    with pytest.raises(ExpectationError):
        require(parity(limit * 1.01), "onnx", precision, None, "file")


def test_atol_takes_the_place_of_the_tolerance() -> None:
    require(parity(0.5), "onnx", "fp32", 0.6, "file")
    with pytest.raises(ExpectationError, match=r"allowed 2"):
        require(parity(0.5), "onnx", "int8", 0.2, "file")
    with pytest.raises(ExpectationError, match="allowed 0"):
        require(parity(1e-9), "onnx", "int8", 0.0, "file")


@pytest.mark.parametrize("longest", [64, 512])
def test_batches_reach_from_one_token_to_the_longest(encodings: list[Batch], longest: int) -> None:
    shapes = [one["input_ids"].shape for one in parity_batches(encodings, longest)]
    assert {1, longest} <= {length for _, length in shapes}
    assert len({length for _, length in shapes}) >= 5
    assert max(length for _, length in shapes) == longest
    assert {rows for rows, _ in shapes} >= {1, 2, 3, 8}


def test_batches_of_a_model_shorter_than_some_of_them(encodings: list[Batch]) -> None:
    lengths = {one["input_ids"].shape[1] for one in parity_batches(encodings, 10)}
    assert lengths == {1, 7, 10}


def test_some_batches_are_padded_and_no_row_is_empty(encodings: list[Batch]) -> None:
    masks = [one["attention_mask"] for one in parity_batches(encodings, 64)]
    assert any(mask.all() for mask in masks)
    assert sum(not mask.all() for mask in masks) >= 2
    assert all((mask[:, 0] == 1).all() for mask in masks)
    assert all((np.diff(mask, axis=1) <= 0).all() for mask in masks)


def test_no_row_is_cut_from_the_padding_of_a_fixed_shape(encodings: list[Batch]) -> None:
    padded = [Shapes(1, (60,)).fit(one) for one in encodings]
    plain, cut = (parity_batches(each, 64) for each in (encodings, padded))
    for one, other in zip(plain, cut, strict=True):
        np.testing.assert_equal(one, other)


def test_batches_hold_tokens_of_real_sentences(encodings: list[Batch]) -> None:
    real = set(np.concatenate([one["input_ids"][0] for one in encodings]).tolist())
    for one in parity_batches(encodings, 64):
        assert set(one["input_ids"].flatten().tolist()) <= real
        assert {values.dtype for values in one.values()} == {np.dtype(np.int64)}


def test_batches_depend_on_the_seed_alone(encodings: list[Batch]) -> None:
    first, again, other = (parity_batches(encodings, 64, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a["input_ids"], b["input_ids"]) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a["input_ids"], b["input_ids"]) for a, b in zip(first, other, strict=True))
