"""SQuAD's format, scores and windows, against values worked out by hand."""

import json
from itertools import pairwise

import numpy as np
import pytest

from edgepress.core.errors import EdgepressError
from edgepress.core.question_answering import best_answers, cut_windows
from edgepress.core.squad import Question, exact_match, load_questions, normalize, score_answers, word_f1
from edgepress.core.task_discovery import find_task


def write_squad(folder, split, entries):
    """Entries are (question, context, answers)."""
    folder.mkdir(parents=True, exist_ok=True)
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": str(number),
                    "question": question,
                    "answers": [{"text": answer, "answer_start": context.find(answer)} for answer in answers],
                }
            ],
        }
        for number, (question, context, answers) in enumerate(entries)
    ]
    content = {"version": "1.1", "data": [{"title": "T", "paragraphs": paragraphs}]}
    (folder / f"{split}-v1.1.json").write_text(json.dumps(content))
    return folder


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
def test_normalization(given, expected):
    assert normalize(given) == expected


def test_exact_match_and_f1():
    assert exact_match("the Film.", "film") == 1
    assert exact_match("film", "films") == 0
    assert word_f1("the old red film", "red film here") == pytest.approx(2 * 2 / (3 + 3))
    assert word_f1("red red", "red") == pytest.approx(2 / 3)
    assert word_f1("blue", "red") == 0


def test_the_best_of_several_answers_counts():
    questions = [Question("?", "", ("film", "the second film"), 0), Question("?", "", ("script",), 0)]
    found = score_answers(["second film", "acting"], questions)
    assert found == {"exact_match": 0.5, "answer_f1": 0.5}


def test_reading(tmp_path):
    folder = write_squad(
        tmp_path / "squad", "train", [(" What? ", "her script falls apart", ["her script", "script"])]
    )
    assert load_questions(folder, "train") == [
        Question("What?", "her script falls apart", ("her script", "script"), 0)
    ]
    task = find_task(str(folder))
    assert (task.problem_type, task.metric, task.labels) == (
        "question_answering",
        "answer_f1",
        ("start", "end"),
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda entry: entry["answers"].clear(), "no answer"),
        (lambda entry: entry["answers"][0].update(answer_start=3), "does not stand at 3"),
        (lambda entry: entry.pop("question"), "not SQuAD's format"),
    ],
)
def test_a_file_that_is_not_right(tmp_path, change, word):
    folder = write_squad(tmp_path / "squad", "train", [("What?", "her script falls apart", ["script"])])
    path = folder / "train-v1.1.json"
    content = json.loads(path.read_text())
    change(content["data"][0]["paragraphs"][0]["qas"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(EdgepressError, match=word):
        load_questions(folder, "train")


def test_a_split_that_is_missing(tmp_path):
    folder = write_squad(tmp_path / "squad", "train", [("What?", "her script", ["script"])])
    with pytest.raises(EdgepressError, match="dev"):
        load_questions(folder, "validation")


CONTEXT = "the film is a quiet delight . this story never comes alive . her script is warm , sharp and funny"


def cut(tokenizer, longest=18, answer="this story"):
    question = Question("her script", CONTEXT, (answer,), CONTEXT.find(answer))
    return question, cut_windows(tokenizer, [question], longest)


def test_windows_overlap_and_hold_the_whole_context(tokenizer):
    _, windows = cut(tokenizer)
    assert len(windows.questions) > 2
    assert all(len(ids) <= 18 for ids in windows.inputs["input_ids"])
    spans = [[span for span in row if span] for row in windows.characters]
    for before, after in pairwise(spans):
        assert len(set(before) & set(after)) == 18 // 3
    seen = sorted({span for row in spans for span in row})
    whole = tokenizer(CONTEXT, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert seen == sorted(map(tuple, whole))


def test_targets_are_the_answer_or_the_first_token(tokenizer):
    _, windows = cut(tokenizer)
    held = [
        (row, first, last)
        for row, (first, last) in enumerate(windows.targets.tolist())
        if (first, last) != (0, 0)
    ]
    assert held
    for row, first, last in held:
        spans = windows.characters[row]
        assert CONTEXT[spans[first][0] : spans[last][1]] == "this story"
    without = [row for row in range(len(windows.questions)) if windows.targets[row].tolist() == [0, 0]]
    for row in without:
        spans = [span for span in windows.characters[row] if span]
        assert "this story" not in CONTEXT[spans[0][0] : spans[-1][1]]


def test_a_long_question_is_cut(tokenizer):
    question = Question("the film " * 50, CONTEXT, ("her script",), CONTEXT.find("her script"))
    windows = cut_windows(tokenizer, [question], 30)
    first = windows.inputs["input_ids"][0]
    assert first.index(tokenizer.sep_token_id) == 1 + 30 // 6


def logits_for(windows, spans):
    """Zero, but for `value` at the start and end of (row, first, last, value)."""
    found = np.zeros((len(windows.questions), max(map(len, windows.characters)), 2))
    for row, first, last, value in spans:
        found[row, first, 0] = found[row, last, 1] = value
    return found


def test_the_best_span_over_all_windows(tokenizer):
    question, windows = cut(tokenizer)
    rows = [row for row, target in enumerate(windows.targets) if target.any()]
    right = (rows[0], *windows.targets[rows[0]].tolist(), 5.0)
    other = next(token for token, span in enumerate(windows.characters[-1]) if span)
    logits = logits_for(windows, [right, (len(windows.questions) - 1, other, other, 4.0)])
    assert best_answers(windows, logits, [question]) == ["this story"]


def test_no_span_lies_in_the_question_or_runs_backwards(tokenizer):
    question, windows = cut(tokenizer)
    first = next(token for token, span in enumerate(windows.characters[0]) if span)
    logits = logits_for(windows, [(0, 1, 1, 100.0)])  # a token of the question
    logits[0, first + 3, 0], logits[0, first, 1] = 9, 9  # starts behind its end
    logits[0, first + 4, 1] = 8
    (answer,) = best_answers(windows, logits, [question])
    spans = windows.characters[0]
    assert answer == CONTEXT[spans[first + 3][0] : spans[first + 4][1]]
