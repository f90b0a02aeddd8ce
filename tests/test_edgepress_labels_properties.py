"""Labels: in whatever order, case and blanks data write a model's names, each row means its own class."""

from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgepress.core.labels import (
    DataLabels,
    LabelMismatchError,
    label_key,
    label_text,
    match_labels,
    parse_label_map,
    sorted_labels,
)

# Words, of several scripts: no numbers, and nothing that case folds into another word of the list.
WORDS = (
    st.text(alphabet=st.sampled_from("abcdxyzäöéжщλ -_"), min_size=1, max_size=6).map(str.strip).filter(bool)
)
NAMES = st.lists(WORDS, min_size=2, max_size=6, unique_by=label_key).map(tuple)
SPELLINGS = st.sampled_from([str, str.upper, str.title, lambda text: f" {text}\t", lambda text: f"{text} "])


def mapped(
    written: Sequence[str], names: Sequence[str], label_map: dict[str, str] | None = None
) -> list[int]:
    """The class of each text in the data, through the classes that the data are found to have."""
    texts = [label_text(text) or "" for text in written]
    found = match_labels(DataLabels(sorted_labels(texts)), names, label_map or {}, "data")
    return [found.ids[label_key(text)] for text in texts]


@given(NAMES, st.data())
def test_names_come_back_in_any_order_and_spelling(names: tuple[str, ...], data: st.DataObject) -> None:
    spelt = [data.draw(SPELLINGS)(name) for name in names]
    assume(len({label_key(text) for text in spelt}) == len(names))
    order = data.draw(st.lists(st.integers(0, len(names) - 1), min_size=1, max_size=12))
    assert mapped([spelt[index] for index in order], names) == order


@given(NAMES, st.data())
def test_all_whole_numbers_are_class_numbers(names: tuple[str, ...], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(names))))
    write = data.draw(st.sampled_from([str, lambda number: f"{number}.0", lambda number: f" {number} "]))
    assert mapped([write(number) for number in order], names) == order


@given(NAMES, st.data())
def test_a_map_says_what_other_words_mean(names: tuple[str, ...], data: st.DataObject) -> None:
    order = list(data.draw(st.permutations(range(len(names)))))
    said = parse_label_map([f"other{index}={names[index]}" for index in order])
    assert mapped([f"other{index}" for index in order], names, said) == order


@given(NAMES, NAMES, st.data())
def test_a_word_that_is_no_class_is_refused_with_both_lists(
    names: tuple[str, ...], others: tuple[str, ...], data: st.DataObject
) -> None:
    known = {label_key(name) for name in names}
    strangers = [other for other in others if label_key(other) not in known]
    assume(strangers)
    written = [
        *data.draw(st.lists(st.sampled_from(names), max_size=4)),
        data.draw(st.sampled_from(strangers)),
    ]
    with pytest.raises(LabelMismatchError) as refused:
        mapped(written, names)
    assert str(list(names)) in str(refused.value)
    assert "--label-map" in refused.value.hint


@given(st.lists(st.integers(-50, 50), min_size=1, unique=True))
def test_numbers_are_in_the_order_of_their_values(numbers: list[int]) -> None:
    assert sorted_labels(map(str, numbers)) == tuple(map(str, sorted(numbers)))


@given(st.integers() | st.text(max_size=6) | st.integers(-(10**15), 10**15).map(float))
def test_a_label_is_one_text_however_it_is_stored(value: object) -> None:
    text = label_text(value)
    assert text is None or text == label_text(text) == label_text(f" {text}\n")
