"""Schemes of tags, their numbers, and entities counted as seqeval counts them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

from edgepress.core.errors import EdgepressError
from edgepress.core.intervals import drop_bounds, score_bounds
from edgepress.core.metrics import score, value_of
from edgepress.core.tags import IGNORED, BrokenTagsError, TagSet, as_iob2, entities, entity_counts
from edgepress.core.tasks.kinds import kind_of

TYPES = ("LOC", "PER")
TAGS = TagSet.of_types(TYPES)
SAME = [
    pytest.param(["O", "I-LOC", "I-LOC", "B-LOC", "I-PER"], id="IOB1"),
    pytest.param(["O", "B-LOC", "I-LOC", "B-LOC", "B-PER"], id="IOB2"),
    pytest.param(["O", "B-LOC", "E-LOC", "S-LOC", "S-PER"], id="IOBES"),
    pytest.param(["O", "B-LOC", "L-LOC", "U-LOC", "U-PER"], id="BILOU"),
]


@pytest.mark.parametrize("tags", SAME)
def test_all_schemes_are_read_as_iob2(tags: list[str]) -> None:
    assert as_iob2([tags], str) == [["O", "B-LOC", "I-LOC", "B-LOC", "B-PER"]]


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([["B-LOC", "O"], ["O", "I-LOC"]], "row 1: tag 2 is I-LOC"),
        ([["B-LOC", "I-PER"]], "row 0: tag 2 is I-PER"),
        ([["S-LOC"], ["O", "E-PER"]], "row 1: tag 2 is E-PER"),
        ([["LOC"]], "'LOC' is neither O nor B-TYPE"),
    ],
)
def test_tags_that_no_scheme_explains_are_refused(rows: list[list[str]], word: str) -> None:
    with pytest.raises(BrokenTagsError, match=word):
        as_iob2(rows, "row {}".format)


def test_numbers_need_no_names() -> None:
    head = TagSet(("I-PER", "O", "B-PER", "B-LOC", "I-LOC"))
    assert head.types == ("PER", "LOC")
    assert head.numbers.tolist() == [2, 0, 1, 3, 4]
    assert head.to_labels(np.array([0, 1, 2, 3, 4, IGNORED])).tolist() == [1, 2, 0, 3, 4, IGNORED]
    logits = np.array([[5.0, 1.0, 2.0, 3.0, 4.0]])
    assert head.in_order(logits).tolist() == [[1.0, 2.0, 5.0, 3.0, 4.0]]


def test_what_a_head_cannot_say_is_never_decided() -> None:
    head = TagSet(("O", "I-PER"))  # IO: entities have no beginning of their own
    assert head.in_order(np.array([[1.0, 2.0]])).argmax() == 2
    assert head.in_order(np.array([[-5.0, -9.0]])).argmax() == 0
    with pytest.raises(EdgepressError, match="cannot say all tags"):
        head.to_labels(np.array([1]))


TEXTS = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=5)


def padded(rows: list[list[int]], lengths: list[int], filler: int) -> np.ndarray:
    whole = np.full((len(lengths), max(lengths)), filler)
    for row, length in enumerate(lengths):
        own = (rows[row % len(rows)] * 6)[:length]
        whole[row, :length] = own
    return whole


def named(numbers: np.ndarray, truth: np.ndarray) -> list[list[str]]:
    return [
        [TAGS.labels[own] for own in row[kept != IGNORED]] for row, kept in zip(numbers, truth, strict=True)
    ]


@given(TEXTS, TEXTS)
def test_scores_are_those_of_seqeval(predicted_rows: list[list[int]], rows: list[list[int]]) -> None:
    lengths = [len(row) for row in rows]
    truth, predicted = padded(rows, lengths, IGNORED), padded(predicted_rows, lengths, 0)
    theirs, ours = named(truth, truth), named(predicted, truth)
    for name, reference in (
        ("entity_f1", f1_score),
        ("entity_precision", precision_score),
        ("entity_recall", recall_score),
    ):
        value = value_of(name, predicted, truth)
        assert (value or 0.0) == pytest.approx(reference(theirs, ours, zero_division=0))
    if not entity_counts(predicted, truth)[..., 2].any():
        return
    table = classification_report(theirs, ours, output_dict=True, zero_division=0)
    for own in kind_of("token_classification").label_scores(predicted, truth, TAGS.labels):
        if own.texts:
            assert own.recall == pytest.approx(table[own.label]["recall"])
            assert own.texts == table[own.label]["support"]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_entities_are_those_of_the_names(numbers: list[int]) -> None:
    found = [(TYPES[kind], first, last) for kind, first, last in entities(numbers)]
    assert found == get_entities([TAGS.labels[number] for number in numbers])


def test_an_interval_is_of_texts_and_holds_the_score() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, (60, 8))
    wrong = np.where(rng.random(truth.shape) < 0.2, 0, truth)
    outputs = np.eye(5)[wrong]
    value = score("entity_f1", outputs, truth, "token_classification")
    bounds = score_bounds("entity_f1", outputs, truth, "token_classification")
    assert value is not None
    assert bounds is not None
    assert 0 < bounds.low < value < bounds.high < 1
    lost = drop_bounds("entity_f1", np.eye(5)[truth], outputs, truth, "token_classification")
    assert lost is not None
    assert lost.low < 1 - value < lost.high


def test_a_text_without_entities_has_no_score() -> None:
    none = np.zeros((2, 3), dtype=int)
    assert value_of("entity_f1", none, none) is None
    assert entity_counts(none, none).sum() == 0
