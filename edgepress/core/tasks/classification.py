"""Tasks of whole texts, or pairs of them: one class, several labels at once, or a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import expit, softmax
from sklearn.metrics import confusion_matrix

from edgepress.core.errors import EdgepressError
from edgepress.core.labels import label_key, label_text, shown
from edgepress.core.metrics import HALF, decide, gmean_thresholds
from edgepress.core.prediction import Prediction, RankPrediction, Reader, predictions
from edgepress.core.splits import Examples, RowNames, class_numbers, flag_number, read_texts
from edgepress.core.tasks.kind import Collator, EvaluatedRows, LabelScore, Places, TaskKind
from edgepress.core.tasks.task import MOST_TEXTS, Task

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from edgepress.core.heads import Head


# Of probabilities in a manifest.
DIGITS = 4


class TextClassification(TaskKind):
    """Kinds that give one row of logits a text: single-label, multi-label and regression."""

    pipeline = "text-classification"
    own_heads = True
    averaged = True

    @property
    def head(self) -> Head:
        from edgepress.core.heads import TEXT_CLASSIFIER

        return TEXT_CLASSIFIER

    def describe(self, task: Task) -> str:
        return f"{len(task.labels)} classes: {shown(task.labels)}; {_sources(task)}"

    def read(self, dataset: Dataset, task: Task, names: RowNames) -> Examples:
        texts = read_texts(dataset, task.text_columns, names)
        return Examples(texts, self.read_labels(dataset, task, names))

    def read_labels(self, dataset: Dataset, task: Task, names: RowNames) -> np.ndarray:
        """(rows,) or (rows, labels).

        Raises:
            EdgepressError: a row's label is none of the task's.
        """
        values = [numbers_of(list(dataset[column]), names) for column in task.label_columns]
        return np.asarray(values, dtype=np.float32).T

    def of_corpus(self, texts: Sequence[tuple[str, ...]]) -> Examples | None:
        return Examples([*texts], np.zeros(len(texts), dtype=np.float32))

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, task: Task, examples: Examples, max_length: int
    ) -> dict[str, Any]:
        from edgepress.core.inputs import encode_texts

        encoded = encode_texts(tokenizer, examples.texts, max_length)
        return {**encoded, "labels": examples.labels}

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Collator:
        from transformers import DataCollatorWithPadding

        return DataCollatorWithPadding(tokenizer)

    def places(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> Places | None:
        return None

    def collect(self, raw: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]) -> np.ndarray:
        return np.stack(raw)

    def trained_outputs(self, rows: EvaluatedRows) -> tuple[np.ndarray, np.ndarray]:
        return rows.logits, rows.labels

    def compared(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return logits

    def gathered(self, raw: Sequence[np.ndarray], places: Places | None) -> list[np.ndarray]:
        return list(raw)

    def compared_logits(
        self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return student, teacher

    def said(self, outputs: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> list[Any]:
        """A probability a label."""
        shares: np.ndarray = self.probabilities(outputs)
        rounded: list[Any] = shares.round(DIGITS).tolist()
        return rounded

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of logits; a value as it is."""
        return outputs

    def truth(self, own: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> Any:
        return own.tolist()

    def answer(self, reader: Reader, texts: tuple[str, ...]) -> Prediction | RankPrediction:
        logits = reader.logits(reader.encode(texts))
        (found,) = predictions(logits, reader.labels, self.problem_type, reader.thresholds)
        return found


class SingleLabel(TextClassification):
    """One class a text."""

    problem_type = config_type = "single_label_classification"
    metric = "accuracy"
    usual = ("accuracy", "f1_macro")
    beside: ClassVar[Mapping[str, str]] = {"macro F1": "f1_macro"}
    tabled = "class"

    def confusion(self, task: Task, decided: np.ndarray, truth: np.ndarray) -> dict[str, list[list[int]]]:
        matrix = confusion_matrix(truth, decided, labels=range(len(task.labels)))
        return {task.name: matrix.tolist()}

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        shares: np.ndarray = softmax(outputs, axis=-1)
        return shares

    def confidence(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the probability of the class that is given."""
        best: np.ndarray = self.probabilities(outputs).max(axis=-1)
        return best

    def said_words(self, said: Sequence[Any], labels: Sequence[str]) -> str:
        """The class that is given, with its probability."""
        return _with_shares([max(zip(labels, said, strict=True), key=lambda pair: pair[1])])

    def truth_words(self, truth: Any, labels: Sequence[str]) -> str:
        return labels[truth]

    def read_labels(self, dataset: Dataset, task: Task, names: RowNames) -> np.ndarray:
        known = task.label_ids or class_numbers(task.classes)
        found = []
        for row, value in enumerate(dataset[task.label_columns[0]]):
            text = None if isinstance(value, list | dict) else label_text(value)
            if text is None or label_key(text) not in known:
                raise EdgepressError(
                    f"{names.name(row)}: label {value!r} is none of {list(task.classes)}",
                    "mend that row, or say what it means with --label-map",
                )
            found.append(known[label_key(text)])
        return np.asarray(found, dtype=np.int64)

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        return outputs.argmax(axis=-1)

    def label_scores(self, decided: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> list[LabelScore]:
        flags = [(label, truth == number, decided == number) for number, label in enumerate(labels)]
        return [
            LabelScore(name, int(own.sum()), int(to.sum()), int((own & to).sum())) for name, own, to in flags
        ]

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        return kl_divergence(student, teacher, temperature)


class MultiLabel(TextClassification):
    """Any of several labels at once."""

    problem_type = config_type = "multi_label_classification"
    metric = "f1_micro"
    usual: ClassVar[tuple[str, ...]] = ("f1_micro", "f1_macro", "hamming_score", "hamming_labelwise")

    def confusion(self, task: Task, decided: np.ndarray, truth: np.ndarray) -> dict[str, list[list[int]]]:
        """No and yes of each label: of a single column scikit-learn makes a matrix for "no" as well."""
        return {
            label: confusion_matrix(truth[:, index], decided[:, index], labels=(0, 1)).tolist()
            for index, label in enumerate(task.labels)
        }

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        shares: np.ndarray = expit(outputs)
        return shares

    def confidence(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the probability of the decision, yes or no, that is the least sure of all labels'."""
        shares = self.probabilities(outputs)
        least: np.ndarray = np.maximum(shares, 1 - shares).min(axis=-1)
        return least

    def said_words(self, said: Sequence[Any], labels: Sequence[str]) -> str:
        """Return the labels that are more likely than not, each with its probability."""
        return _with_shares([pair for pair in zip(labels, said, strict=True) if pair[1] > 1 / 2]) or "none"

    def truth_words(self, truth: Any, labels: Sequence[str]) -> str:
        return ", ".join(name for name, flag in zip(labels, truth, strict=True) if flag) or "none"

    def describe(self, task: Task) -> str:
        return f"{len(task.labels)} labels, any of them at once: {shown(task.labels)}; {_text_source(task)}"

    def read_labels(self, dataset: Dataset, task: Task, names: RowNames) -> np.ndarray:
        values = super().read_labels(dataset, task, names)
        _require_flags(values, names)
        return values

    def threshold_flags(self, truth: np.ndarray, labels: Sequence[str]) -> dict[str, np.ndarray]:
        return dict(zip(labels, truth.T, strict=True))

    def usual_thresholds(self, labels: Sequence[str]) -> list[float]:
        return [HALF] * len(labels)

    def chosen_thresholds(self, outputs: np.ndarray, truth: np.ndarray) -> list[float]:
        return gmean_thresholds(outputs, truth)

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        return (outputs > 0).astype(np.int64) if thresholds is None else decide(outputs, thresholds)

    def label_scores(self, decided: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> list[LabelScore]:
        flags = zip(labels, truth.T.astype(bool), decided.T.astype(bool), strict=True)
        return [
            LabelScore(name, int(own.sum()), int(to.sum()), int((own & to).sum())) for name, own, to in flags
        ]

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """Each label is a distribution of its own: yes and no with the logits (z, 0) have the probabilities
        sigmoid(z) and 1 - sigmoid(z). The mean is over labels, too.
        """
        import torch

        pairs = [torch.stack([z, torch.zeros_like(z)], -1).flatten(0, 1) for z in (student, teacher)]
        return kl_divergence(pairs[0], pairs[1], temperature)


class Regression(TextClassification):
    """Regression: a text has a number, not a class."""

    problem_type = config_type = "regression"
    metric = "spearman"
    usual = ("pearson", "spearman")
    values = True

    def said_words(self, said: Sequence[Any], labels: Sequence[str]) -> str:
        return f"{said[0]:.2f}"

    def truth_words(self, truth: Any, labels: Sequence[str]) -> str:
        return f"{truth:.2f}"

    def describe(self, task: Task) -> str:
        return f"a value; {_sources(task)}"

    def read_labels(self, dataset: Dataset, task: Task, names: RowNames) -> np.ndarray:
        return super().read_labels(dataset, task, names)[:, 0]

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        return outputs[:, 0]

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """Values are no distribution: their squared difference is taken."""
        from torch.nn import functional

        return functional.mse_loss(student.float(), teacher.float())


def _with_shares(named: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {100 * own:.0f} %" for name, own in named)


def _text_source(task: Task) -> str:
    if len(task.text_columns) > MOST_TEXTS:
        return f"text from {', '.join(task.text_columns)}, joined"
    return f"text from {' and '.join(task.text_columns)}"


def _sources(task: Task) -> str:
    return f"{_text_source(task)}, labels from {task.label_columns[0]}"


def kl_divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL divergence of softened distributions (rows, labels), times T²; the mean over rows."""
    from torch.nn import functional

    ours, theirs = ((logits.float() / temperature).log_softmax(-1) for logits in (student, teacher))
    return temperature**2 * functional.kl_div(ours, theirs, log_target=True, reduction="batchmean")


def numbers_of(column: Sequence[Any], names: RowNames) -> list[float]:
    """Labels that are numbers.

    Raises:
        EdgepressError: one is none, or is not finite.
    """
    found = []
    for row, value in enumerate(column):
        number = flag_number(value)
        if number is None:
            raise EdgepressError(
                f"{names.name(row)}: label {value!r} is not a number", "drop or fill that row"
            )
        found.append(number)
    return found


def _require_flags(values: np.ndarray, names: RowNames) -> None:
    wrong = np.argwhere((values != 0) & (values != 1))
    if wrong.size:
        row, column = wrong[0]
        raise EdgepressError(
            f"{names.name(row)}: flag {values[row, column]:g} is neither 0 nor 1", "drop or fill that row"
        )
