"""Extractive question answering: rows, the module that a Trainer trains, scores."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from torch.nn import functional
from transformers import DataCollatorWithPadding, EvalPrediction, PreTrainedModel, PreTrainedTokenizerBase

from compress.training.config import ClassifierOptions, TrainingOptions
from compress.training.trainer import TrainingData, in_order
from edgepress.core.errors import EdgepressError
from edgepress.core.identity import SHA256, digest_of
from edgepress.core.inputs import TOKEN_TYPES, input_names
from edgepress.core.models import FROM_SCRATCH_ONLY
from edgepress.core.question_answering import Windows, best_answers, cut_windows
from edgepress.core.squad import Question, load_questions, score_answers
from edgepress.core.tasks import Task

TEACHER = "teacher_logits"
SHORTEST_WINDOW = 16


@dataclass(frozen=True)
class Reading:
    """The questions of a task and their windows."""

    train: Windows
    evaluation: Windows
    questions: list[Question]
    """Questions of `evaluation`."""

    @property
    def contents(self) -> dict[str, Any]:
        """Number and digest of the accepted answers: rows lack them, and the best weights depend on them."""
        answers = [question.answers for question in self.questions]
        return {"answers": {"rows": len(answers), SHA256: digest_of(answers)}}

    def scores(self, logits: np.ndarray) -> dict[str, float]:
        """`exact_match` and `answer_f1` of logits (rows of `evaluation`, tokens, 2)."""
        return score_answers(best_answers(self.evaluation, logits, self.questions), self.questions)


def require_answering(config: ClassifierOptions, model: str) -> None:
    """Raise unless a model can be trained for spans with these flags."""
    if model in FROM_SCRATCH_ONLY:
        raise EdgepressError(f"{model} gives one answer a text, not a place in it", "name an encoder")
    if config.head != "own" or config.thresholds != "half":
        raise EdgepressError("--head and --thresholds are a classifier's", "leave them away")


def load_reading(
    config: TrainingOptions, task: Task, tokenizer: PreTrainedTokenizerBase, longest: int
) -> Reading:
    """The task's questions in windows of at most `longest` tokens, as far as the flags ask for them.

    Raises:
        EdgepressError: a file is not SQuAD's, or no answer stands whole in a window.
    """
    assert task.folder is not None
    if longest < SHORTEST_WINDOW:
        raise EdgepressError(
            f"windows of {longest} tokens have no room for a question and a context",
            f"raise --max-length to {SHORTEST_WINDOW} or more; 384 is usual",
        )
    if not tokenizer.is_fast:
        raise EdgepressError(
            f"{type(tokenizer).__name__} does not say where in a text its tokens stand, as answers need it",
            "name a model whose tokenizer has a fast form in transformers",
        )
    counts = {"train": config.train_samples, "validation": config.eval_samples}
    train, evaluation = (
        _sample(load_questions(task.folder, split), count, config.seed) for split, count in counts.items()
    )
    windows = cut_windows(tokenizer, train, longest)
    if not windows.targets.any():
        raise EdgepressError(
            f"no answer of {task.name} stands in a window of {longest} tokens", "raise --max-length"
        )
    return Reading(windows, cut_windows(tokenizer, evaluation, longest), evaluation)


def _sample(questions: list[Question], count: int | None, seed: int) -> list[Question]:
    if count is None or count >= len(questions):
        return questions
    rows = np.sort(np.random.default_rng(seed).choice(len(questions), count, replace=False))
    return [questions[row] for row in rows]


def answering_data(
    tokenizer: PreTrainedTokenizerBase, reading: Reading, teacher: dict[str, list[np.ndarray]] | None = None
) -> TrainingData:
    """The windows as the Trainer takes them; `labels` are first and last token.

    Args:
        tokenizer: pads.
        reading: the windows.
        teacher: its logits of `train` and `evaluation`, (tokens, 2) a row.
    """
    parts = {"train": reading.train, "evaluation": reading.evaluation}
    rows = {name: _rows(windows, teacher[name] if teacher else None) for name, windows in parts.items()}
    metrics = _metrics(reading, rows["evaluation"])
    return TrainingData(**rows, collator=_collator(tokenizer), metrics=metrics, metric="answer_f1")


def _rows(windows: Windows, teacher: list[np.ndarray] | None) -> Dataset:
    rows = Dataset.from_dict({**windows.inputs, "labels": windows.targets})
    return rows.add_column(TEACHER, [logits.ravel() for logits in teacher]) if teacher else rows


def _collator(tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    pad = DataCollatorWithPadding(tokenizer)

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        logits = [torch.tensor(row[TEACHER]).view(-1, 2) for row in rows if TEACHER in row]
        batch = dict(pad([{name: value for name, value in row.items() if name != TEACHER} for row in rows]))
        if logits:
            batch[TEACHER] = nn.utils.rnn.pad_sequence(logits, batch_first=True)
        return batch

    return collate


def _metrics(reading: Reading, rows: Dataset) -> Callable[[EvalPrediction], dict[str, Any]]:
    def compute(prediction: EvalPrediction) -> dict[str, Any]:
        return dict(reading.scores(in_order(rows, prediction.predictions)))

    return compute


class Answering(nn.Module):
    """A model for spans with its loss, which a teacher's logits may be part of."""

    def __init__(
        self,
        model: PreTrainedModel,
        label_weight: float = 1,
        response_weight: float = 0,
        temperature: float = 1,
    ) -> None:
        super().__init__()
        self.model = model
        self.takes_types = TOKEN_TYPES in input_names(model)
        self.weights = label_weight, response_weight
        self.temperature = temperature

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        teacher_logits: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch, and the logits of start and end, (rows, tokens, 2).

        Args:
            input_ids: (rows, tokens).
            attention_mask: (rows, tokens), 1 for a token and 0 for padding.
            labels: (rows, 2), first and last token of the answer.
            token_type_ids: (rows, tokens), where the model takes them.
            teacher_logits: (rows, tokens, 2).
        """
        types = {"token_type_ids": token_type_ids} if self.takes_types else {}
        found = self.model(input_ids=input_ids, attention_mask=attention_mask, **types)
        logits = torch.stack([found.start_logits, found.end_logits], -1)
        own, response = self.weights
        loss = own * functional.cross_entropy(logits.float(), labels)
        if response:
            assert teacher_logits is not None
            loss = loss + response * span_kl(logits, teacher_logits, attention_mask, self.temperature)
        return {"loss": loss, "logits": logits}


def span_kl(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Divergence of softened distributions over tokens times T² (Hinton et al. 2015), of start and end.

    Args:
        student: (rows, tokens, 2).
        teacher: the same shape.
        mask: (rows, tokens), 1 for a token and 0 for padding.
        temperature: T, which logits are divided by.

    Returns:
        the mean over rows and over the two.
    """
    padding = (mask == 0).unsqueeze(-1)
    ours, theirs = (
        (logits.float() / temperature).masked_fill(padding, -1e4).log_softmax(1)
        for logits in (student, teacher)
    )
    divergence = functional.kl_div(ours, theirs, log_target=True, reduction="sum")
    return temperature**2 * divergence / (2 * len(student))
