"""SQuAD's format, scores and windows, against values worked out by hand."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from questions import write_columns, write_squad
from transformers import PreTrainedTokenizerFast

from edgepress.core.errors import EdgepressError
from edgepress.core.intervals import drop_bounds, score_bounds
from edgepress.core.metrics import score, scores
from edgepress.core.own_split import split_beside
from edgepress.core.question_answering import (
    BEGIN,
    END,
    NONE,
    NONE_SHARE,
    SHARE,
    VALUE,
    Windows,
    best_answers,
    best_lead,
    cut_windows,
    decided,
    targets,
)
from edgepress.core.splits import Examples, load_split
from edgepress.core.squad import Answers, exact_match, normalize, plain, restored, word_f1
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TaskOptions
from edgepress.core.tasks.kinds import kind_of

KIND = kind_of("question_answering")


def test_answers_are_kept_without_a_pickle(tmp_path: Path) -> None:
    truth = np.empty(2, dtype=object)
    truth[:] = [Answers("\u2018London\u2019", ("London",), (1,)), Answers("nobody", (), ())]
    numbers = np.arange(3)
    np.savez(tmp_path / "kept.npz", truth=plain(truth), numbers=plain(numbers))
    with np.load(tmp_path / "kept.npz") as content:
        assert restored(content["truth"]).tolist() == truth.tolist()
        assert np.array_equal(restored(content["numbers"]), numbers)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("The  Quick, brown Fox!", "quick brown fox"),
        ("an apple a day", "apple day"),
        ("theatre", "theatre"),
        ("U.S.A.", "usa"),
        ("it's", "its"),
    ],
)
def test_normalization(given: str, expected: str) -> None:
    assert normalize(given) == expected


def test_exact_match_and_f1() -> None:
    assert exact_match("the Film.", "film") == 1
    assert exact_match("film", "films") == 0
    assert word_f1("the old red film", "red film here") == pytest.approx(2 * 2 / (3 + 3))
    assert word_f1("red red", "red") == pytest.approx(2 / 3)
    assert word_f1("blue", "red") == 0
    assert word_f1("", "") == word_f1("the", "a") == 1  # as SQuAD 2.0's script has it
    assert word_f1("", "red") == word_f1("red", "") == 0


FILM, SCRIPT = "the second film is dull", "her script is warm"


def outputs(*rows: tuple[int, int, float, float]) -> np.ndarray:
    """Answers as `collect` gives them, of begin, end, value, and that of no answer."""
    return np.asarray([[begin, end, value, none, 0.5, 0.1] for begin, end, value, none in rows])


def truth(*rows: tuple[str, Sequence[str]]) -> np.ndarray:
    found = np.empty(len(rows), dtype=object)
    for row, (context, texts) in enumerate(rows):
        found[row] = Answers(context, tuple(texts), tuple(context.find(text) for text in texts))
    return found


def test_the_best_of_several_answers_counts() -> None:
    right = truth((FILM, ["film", "the second film"]), (SCRIPT, ["script"]))
    given = outputs((4, 15, 3, 0), (11, 18, 3, 0))  # "second film", "is warm"
    found = scores("answer_f1", given, right, "question_answering")
    assert found == {"answer_f1": 0.5, "exact_match": 0.5}
    bounds = score_bounds("answer_f1", given, right, "question_answering")
    assert bounds is not None
    assert (bounds.low, bounds.high) == (0, 1)
    lost = drop_bounds("answer_f1", given, given, right, "question_answering")
    assert lost is not None
    assert lost.recorded == [0, 0]


def test_no_answer_is_given_beyond_the_threshold() -> None:
    right = truth((FILM, []), (SCRIPT, ["script"]))
    given = outputs((4, 15, 3, 5), (4, 10, 3, 2))
    assert score("exact_match", given, right, "question_answering", [0.0]) == 1
    assert score("exact_match", given, right, "question_answering", [3.0]) == 0.5
    assert score("exact_match", given, right, "question_answering") == 0.5  # all are answered
    assert score("exact_match", given, right, "question_answering", [-3.0]) == 0.5


def test_logits_that_are_no_numbers_have_no_score(tokenizer: PreTrainedTokenizerFast) -> None:
    windows = cut_windows(tokenizer, [("her script", CONTEXT)], 18)
    logits = logits_for(windows, [])
    logits[1, 2] = np.nan
    found = best_answers(logits, windows.places)
    assert np.isnan(found).all()
    assert score("answer_f1", found, truth((CONTEXT, ["this story"])), "question_answering") is None


def test_reading(tmp_path: Path) -> None:
    rows = [(" What? ", "her script falls apart", ["her script", "script"]), ("Who?", "the film", [])]
    folder = write_squad(tmp_path / "squad", "train", rows)
    write_squad(folder, "dev", rows[:1])
    columns = write_columns(tmp_path / "columns" / "train.jsonl", rows).parent
    write_columns(columns / "validation.jsonl", rows[:1])
    for own in (folder, columns):
        task = find_task(str(own))
        examples = load_split(task, "train")
        assert examples.texts[0] == ("What?", "her script falls apart")
        assert examples.labels[0] == Answers("her script falls apart", ("her script", "script"), (0, 4))
        assert examples.labels[1].texts == ()
        assert (task.problem_type, task.metric, task.labels) == (
            "question_answering",
            "answer_f1",
            ("start", "end"),
        )
        assert task.null_threshold == 0
        assert KIND.thresholds(task) == [0.0]
        assert task.file_digests


def led(*rows: tuple[float, bool, bool]) -> tuple[np.ndarray, np.ndarray]:
    """Answers and truth: by how much no answer leads, whether there is one, and whether it is found."""
    answers, truth = np.zeros((len(rows), 6)), np.empty(len(rows), dtype=object)
    for row, (lead, has, found) in enumerate(rows):
        answers[row, [BEGIN, END, VALUE, NONE]] = (0 if found else 4, 3 if found else 7, 1.0, 1.0 + lead)
        truth[row] = Answers("one two", ("one",) if has else (), (0,) if has else ())
    return answers, truth


def test_the_lead_of_no_answer_that_gives_the_best_f1() -> None:
    """Up to 2 all have an answer, but for the one at -1; from 3 on none has."""
    rows = [
        (-2.0, True, True),
        (-1.0, False, False),
        (1.0, True, True),
        (2.0, True, True),
        (3.0, False, True),
    ]
    answers, truth = led(*rows)
    assert best_lead(answers, truth) == 2.5
    scores = {t: score("answer_f1", answers, truth, "question_answering", [t]) for t in (-9, -1.5, 0, 2.5, 9)}
    assert max(scores, key=lambda own: scores[own] or 0) == 2.5
    assert decided(answers, 2.5)[:, 1].tolist() == [3, 7, 3, 3, 0]


def test_the_lead_nearest_to_0_of_those_that_are_as_good() -> None:
    answers, truth = led((-3.0, True, True), (-2.0, True, False), (4.0, False, False))
    assert best_lead(answers, truth) == -2.5 + 3.5  # between -2 and 4; between -3 and -2 it is as good
    for alike in (True, False):
        assert best_lead(*led((1.0, alike, True), (2.0, alike, True))) == 0


def test_a_lead_outside_all_of_them() -> None:
    never = led((-3.0, True, True), (-4.0, False, False), (-1.0, True, True), (-2.0, True, True))
    assert best_lead(*never) == 0  # the largest lead, and one
    always = led((3.0, False, True), (5.0, True, False), (4.0, False, False))
    assert best_lead(*always) == 2


BROKEN: dict[str, tuple[Any, str]] = {
    "elsewhere": (lambda entry: entry["answers"][0].update(answer_start=3), "does not stand at 3 in its"),
    "no question": (lambda entry: entry.pop("question"), "not SQuAD's format"),
    "blank question": (lambda entry: entry.update(question="  "), "no text in column 'question'"),
    "blank answer": (lambda entry: entry["answers"][0].update(text=" "), "an empty answer"),
    "no start": (lambda entry: entry["answers"][0].pop("answer_start"), "not SQuAD's format"),
    "impossible, with an answer": (
        lambda entry: entry.update(is_impossible=True),
        "question 0: is_impossible is true, it has 1 answer",
    ),
    "possible, without one": (
        lambda entry: entry.update(answers=[]),
        "question 0: is_impossible is false, it has no answer",
    ),
    "start as text": (
        lambda entry: entry["answers"][0].update(answer_start="x"),
        "question 0: answer_start",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_not_right(tmp_path: Path, case: str) -> None:
    change, word = BROKEN[case]
    rows = [("What?", "her script falls apart", ["script"]), ("Who?", "the film", ["film"])]
    folder = write_squad(tmp_path / "squad", "train", rows)
    write_squad(folder, "dev", rows)
    path = folder / "train-v1.1.json"
    content = json.loads(path.read_text())
    change(content["data"][0]["paragraphs"][0]["qas"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(EdgepressError, match=word):
        load_split(find_task(str(folder)), "train")


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        (["script"], "column 'answers' holds no answers with a text and a start each in every row"),
        ("script", "column 'answers' holds no answers"),
        ({"text": [], "answer_start": []}, "no question has an answer"),
        ({"text": ["film"], "answer_start": [0]}, "all.jsonl, row 1: the answer 'film' does not stand at 0"),
    ],
)
def test_a_table_whose_answers_are_not_right(tmp_path: Path, answers: Any, word: str) -> None:
    table = tmp_path / "all.jsonl"
    rows = [{"question": f"What {row}?", "context": "her script", "answers": answers} for row in range(8)]
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(EdgepressError, match=word):
        split_beside(table, tmp_path / "out", TaskOptions(), overwrite=False)


def test_a_split_that_is_missing(tmp_path: Path) -> None:
    folder = write_squad(tmp_path / "squad", "train", [("What?", "her script", ["script"])])
    with pytest.raises(EdgepressError, match="no validation and no test split"):
        find_task(str(folder))


CONTEXT = "the film is a quiet delight . this story never comes alive . her script is warm , sharp and funny"


def cut(
    tokenizer: PreTrainedTokenizerFast, longest: int = 18, answer: str = "this story"
) -> tuple[Windows, np.ndarray]:
    windows = cut_windows(tokenizer, [("her script", CONTEXT)], longest)
    return windows, targets(windows, truth((CONTEXT, [answer])).tolist())


def spans_of(windows: Windows, row: int) -> list[tuple[int, int]]:
    return [(begin, end) for begin, end in windows.characters[row].tolist() if begin >= 0]


def test_windows_overlap_and_hold_the_whole_context(tokenizer: PreTrainedTokenizerFast) -> None:
    windows, _ = cut(tokenizer)
    assert len(windows.owners) > 2
    assert all(len(ids) <= 18 for ids in windows.inputs["input_ids"])
    spans = [spans_of(windows, row) for row in range(len(windows.owners))]
    for before, after in pairwise(spans):
        assert len(set(before) & set(after)) == 18 // 3
    seen = sorted({span for row in spans for span in row})
    whole = tokenizer(CONTEXT, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert seen == sorted(map(tuple, whole))


def test_targets_are_the_answer_or_the_first_token(tokenizer: PreTrainedTokenizerFast) -> None:
    windows, found = cut(tokenizer)
    held = [row for row, target in enumerate(found) if target.any()]
    assert 0 < len(held) < len(found)
    for row, (first, last) in enumerate(found.tolist()):
        if row in held:
            own = windows.characters[row]
            assert CONTEXT[own[first, 0] : own[last, 1]] == "this story"
        else:
            spans = spans_of(windows, row)
            assert "this story" not in CONTEXT[spans[0][0] : spans[-1][1]]
    assert not targets(windows, [Answers(CONTEXT, (), ())]).any()


def test_a_long_question_is_cut(tokenizer: PreTrainedTokenizerFast) -> None:
    windows = cut_windows(tokenizer, [("the film " * 50, CONTEXT)], 30)
    first = windows.inputs["input_ids"][0]
    assert first.index(tokenizer.sep_token_id) == 1 + 30 // 6


def test_questions_that_are_cut_are_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [("her script is warm", CONTEXT * 9), ("her script is warm and sharp", CONTEXT)]
    assert KIND.unread_texts(tokenizer, texts, 24) == (
        "1 of 2 questions have more than 4 tokens: the rest is not read"
    )
    assert KIND.unread_texts(tokenizer, texts, 48) == ""


def test_a_context_of_a_book_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    short, long = ("what", "the film " * 4_900), ("the film is", "the film " * 5_100)
    assert len(cut_windows(tokenizer, [short], 64).owners) > 200
    with pytest.raises(EdgepressError, match="context of 'the film is' has 10,200 tokens"):
        cut_windows(tokenizer, [short, long], 64)


def logits_for(windows: Windows, spans: Sequence[tuple[int, int, int, float]]) -> np.ndarray:
    """Zero, but for `value` at the start and end of (row, first, last, value)."""
    found = np.zeros((len(windows.owners), max(map(len, windows.characters)), 2))
    for row, first, last, value in spans:
        found[row, first, 0] = found[row, last, 1] = value
    return found


def test_the_best_span_over_all_windows(tokenizer: PreTrainedTokenizerFast) -> None:
    windows, found = cut(tokenizer)
    row = int(np.flatnonzero(found.any(axis=1))[0])
    last = len(windows.owners) - 1
    other = int(np.flatnonzero(windows.characters[last][:, 0] >= 0)[0])
    logits = logits_for(windows, [(row, *found[row].tolist(), 5.0), (last, other, other, 4.0)])
    logits[:, 0, 0] = 1.5
    logits[0, 0, 1] = -0.5
    (answer,) = best_answers(logits, windows.places)
    assert CONTEXT[int(answer[BEGIN]) : int(answer[END])] == "this story"
    assert (answer[VALUE], answer[NONE]) == (10, 1.0)  # of no answer the least over the windows
    tokens = len(spans_of(windows, row))
    start = np.exp(5) / (np.exp(5) + np.exp(1.5) + tokens - 1)
    end = np.exp(5) / (np.exp(5) + np.exp(logits[row, 0, 1]) + tokens - 1)
    assert answer[SHARE] == pytest.approx(start * end)
    assert 0 < answer[NONE_SHARE] < answer[SHARE]


def test_no_span_lies_in_the_question_or_runs_backwards(tokenizer: PreTrainedTokenizerFast) -> None:
    windows, _ = cut(tokenizer)
    own = windows.characters[0]
    first = int(np.flatnonzero(own[:, 0] >= 0)[0])
    logits = logits_for(windows, [(0, 1, 1, 100.0)])  # a token of the question
    logits[0, first + 3, 0], logits[0, first, 1] = 9, 9  # starts behind its end
    logits[0, first + 4, 1] = 8
    (answer,) = best_answers(logits, windows.places)
    assert (answer[BEGIN], answer[END]) == (own[first + 3, 0], own[first + 4, 1])


def test_answers_are_part_of_what_a_split_is() -> None:
    """Two splits of the same texts with other answers are not the same; the same twice are."""
    from edgepress.core.identity import texts_digest

    texts = [("what", SCRIPT)]
    digests = [
        texts_digest(Examples(texts, truth((SCRIPT, [answer])))) for answer in ("script", "script", "warm")
    ]
    assert digests[0] == digests[1] != digests[2]
