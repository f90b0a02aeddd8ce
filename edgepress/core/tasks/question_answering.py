"""Extractive question answering: a span of a context (Rajpurkar et al. 2016), or none (2018).

A context is read in overlapping windows, a row of the model each; the best span over all of them answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgepress.core.errors import EdgepressError
from edgepress.core.prediction import AnswerPrediction, Reader
from edgepress.core.question_answering import (
    NONE_SHARE,
    SHARE,
    USUAL_LEAD,
    best_answers,
    best_lead,
    cut_windows,
    decided,
    longest_question,
    targets,
)
from edgepress.core.splits import Examples, RowNames, read_texts
from edgepress.core.squad import CONTEXT, QUESTION, read_answers
from edgepress.core.tasks.classification import kl_divergence
from edgepress.core.tasks.kind import TEACHER_LOGITS, Collator, EvaluatedRows, Places, TaskKind
from edgepress.core.tasks.task import Task

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from edgepress.core.heads import Head

NO_ANSWER = "no answer"
SIDES = 2
"""Logits of a token: as the start of an answer, and as its end."""
HIDDEN = -1e4
"""Logit of padding, where tokens are the classes: none of the probability."""


class QuestionAnswering(TaskKind):
    """Extractive question answering: the characters of a context that answer a question."""

    problem_type = "question_answering"
    pipeline = "question-answering"
    metric = "answer_f1"
    usual = ("answer_f1", "exact_match")
    beside: ClassVar[Mapping[str, str]] = {"exact match": "exact_match"}
    also: ClassVar[Mapping[str, str]] = beside
    counted = "questions"
    per_token = True
    curve_rows = None
    shares_tokens = True
    abstains = True
    texts_a_row = 2
    text_columns = (QUESTION, CONTEXT)
    heading = "answer"
    example = ("Where was Ada Lovelace born?", "Ada Lovelace was born in London.")
    program = """
