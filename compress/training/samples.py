"""Some texts with what teacher and student say to them, for people to look at."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from edgepress.core.metrics import predict
from edgepress.core.splits import Examples
from edgepress.core.tables import markdown_table
from edgepress.core.tasks import Task

DRAWN, DIFFERING = 4, 4
"""Texts drawn from all, and from those that the two decide differently."""
SHOWN_CHARACTERS = 80
HEADINGS = ("text", "label", "teacher", "student")


def samples(
    task: Task, examples: Examples, logits: tuple[np.ndarray, np.ndarray], seed: int
) -> list[dict[str, Any]]:
    """Texts of the evaluation split with both models' probabilities.

    Args:
        task: what was asked.
        examples: the texts and their labels.
        logits: the teacher's and the student's, (rows, labels).
        seed: which rows are drawn.

    Returns:
        `text`; `label`: the class, flags or value; `teacher`, `student`: a probability a label, or a value.
    """
    said = [_probabilities(task, own) for own in logits]
    return [
        {
            "text": _shortened(examples.texts[row]),
            "label": examples.labels[row].tolist(),
            "teacher": said[0][row].round(4).tolist(),
            "student": said[1][row].round(4).tolist(),
        }
        for row in _rows(task, logits, seed)
    ]


def _rows(task: Task, logits: tuple[np.ndarray, np.ndarray], seed: int) -> list[int]:
    rng, count = np.random.default_rng(seed), len(logits[0])
    drawn = rng.choice(count, min(DRAWN, count), replace=False)
    if task.problem_type == "regression":
        return sorted(drawn.tolist())
    ours, theirs = (predict(own, task.problem_type).reshape(count, -1) for own in logits)
    apart = np.setdiff1d(np.flatnonzero((ours != theirs).any(axis=1)), drawn)
    return [*sorted(drawn.tolist()), *sorted(rng.permutation(apart)[:DIFFERING].tolist())]


def _probabilities(task: Task, logits: np.ndarray) -> np.ndarray:
    if task.problem_type == "regression":
        return logits
    return expit(logits) if task.problem_type == "multi_label_classification" else softmax(logits, axis=-1)


def _shortened(texts: Sequence[str]) -> str:
    whole = " ".join(" / ".join(texts).split())
    return whole if len(whole) <= SHOWN_CHARACTERS else f"{whole[: SHOWN_CHARACTERS - 1]}…"


def rows(task: Task, found: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """The table of samples in words, under `HEADINGS`."""
    for sample in found:
        said = (_words(task, sample[who]) for who in ("teacher", "student"))
        yield (sample["text"], _label(task, sample["label"]), *said)


def _label(task: Task, label: Any) -> str:
    if task.problem_type == "regression":
        return f"{label:.2f}"
    if task.problem_type == "single_label_classification":
        return task.labels[label]
    return ", ".join(name for name, flag in zip(task.labels, label, strict=True) if flag) or "none"


def _words(task: Task, probabilities: Sequence[float]) -> str:
    """The class that is given, or all labels that are more likely than not, each with its probability."""
    if task.problem_type == "regression":
        return f"{probabilities[0]:.2f}"
    named = list(zip(task.labels, probabilities, strict=True))
    if task.problem_type == "single_label_classification":
        named = [max(named, key=lambda pair: pair[1])]
    else:
        named = [pair for pair in named if pair[1] > 1 / 2]
    return ", ".join(f"{name} {100 * own:.0f} %" for name, own in named) or "none"


def markdown(task: Task, found: Sequence[dict[str, Any]]) -> str:
    """The table of samples for a page."""
    return markdown_table(HEADINGS, rows(task, found))
