"""What a model answers, for people to look at: confusion matrices, ROC curves, some texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.metrics import auc, confusion_matrix, roc_curve

from edgepress.core.console import warn
from edgepress.core.metrics import predict
from edgepress.core.splits import Examples
from edgepress.core.tables import ScreenTable, markdown_table
from edgepress.core.tasks import Task

# Enough for a smooth line in a picture.
CURVE_POINTS = 60
DIGITS = 4
DRAWN, DIFFERING = 4, 4
"""Texts drawn from all, and from those that the two decide differently."""
SHOWN_CHARACTERS = 80
SHOWN_CLASSES = 30
SAMPLE_HEADINGS = ("text", "label", "teacher", "student")


def confusion(
    task: Task, logits: np.ndarray, labels: np.ndarray, thresholds: Sequence[float] | None
) -> dict[str, list[list[int]]]:
    """How many texts of each class (rows) were given each class (columns).

    Args:
        task: what the logits are of.
        logits: (rows, labels).
        labels: (rows,), or 0/1 flags (rows, labels).
        thresholds: from which probability on each label is given; None: one half.

    Returns:
        one matrix under the task's name; one of no and yes for each label where labels come several at once;
        nothing for values.
    """
    given = predict(logits, task.problem_type, thresholds)
    if task.problem_type == "single_label_classification":
        return {task.name: confusion_matrix(labels, given, labels=range(len(task.labels))).tolist()}
    if task.problem_type == "multi_label_classification":
        # Label by label: of a single column scikit-learn makes a matrix for "no" as well.
        return {
            label: confusion_matrix(labels[:, index], given[:, index], labels=(0, 1)).tolist()
            for index, label in enumerate(task.labels)
        }
    return {}


def warn_of_classes_never_given(task: Task, mistakes: Mapping[str, Sequence[Sequence[int]]]) -> None:
    """Name the classes that texts have and that no text is given: a good score may hide them."""
    missed = [
        f"{own.label} ({own.texts:,} texts)"
        for own in class_scores(task, mistakes)
        if own.texts and not own.given
    ]
    if missed:
        warn(f"never predicted on {task.evaluation_split}, so with a recall of 0 %: {', '.join(missed)}")


@dataclass(frozen=True)
class ClassScore:
    """How one class of several fares."""

    label: str
    texts: int
    """Texts that have it."""
    given: int
    """Texts that are given it."""
    right: int
    """Number of texts that both have right."""

    @property
    def precision(self) -> float | None:
        """Share of the texts that are given it and have it; None where none is."""
        return self.right / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        """Share of the texts that have it and are given it; None where none has."""
        return self.right / self.texts if self.texts else None

    @property
    def f1(self) -> float | None:
        """2 right / (texts + given); None where both are 0."""
        return 2 * self.right / (self.texts + self.given) if self.texts + self.given else None


def class_scores(task: Task, mistakes: Mapping[str, Sequence[Sequence[int]]]) -> list[ClassScore]:
    """Class by class, from a confusion matrix; none for other tasks."""
    if task.problem_type != "single_label_classification" or task.name not in mistakes:
        return []
    matrix = np.asarray(mistakes[task.name])
    found = zip(task.labels, matrix.sum(axis=1), matrix.sum(axis=0), matrix.diagonal(), strict=True)
    return [ClassScore(label, int(texts), int(given), int(right)) for label, texts, given, right in found]


def class_tables(task: Task, mistakes: Mapping[str, Sequence[Sequence[int]]]) -> list[ScreenTable]:
    """Tables of precision, recall and F1 by class, rarest last; none for other tasks or very many classes."""
    found = class_scores(task, mistakes)
    if not found or len(found) > SHOWN_CLASSES:
        return []
    ordered = sorted(found, key=lambda own: -own.texts)
    rows = [
        (own.label, f"{own.texts:,}", *map(_share, (own.precision, own.recall, own.f1))) for own in ordered
    ]
    return [ScreenTable("", ("class", "texts", "precision", "recall", "F1"), rows)]


def _share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


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


def sample_rows(task: Task, found: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """The table of samples in words, under `SAMPLE_HEADINGS`."""
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


def sample_table(task: Task, found: Sequence[dict[str, Any]]) -> str:
    """The table of samples for a page."""
    return markdown_table(SAMPLE_HEADINGS, sample_rows(task, found))
