"""A small data set of queries and passages, in words that the small tokenizer knows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conftest import SUBJECTS, VERDICTS

Pair = tuple[str, str, int]
"""A query, a passage, and whether it is relevant."""
ALL = [verdict for kind in VERDICTS.values() for verdict in kind]


def pairs() -> list[Pair]:
    """Asked for a subject, one passage of four is about it."""
    found = []
    for number in range(len(SUBJECTS) * 6):
        subject = SUBJECTS[number % len(SUBJECTS)]
        for place in range(4):
            about = SUBJECTS[(number + (place + number) % 4) % len(SUBJECTS)]
            query = f"{subject} {ALL[number % len(ALL)]}"
            found.append((query, f"{about} {ALL[(number + place) % len(ALL)]}", int(about == subject)))
    return found


def write_pairs(path: Path, rows: Sequence[Pair], **more: Sequence[Any]) -> Path:
    """One split file with columns query, passage and label, and further ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            {
                "query": query,
                "passage": passage,
                "label": label,
                **{name: values[row] for name, values in more.items()},
            }
        )
        for row, (query, passage, label) in enumerate(rows)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_queries(folder: Path) -> Path:
    """A data folder with train and validation."""
    rows = pairs()
    write_pairs(folder / "train.jsonl", rows[: len(rows) * 2 // 3])
    write_pairs(folder / "validation.jsonl", rows[len(rows) * 2 // 3 :])
    return folder
