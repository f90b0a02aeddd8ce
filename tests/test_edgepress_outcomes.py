"""Outcomes: they give each metric's value and interval again, and survive being packed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgepress.core.intervals import loss_bounds, paired_bounds, tango
from edgepress.core.metrics import NAMES, undefined, value_of
from edgepress.core.outcomes import fit, outcomes, value
from edgepress.core.packed_array import MOST_CHARACTERS, TYPES, pack, unpack
from edgepress.core.squad import SCORES, Answers

RNG = np.random.default_rng(0)
TEXTS = 60
CLASSES = RNG.integers(0, 2, TEXTS)
FLAGS = (RNG.random((TEXTS, 3)) < 0.4).astype(np.float32)
VALUES = RNG.normal(size=TEXTS).astype(np.float32)
TAGS = RNG.integers(0, 5, (TEXTS, 7))
QUERIES = np.column_stack([np.arange(TEXTS) % 3 == 0, np.arange(TEXTS) // 6]).astype(np.int64)


def answers() -> np.ndarray:
    found = np.empty(TEXTS, dtype=object)
    for row in range(TEXTS):
        found[row] = Answers("a quiet film", ("quiet film",), (2,))
    return found


def flipped(truth: np.ndarray) -> np.ndarray:
    """The same 0/1 values with some of them wrong."""
    return np.where(RNG.random(truth.shape) < 0.2, 1 - truth, truth).astype(np.int64)


def judged(name: str) -> tuple[np.ndarray, np.ndarray]:  # noqa: PLR0911
    """Predictions of one metric's kind, and labels."""
    if name.startswith("entity"):
        return np.where(RNG.random(TAGS.shape) < 0.1, 0, TAGS), TAGS
    if name in SCORES:
        return np.column_stack([RNG.choice([2, 8], TEXTS), np.full(TEXTS, 12)]), answers()
    if name.startswith("masked"):
        hidden = RNG.integers(1, 9, TEXTS)
        return np.column_stack([RNG.random(TEXTS) * 9, RNG.integers(0, hidden + 1), hidden]), CLASSES
    if name.endswith("cosine"):
        return np.column_stack([VALUES + RNG.normal(size=TEXTS), RNG.integers(1, 9, TEXTS)]), VALUES
    if name in ("map", "mrr_at_10", "ndcg_at_10", "recall_at_1", "recall_at_10"):
        return np.column_stack([RNG.random(TEXTS), RNG.integers(1, 30, TEXTS)]), QUERIES
    if name in ("pearson", "spearman"):
        return VALUES + RNG.normal(size=TEXTS).astype(np.float32), VALUES
    if name.startswith("hamming") or name in ("f1_micro", "f1_macro"):
        return flipped(FLAGS), FLAGS
    return flipped(CLASSES), CLASSES


@pytest.mark.parametrize("name", NAMES)
def test_outcomes_give_the_metric_and_its_loss_again(name: str) -> None:
    (theirs, labels), (ours, _) = judged(name), judged(name)
    assert not undefined(name, ours, labels)
    own = unpack(pack(outcomes(name, ours, labels)))
    assert fit(name, own)
    assert value(name, own) == pytest.approx(value_of(name, ours, labels), abs=1e-12)
    before = unpack(pack(outcomes(name, theirs, labels)))
    found, direct = loss_bounds(name, before, own), paired_bounds(name, theirs, ours, labels)
    assert (found.low, found.high) == pytest.approx((direct.low, direct.high), abs=1e-12)
    assert found.low < found.high


def test_several_labels_are_right_together() -> None:
    given_ = FLAGS.copy()
    given_[:6, 0] = 1 - given_[:6, 0]
    own = outcomes("accuracy", given_, FLAGS)
    assert own.sum() == TEXTS - 6
    assert loss_bounds("accuracy", np.ones(TEXTS, bool), own) == tango(6, 0, TEXTS)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("accuracy", np.zeros((3, 2), bool)),
        ("accuracy", np.array([0.5, 1.0])),
        ("map", np.zeros((3, 1))),
        ("entity_f1", np.zeros((3, 2))),
        ("f1", np.zeros(3)),
        ("unheard_of", np.zeros((3, 2))),
    ],
)
def test_what_is_no_outcome_of_a_metric_is_seen(name: str, own: np.ndarray) -> None:
    assert not fit(name, own)


@given(
    arrays.arrays(
        st.sampled_from([np.bool_, np.int64, np.float32, np.float64]),
        arrays.array_shapes(max_dims=3, min_side=0),
        elements={"allow_nan": False, "allow_infinity": False, "min_value": -(2**31), "max_value": 2**31 - 1},
    )
    | arrays.arrays(np.bool_, arrays.array_shapes(max_dims=3, min_side=0))
)
def test_a_packed_array_is_the_same_again(own: np.ndarray) -> None:
    text = pack(own)
    assert "\n" not in text
    back = unpack(text)
    assert (back.shape, back.dtype.name in TYPES) == (own.shape, True)
    np.testing.assert_array_equal(back, own)


def test_right_or_wrong_of_872_texts_is_short() -> None:
    assert len(pack(RNG.random(872) < 0.5)) < 200


def test_what_is_too_long_is_left_out() -> None:
    assert pack(RNG.normal(size=MOST_CHARACTERS)) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("bool 3", "not enough values"),
        ("object 1 eJw=", "no packed array"),
        ("int8 -1x-1 eJw=", "no packed array"),
        ("int8 x eJw=", "invalid literal"),
        ("int8 99999999999 eJw=", "more than 64 MiB"),
        ("int8 3 %%%%", "cannot be unpacked"),
        ("int8 3 AAAA", "cannot be unpacked"),
        (pack(np.arange(4)).replace(" 4 ", " 5 "), "not of the shape"),
        (pack(np.arange(4)).replace(" 4 ", " 3 "), "not of the shape"),
        (pack(np.array([1.5, 2.5])).replace("2", "2", 1)[:-4] + "AAAA", "cannot be unpacked"),
    ],
)
def test_what_is_damaged_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpack(text)


def test_no_number_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="not finite"):
        unpack(_of_infinity())


def _of_infinity() -> str:
    with np.errstate(all="ignore"):
        return pack(np.array([np.inf, 1.5], np.float32))
