"""Texts that stand in another collection already, and texts cut to the lengths of a task."""

import numpy as np
import pytest

from edgepress.core.near_duplicates import TextIndex, letters_of
from edgepress.core.sentences import LengthModel, sentences, words

JUDGED = (
    "it 's a charming and often affecting journey .",
    "unflinchingly bleak and desperate , and not at all what one hopes for",
    "the mesmerizing performances of the leads keep the film grounded and keep the audience riveted .",
    "Ein Café in Zürich, am späten Abend bei leichtem Regen",
)


@pytest.fixture(scope="module")
def index() -> TextIndex:
    return TextIndex([(text,) for text in JUDGED])


def compared(index: TextIndex, *texts: str) -> list[tuple[bool, bool]]:
    letters = [letters_of((text,)) for text in texts]
    return list(zip(index.exact(letters).tolist(), index.near(letters).tolist(), strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "It's a charming and often affecting journey",
        "ITS A CHARMING AND OFTEN AFFECTING JOURNEY!!!",
        "ein cafe in zurich - am spaten abend bei leichtem regen",
    ],
)
def test_case_accents_and_punctuation_make_no_other_text(index, text):
    assert compared(index, text) == [(True, True)]


@pytest.mark.parametrize(
    "text",
    [
        "the mesmerizing performances of the leads keep the movie grounded and keep the audience riveted .",
        "of the leads keep the film grounded and keep the audience riveted",
        "I must say that it 's a charming and often affecting journey , if you ask me about it",
    ],
    ids=["a word replaced", "a beginning cut off", "something put around it"],
)
def test_what_is_nearly_the_same_is_found(index, text):
    assert compared(index, text) == [(False, True)]


@pytest.mark.parametrize(
    "text", ["a charming film", "the leads keep us waiting for a plot that never comes", "", "journey"]
)
def test_what_shares_a_few_words_is_another_text(index, text):
    assert compared(index, text) == [(False, False)]


def test_many_texts_at_once_are_found_as_each_alone(index):
    texts = [
        *JUDGED,
        *(f"the film of number {at} is a long and winding tale of its own" for at in range(99)),
    ]
    together = compared(index, *texts)
    assert together == [compared(index, text)[0] for text in texts]
    assert together[: len(JUDGED)] == [(True, True)] * len(JUDGED)
    assert not any(exact or near for exact, near in together[len(JUDGED) :])


def test_a_turn_of_phrase_that_many_texts_have_tells_none_apart():
    phrase = "one of the best films of the year"
    index = TextIndex([(f"{phrase} {'xyz' * at} {at}",) for at in range(30)])
    assert compared(index, f"it is {phrase}") == [(False, False)]


def test_pairs_are_compared_as_pairs():
    index = TextIndex([("where was she born", "she was born in London , as far as is known")])
    letters = [
        letters_of(pair)
        for pair in [
            ("Where was she born?", "She was born in London, as far as is known."),
            ("who wrote the first program for a machine", "nobody knows that any more , it seems"),
        ]
    ]
    assert index.exact(letters).tolist() == [True, False]
    assert index.near(letters).tolist() == [True, False]


def test_nothing_is_near_to_nothing():
    assert TextIndex([]).near([letters_of((JUDGED[0],))]).tolist() == [False]


def test_sentences_end_at_full_stops_and_breaks():
    text = "It is long. Is it good? Yes!<br /><br />Nobody  knows\nwhy Mr.Smith left."
    assert sentences(text) == ["It is long.", "Is it good?", "Yes!", "Nobody  knows", "why Mr.Smith left."]


def test_texts_are_cut_to_the_lengths_of_the_task():
    rng = np.random.default_rng(0)
    task = [" ".join(["word"] * int(count)) for count in rng.normal(40, 8, 400).clip(5)]
    lengths = LengthModel(task)
    document = " ".join("a b c d e f g." for _ in range(4000))
    cut = [words(text) for text in lengths.cut(document)]
    own = [words(text) for text in task]
    assert sum(cut) == words(document)
    assert abs(np.mean(cut) - np.mean(own)) < 2
    assert abs(np.std(cut) - np.std(own)) < 3
    assert lengths.fits(task[0])
    assert not lengths.fits("two words")


def test_sentences_of_short_tasks_stay_whole():
    cut = [
        *LengthModel(["three little words"] * 9).cut("One two. Three four five. Six. Seven eight nine ten.")
    ]
    assert cut == ["One two.", "Three four five.", "Six.", "Seven eight nine ten."]
