"""Extractive question answering in SQuAD's format (Rajpurkar et al. 2016): reading, exact match, F1.

A data folder holds the files as they are published: train-v1.1.json and dev-v1.1.json.
"""

import json
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgepress.core.errors import EdgepressError, first_line

PATTERNS = {"train": "train*.json", "validation": "dev*.json"}
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Question:
    """A question, and where in the context people found its answer."""

    text: str
    context: str
    answers: tuple[str, ...]
    start: int
    """Start of the first answer [characters]."""


def squad_file(folder: Path, split: str) -> Path | None:
    """The file of a split; None where the folder is no SQuAD's."""
    found = sorted(folder.glob(PATTERNS[split])) if split in PATTERNS else []
    return found[0] if found and b'"paragraphs"' in found[0].read_bytes() else None


def load_questions(folder: Path, split: str) -> list[Question]:
    """Load all questions of a split.

    Raises:
        EdgepressError: there is no such file, it is no SQuAD's, or an answer is not where it says.
    """
    path = squad_file(folder, split)
    if path is None:
        raise EdgepressError(f"{folder} has no {PATTERNS[split]} in SQuAD's format", "name another --task")
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        questions = [
            _question(entry, paragraph["context"], path)
            for article in articles
            for paragraph in article["paragraphs"]
            for entry in paragraph["qas"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise EdgepressError(f"{path}: not SQuAD's format: {first_line(error)}") from error
    if not questions:
        raise EdgepressError(f"{path} has no questions")
    return questions


def _question(entry: dict[str, Any], context: str, path: Path) -> Question:
    where = f"{path}, question {entry['id']}"
    answers = tuple(answer["text"] for answer in entry["answers"])
    if not answers:
        raise EdgepressError(
            f"{where}: no answer", "questions without one (SQuAD 2.0) are not read: leave them out"
        )
    start = int(entry["answers"][0]["answer_start"])
    if context[start : start + len(answers[0])] != answers[0]:
        raise EdgepressError(f"{where}: '{answers[0]}' does not stand at {start} in its context")
    return Question(entry["question"].strip(), context, answers, start)


def normalize(answer: str) -> str:
    """Lower case, without punctuation, articles and extra blanks, as SQuAD's evaluation script has it."""
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(PUNCTUATION)).split())


def exact_match(given: str, answer: str) -> float:
    """1 where the two are the same words, else 0."""
    return float(normalize(given) == normalize(answer))


def word_f1(given: str, answer: str) -> float:
    """Harmonic mean of precision and recall of words, as a bag."""
    ours, theirs = normalize(given).split(), normalize(answer).split()
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def score_answers(given: Sequence[str], questions: Sequence[Question]) -> dict[str, float]:
    """`exact_match` and `answer_f1`, 0..1: of each question's best answer, the mean over questions."""
    pairs = list(zip(given, questions, strict=True))
    return {
        "exact_match": float(np.mean([max(exact_match(own, one) for one in q.answers) for own, q in pairs])),
        "answer_f1": float(np.mean([max(word_f1(own, one) for one in q.answers) for own, q in pairs])),
    }