tokens = AutoTokenizer.from_pretrained(folder).convert_ids_to_tokens(inputs["input_ids"][0])
start, end = (int(own.argmax()) for own in logits.T)
print(tokens[start : end + 1])
""".strip()

    @property
    def head(self) -> Head:
        from edgepress.core.heads import QUESTION_ANSWERING

        return QUESTION_ANSWERING

    def describe(self, task: Task) -> str:
        question, context = task.text_columns
        some = "" if task.null_threshold is None else ", some without an answer"
        return f"answers to {question} in {context}{some}, from {task.label_columns[0]}"

    def read(self, dataset: Dataset, task: Task, names: RowNames) -> Examples:
        texts = read_texts(dataset, task.text_columns, names)
        texts = [(question.strip(), context) for question, context in texts]
        truth = np.empty(len(texts), dtype=object)
        for row, value in enumerate(dataset[task.label_columns[0]]):
            truth[row] = read_answers(value, texts[row][1], names.name(row))
        return Examples(texts, truth)

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, task: Task, examples: Examples, max_length: int
    ) -> dict[str, Any]:
        windows = cut_windows(tokenizer, examples.texts, max_length)
        return {**windows.inputs, "labels": targets(windows, examples.labels.tolist())}

    def require_learnable(self, task: Task, rows: Dataset, max_length: int) -> None:
        if not any(last for _, last in rows["labels"]):
            raise EdgepressError(
                f"no answer of {task.name} stands in a window of {max_length} tokens", "raise --max-length"
            )

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Collator:
        from transformers import DataCollatorWithPadding

        pad = DataCollatorWithPadding(tokenizer)

        def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
            import torch
            from torch.nn.utils.rnn import pad_sequence

            said = [torch.as_tensor(row[TEACHER_LOGITS]) for row in rows if TEACHER_LOGITS in row]
            batch = dict(
                pad([{name: own for name, own in row.items() if name != TEACHER_LOGITS} for row in rows])
            )
            if said:
                batch[TEACHER_LOGITS] = pad_sequence([own.view(-1, SIDES) for own in said], batch_first=True)
            return batch

        return collate

    def batches(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[dict[str, np.ndarray]]:
        inputs = cut_windows(tokenizer, texts, max_length).inputs
        return [
            {name: np.asarray([ids[row]], dtype=np.int64) for name, ids in inputs.items()}
            for row in range(len(inputs["input_ids"]))
        ]

    def places(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[np.ndarray]:
        """(tokens, 3) of each window: the question, and the characters that a token stands for."""
        return cut_windows(tokenizer, texts, max_length).places

    def unread_texts(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> str:
        """Return a warning of questions: contexts are read to their end, in windows."""
        from edgepress.core.inputs import count_longer

        room = longest_question(max_length)
        questions = [(question,) for question, _ in texts]
        cut = count_longer(tokenizer, questions, room + tokenizer.num_special_tokens_to_add())
        if not cut:
            return ""
        return f"{cut:,} of {len(texts):,} questions have more than {room} tokens: the rest is not read"

    def collect(self, raw: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]) -> np.ndarray:
        """(questions, 6), as `question_answering.best_answers` gives them."""
        assert places is not None
        return best_answers(raw, places)

    def arguments(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Labels are the first and the last token."""
        inputs, labels = dict(batch), batch["labels"]
        del inputs["labels"]
        return {**inputs, "start_positions": labels[:, 0], "end_positions": labels[:, 1]}

    def trainable(self, model: PreTrainedModel) -> nn.Module:
        from edgepress.core.training_module import TaskModule

        return TaskModule(model, self)

    def trained_outputs(self, rows: EvaluatedRows) -> tuple[np.ndarray, np.ndarray]:
        return self.collect(list(rows.logits), rows.places, rows.names), rows.truth

    def thresholds(self, task: Task) -> list[float] | None:
        return None if task.null_threshold is None else [task.null_threshold]

    def threshold_flags(self, truth: np.ndarray, labels: Sequence[str]) -> dict[str, np.ndarray]:
        return {NO_ANSWER: np.asarray([not own.texts for own in truth], dtype=np.int64)}

    def usual_thresholds(self, labels: Sequence[str]) -> list[float]:
        return [USUAL_LEAD]

    def chosen_thresholds(self, outputs: np.ndarray, truth: np.ndarray) -> list[float]:
        return [best_lead(outputs, truth)]

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        """(questions, 2): the characters that an answer begins at and ends before; (0, 0) for none."""
        return decided(outputs, thresholds[0] if thresholds else None)

    def compared(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return logits[mask > 0]

    def choices(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(rows, 2): the tokens of the largest logits, padding left out."""
        known = np.where(mask[..., None] > 0, logits, -np.inf)
        found: np.ndarray = known.argmax(axis=1)
        return found

    def agreement(
        self, parent: np.ndarray, child: np.ndarray, thresholds: Sequence[float] | None
    ) -> float | None:
        """Share of starts and ends that are the same token."""
        return float((parent == child).mean())

    def said(self, outputs: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> list[str]:
        """The answer, as the only item."""
        ((begin, end),) = self.decide(outputs[None])
        return [texts[1][begin:end]]

    def said_words(self, said: Sequence[str], labels: Sequence[str]) -> str:
        return said[0] or "none"

    def truth(self, own: Any, texts: tuple[str, ...], labels: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(own.texts))

    def truth_words(self, truth: Sequence[str], labels: Sequence[str]) -> str:
        return ", ".join(truth) or "none"

    def gathered(self, raw: Sequence[np.ndarray], places: Places | None) -> list[np.ndarray]:
        assert places is not None
        return [own[: len(where)] for own, where in zip(raw, places, strict=True)]

    def of_gathered(
        self, gathered: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]
    ) -> np.ndarray:
        return self.collect(gathered, places, labels)

    def compared_logits(
        self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(2 rows, tokens): the tokens of a window are the classes of its start, and of its end."""
        padding = (mask == 0).unsqueeze(-1)
        ours, theirs = (
            own.float().masked_fill(padding, HIDDEN).transpose(1, 2).flatten(0, 1)
            for own in (student, teacher)
        )
        return ours, theirs

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        return kl_divergence(student, teacher, temperature)

    def answer(self, reader: Reader, texts: tuple[str, ...]) -> AnswerPrediction:
        batches = self.batches(reader.tokenizer, [texts], reader.max_length)
        places = self.places(reader.tokenizer, [texts], reader.max_length)
        outputs = self.collect([reader.logits(batch)[0] for batch in batches], places, reader.labels)
        ((begin, end),) = self.decide(outputs, reader.thresholds).tolist()
        share = outputs[0, SHARE if end > begin else NONE_SHARE]
        return AnswerPrediction(texts[1][begin:end], begin, end, float(share))

    def split_by(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Questions about one context stay together."""
        return (columns[1],)
