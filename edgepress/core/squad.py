"""Extractive question answering in SQuAD's format (Rajpurkar et al. 2016, 2018): reading, exact match, F1.

A data folder holds the files as they are published (train-v1.1.json and dev-v1.1.json), or tables with their
columns, as the Hub has them: question, context, and answers, {"text": [...], "answer_start": [...]}.
"""

import json
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgepress.core.errors import EdgepressError, first_line

QUESTION, CONTEXT, ANSWERS = "question", "context", "answers"
TEXT, START = "text", "answer_start"
IMPOSSIBLE = "is_impossible"
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
MARK = b'"paragraphs"'
ANSWERS_FORM = f'{{"{TEXT}": ["..."], "{START}": [0]}}, or empty lists where the context has none'


class Answers(NamedTuple):
    """Answers of people to a question."""

    context: str
    texts: tuple[str, ...]
    """Answers as they stand in the context; none where it has no answer (SQuAD 2.0)."""
    starts: tuple[int, ...]
    """Place of the first character of each."""


def plain(truth: np.ndarray) -> np.ndarray:
    """Truth that an NPZ file keeps without a pickle: answers as JSON, other labels as they are."""
    return np.asarray([json.dumps(own) for own in truth]) if truth.dtype == object else truth


def restored(truth: np.ndarray) -> np.ndarray:
    """What `plain` was given."""
    if truth.dtype.kind != "U":
        return truth
    found = np.empty(len(truth), dtype=object)
    for row, text in enumerate(truth):
        context, texts, starts = json.loads(text)
        found[row] = Answers(context, tuple(texts), tuple(starts))
    return found


def squad_rows(path: Path) -> list[dict[str, Any]] | None:
    """The questions of a file in SQuAD's format as rows of a table; None where it is another JSON file.

    Raises:
        ValueError: it is SQuAD's, and something in it is missing.
        EdgepressError: a question is impossible and has an answer, or is not and has none.
    """
    content = path.read_bytes()
    if MARK not in content:
        return None
    try:
        whole = json.loads(content.decode("utf-8-sig"))
    except ValueError:  # JSON lines
        return None
    if not isinstance(whole, dict) or "data" not in whole:
        return None
    try:
        return list(_entries(whole["data"], path))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not SQuAD's format: {first_line(error)}") from error


def _entries(articles: Any, path: Path) -> Iterator[dict[str, Any]]:
    for article in articles:
        for paragraph in article["paragraphs"]:
            for entry in paragraph["qas"]:
                answers, said = entry[ANSWERS], entry.get(IMPOSSIBLE)
                if said is not None and said != (not answers):
                    count = f"{len(answers) or 'no'} answer{'s' * (len(answers) > 1)}"
                    raise EdgepressError(
                        f"{path}: question {entry['id']}: {IMPOSSIBLE} is {json.dumps(said)}, it has {count}",
                        "mend that question: which of the two is right nobody can tell",
                    )
                columns = {name: [answer[name] for answer in answers] for name in (TEXT, START)}
                if not all(isinstance(start, int) for start in columns[START]):
                    raise TypeError(f"question {entry['id']}: {START} {columns[START]} is no number")
                yield {
                    "id": str(entry["id"]),
                    QUESTION: entry[QUESTION],
                    CONTEXT: paragraph[CONTEXT],
                    ANSWERS: columns,
                }


def read_answers(value: Any, context: str, where: str) -> Answers:
    """The answers of a row.

    Args:
        value: of the column, {"text": [...], "answer_start": [...]}.
        context: of the same row.
        where: what messages call the row.

    Raises:
        EdgepressError: it is nothing of that kind, or an answer is not where it says.
    """
    texts = value.get(TEXT) if isinstance(value, Mapping) else None
    starts = value.get(START) if isinstance(value, Mapping) else None
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        raise EdgepressError(f"{where}: no answers with a text and a start each", ANSWERS_FORM)
    for text, start in zip(texts, starts, strict=True):
        if not isinstance(text, str) or not text.strip():
            raise EdgepressError(f"{where}: an empty answer", "leave it out, or give its text")
        if not isinstance(start, int) or start < 0 or context[start : start + len(text)] != text:
            raise EdgepressError(
                f"{where}: the answer '{text}' does not stand at {start} in its context", "mend that row"
            )
    return Answers(context, tuple(texts), tuple(starts))


def normalize(answer: str) -> str:
    """Lower case, without punctuation, articles and extra blanks, as SQuAD's evaluation script has it."""
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(PUNCTUATION)).split())


def exact_match(given: str, answer: str) -> float:
    """1 where the two are the same words, else 0."""
    return float(normalize(given) == normalize(answer))


def word_f1(given: str, answer: str) -> float:
    """Harmonic mean of precision and recall of words, as a bag; of no words 1 where both have none."""
    ours, theirs = normalize(given).split(), normalize(answer).split()
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs))


SCORES = {"answer_f1": word_f1, "exact_match": exact_match}


def answer_scores(metric: str, spans: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return each question's part of `exact_match` or `answer_f1`: the best over its answers, 0..1.

    Args:
        metric: a name in `SCORES`.
        spans: (questions, 2), first character of what was given and the one behind it; equal: no answer.
        truth: (questions,) of `Answers`; where a context has none, giving none is right.
    """
    score = SCORES[metric]
    return np.asarray(
        [
            max(score(own.context[begin:end], text) for text in own.texts or ("",))
            for (begin, end), own in zip(spans.tolist(), truth, strict=True)
        ]
    )
