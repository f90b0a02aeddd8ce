"""A small data set of questions and contexts, in words that the small tokenizer knows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conftest import SUBJECTS, VERDICTS

Entry = tuple[str, str, Sequence[str]]
"""A question, its context, and the answers in it; none where it has none."""


def entries() -> list[Entry]:
    """Two sentences a context; asked for the subject of one, by its verdict."""
    verdicts = [verdict for kind in VERDICTS.values() for verdict in kind]
    found = []
    for number, subject in enumerate(SUBJECTS * 8):
        other, verdict = SUBJECTS[(number * 5 + 1) % len(SUBJECTS)], verdicts[number % 8]
        second = verdicts[(number * 3 + 1) % 8]
        if other != subject and verdict != second:
            found.append((verdict, f"{subject} {verdict}. {other} {second}.", [subject]))
    return found


def answers(context: str, texts: Sequence[str]) -> dict[str, list[Any]]:
    """The column `answers` of a row."""
    return {"text": list(texts), "answer_start": [context.find(text) for text in texts]}


def write_squad(folder: Path, split: str, rows: Sequence[Entry]) -> Path:
    """One split file in SQuAD's format; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": str(number),
                    "question": question,
                    "is_impossible": not texts,
                    "answers": [{"text": text, "answer_start": context.find(text)} for text in texts],
                }
            ],
        }
        for number, (question, context, texts) in enumerate(rows)
    ]
    content = {"version": "1.1", "data": [{"title": "T", "paragraphs": paragraphs}]}
    (folder / f"{split}-v1.1.json").write_text(json.dumps(content))
    return folder


def write_columns(path: Path, rows: Sequence[Entry]) -> Path:
    """One split file with columns question, context and answers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"question": question, "context": context, "answers": answers(context, texts)})
        for question, context, texts in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_questions(folder: Path) -> Path:
    """A data folder with train and validation."""
    write_squad(folder, "train", entries())
    return write_squad(folder, "dev", entries()[::3])
