"""A model's answers in detail: confusion matrices, ROC curves, scores by label, sample texts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.metrics import auc, roc_curve

from edgepress.core.console import warn
from edgepress.core.splits import Examples
from edgepress.core.tables import ScreenTable, markdown_table, share_text
from edgepress.core.tasks import Task
from edgepress.core.tasks.kind import LabelScore
from edgepress.core.tasks.kinds import kind_of

# Enough for a smooth line in a picture.
CURVE_POINTS = 60
DIGITS = 4
DRAWN, DIFFERING = 4, 4
"""Texts drawn from all, and from those that the two decide differently."""
SHOWN_CHARACTERS = 80
SHOWN_LABELS = 30
LABELS = "labels"
"""What manifests call the figures of each label."""
SAMPLE_HEADINGS = ("text", "label", "teacher", "student")


def confusion(
    task: Task, outputs: np.ndarray, labels: np.ndarray, thresholds: Sequence[float] | None
) -> dict[str, list[list[int]]]:
    """Count the texts, or words, by true class (rows) and predicted class (columns).

    Args:
        task: that the outputs are of.
        outputs: as `TaskKind.collect` gives them.
        labels: as the task's kind reads them.
        thresholds: probability from which on each label is given; None: one half.

    Returns:
        one matrix under the task's name; one of no and yes for each label where labels come several at once;
        nothing for values.
    """
    kind = kind_of(task.problem_type)
    return kind.confusion(task, kind.decide(outputs, thresholds), labels)


def label_scores(
    task: Task, outputs: np.ndarray, labels: np.ndarray, thresholds: Sequence[float] | None
) -> list[LabelScore]:
    """Score each label by itself; return an empty list for values."""
    kind = kind_of(task.problem_type)
    return kind.label_scores(kind.decide(outputs, thresholds), labels, task.labels)


def recorded(found: Sequence[LabelScore]) -> dict[str, dict[str, int]]:
    """Label -> `texts`, `given` and `right`, for the manifest."""
    return {own.label: {"texts": own.texts, "given": own.given, "right": own.right} for own in found}


def warn_of_labels_never_given(task: Task, found: Sequence[LabelScore]) -> None:
    """Name the labels that texts have and that no text is given: a good score may hide them."""
    kind = kind_of(task.problem_type)
    missed = [f"{own.label} ({own.texts:,} {kind.counted})" for own in found if own.texts and not own.given]
    if missed and kind.tabled:
        warn(f"never predicted on {task.evaluation_split}, so with a recall of 0 %: {', '.join(missed)}")


def label_tables(task: Task, metrics: Mapping[str, Any]) -> list[ScreenTable]:
    """Tables of precision, recall and F1 by label, rarest last; none where they are very many."""
    kind = kind_of(task.problem_type)
    found = [LabelScore(label, **own) for label, own in metrics.get(LABELS, {}).items()]
    if not kind.tabled or not found or len(found) > SHOWN_LABELS:
        return []
    ordered = sorted(found, key=lambda own: -own.texts)
    rows = [
        (own.label, f"{own.texts:,}", *map(share_text, (own.precision, own.recall, own.f1)))
        for own in ordered
    ]
    return [ScreenTable("", (kind.tabled, kind.counted, "precision", "recall", "F1"), rows)]


def roc(
    task: Task, logits: np.ndarray, labels: np.ndarray, chosen: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, Any]]:
    """The ROC curve of each label, as far as it is both there and not there.

    Args:
        task: of several labels at once.
        logits: (rows, labels).
        labels: 0/1 flags of the same shape.
        chosen: where thresholds were chosen -> one a label.

    Returns:
        label -> `auc`, `curve` (points of false and true positive rate) and `chosen`: the point of each
        threshold.
    """
    found = {}
    for index, label in enumerate(task.labels):
        scores, flags = expit(logits[:, index].astype(np.float64)), labels[:, index]
        if flags.min() == flags.max():
            continue
        wrong, right, _ = roc_curve(flags, scores)
        points = {where: _rates(scores >= own[index], flags) for where, own in chosen.items()}
        area = round(float(auc(wrong, right)), DIGITS)
        found[label] = {"auc": area, "curve": _thinned(wrong, right), "chosen": points}
    return found


def _rates(given: np.ndarray, flags: np.ndarray) -> list[float]:
    """False and true positive rate."""
    return [round(float(given[flags == flag].mean()), DIGITS) for flag in (0, 1)]


def _thinned(wrong: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """Points at even distances along the curve, measured along the axes."""
    length = wrong + right
    places = np.linspace(0, length[-1], CURVE_POINTS)
    columns = (np.interp(places, length, rate).round(DIGITS).tolist() for rate in (wrong, right))
    return [list(point) for point in zip(*columns, strict=True)]


def samples(
    task: Task, examples: Examples, outputs: tuple[np.ndarray, np.ndarray], seed: int
) -> list[dict[str, Any]]:
    """Texts of the evaluation split with what both models say.

    Args:
        task: what was asked.
        examples: the texts and their labels.
        outputs: the teacher's and the student's, as `TaskKind.collect` gives them.
        seed: which rows are drawn.

    Returns:
        `text`; `label`: what is right; `teacher`, `student`: a probability a label, a value, or entities.
    """
    kind = kind_of(task.problem_type)
    return [
        {
            "text": _shortened(examples.texts[row]),
            "label": kind.truth(examples.labels[row], examples.texts[row], task.labels),
            "teacher": kind.said(outputs[0][row], examples.texts[row], task.labels),
            "student": kind.said(outputs[1][row], examples.texts[row], task.labels),
        }
        for row in _rows(task, outputs, seed)
    ]


def _rows(task: Task, outputs: tuple[np.ndarray, np.ndarray], seed: int) -> list[int]:
    rng, count = np.random.default_rng(seed), len(outputs[0])
    drawn = rng.choice(count, min(DRAWN, count), replace=False)
    ours, theirs = (kind_of(task.problem_type).decide(own).reshape(count, -1) for own in outputs)
    if not np.issubdtype(ours.dtype, np.integer):
        return sorted(drawn.tolist())  # values always differ
    apart = np.setdiff1d(np.flatnonzero((ours != theirs).any(axis=1)), drawn)
    return [*sorted(drawn.tolist()), *sorted(rng.permutation(apart)[:DIFFERING].tolist())]


def _shortened(texts: Sequence[str]) -> str:
    whole = " ".join(" / ".join(texts).split())
    return whole if len(whole) <= SHOWN_CHARACTERS else f"{whole[: SHOWN_CHARACTERS - 1]}…"


def sample_rows(task: Task, found: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """The table of samples in words, under `SAMPLE_HEADINGS`."""
    kind = kind_of(task.problem_type)
    for sample in found:
        said = (kind.said_words(sample[who], task.labels) for who in ("teacher", "student"))
        yield (sample["text"], kind.truth_words(sample["label"], task.labels), *said)


def sample_table(task: Task, found: Sequence[dict[str, Any]]) -> str:
    """The table of samples for a page."""
    return markdown_table(SAMPLE_HEADINGS, sample_rows(task, found))
