"""A small data set of named entities, in words that the small tokenizer knows."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from conftest import SUBJECTS, VERDICTS

PARTS = SUBJECTS[2:]
VERDICT_WORDS = [verdict.split() for verdicts in VERDICTS.values() for verdict in verdicts]
Tagged = tuple[list[str], list[str]]


def subject(name: str) -> Tagged:
    """A subject with its tags: a work, or a part of one."""
    words = name.split()
    kind = "PART" if name in PARTS else "WORK"
    return words, [f"B-{kind}", *[f"I-{kind}"] * (len(words) - 1)]


def tagged_texts() -> list[Tagged]:
    """Each subject with each verdict, alone and beside another subject; in an order of chance."""
    found = []
    for number, name in enumerate(SUBJECTS):
        for place, verdict in enumerate(VERDICT_WORDS):
            words, tags = subject(name)
            words, tags = [*words, *verdict], [*tags, *["O"] * len(verdict)]
            other, more = subject(SUBJECTS[(number + place) % len(SUBJECTS)])
            last = VERDICT_WORDS[(number + place + 1) % len(VERDICT_WORDS)]
            found.append((words, tags))
            found.append(([*words, ",", *other, *last, "."], [*tags, "O", *more, *["O"] * len(last), "O"]))
    return [found[at] for at in np.random.default_rng(0).permutation(len(found))]


def write_tagged(path: Path, rows: Iterable[Tagged]) -> Path:
    """One split file with columns tokens and ner_tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"tokens": words, "ner_tags": tags}) for words, tags in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_entities(folder: Path) -> Path:
    """A data folder with train and validation."""
    texts = tagged_texts()
    write_tagged(folder / "train.jsonl", [own for number, own in enumerate(texts) if number % 4])
    write_tagged(folder / "validation.jsonl", texts[::4])
    return folder
