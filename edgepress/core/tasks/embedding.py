"""Sentence embeddings: one vector a text, judged by the cosines of pairs of texts.

Data are pairs with a score (how alike two texts are), passages for queries (1 where one answers it), or texts
that belong together: an anchor, its positive, and perhaps a negative. A model reads each text alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepress.core.errors import EdgepressError
from edgepress.core.matryoshka import trained_dimensions
from edgepress.core.prediction import EmbeddingPrediction, Reader
from edgepress.core.ranking import QUERY_IDS, query_numbers, require_order
from edgepress.core.splits import Examples, RowNames, read_texts
from edgepress.core.tasks.classification import numbers_of
from edgepress.core.tasks.kind import TEACHER_LOGITS, Collator, EvaluatedRows, LabelScore, Places, TaskKind
from edgepress.core.tasks.task import ON_TRAIN, Task
from edgepress.core.vectors import cosines_and_ranks, kept_neighbours, mean_cosine, relevance, unit

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from edgepress.core.heads import Head

PIECES = "pieces"
"""Column of how many tokens each text of a row has."""
SCALES = (1, 5, 10, 100)
"""What scores end with: the least of these that is not below any of them."""
FEW = 0.02
"""Share of scores that may not decide alone which scale all are of, where none reaches its end."""
ALIKE, RANKED, TOGETHER = "spearman_cosine", "map", "recall_at_1"
"""Metrics of pairs with a score, of passages for queries, of texts that belong together."""
DIGITS = 4
RELEVANT = "relevant"


class Embedding(TaskKind):
    """A vector for each text."""

    problem_type = "embedding"
    pipeline = "sentence-similarity"
    library = "sentence-transformers"
    metric = ALIKE
    usual = (ALIKE, "pearson_cosine")
    counted = "pairs"
    named = False
    curve_rows = None
    texts_a_row = 1
    heading = "embedding"
    example = ("A man is eating food.", "A man eats something.")
    free_width = True
    without_labels = True
    read_columns = (PIECES,)
    agreed = "neighbours kept"
    texts_together = True
    of_worst = "% of the nearest neighbours"
    worst_limit = 3.0  # of 100 texts 97 keep their neighbour
    program = "print(logits.round(4).tolist())"

    @property
    def head(self) -> Head:
        from edgepress.core.heads import EMBEDDING

        return EMBEDDING

    @property
    def in_graph(self) -> str:
        return self.problem_type  # vectors are answers as they are

    def usual_beside(self, metric: str) -> tuple[str, ...]:
        if metric == ALIKE:
            return self.usual
        return ("map", "mrr_at_10", "ndcg_at_10", "recall_at_10") if metric == RANKED else tuple(_RECALLS)

    def said_beside(self, metric: str) -> Mapping[str, str]:
        if metric == RANKED:
            return {"MRR@10": "mrr_at_10", "nDCG@10": "ndcg_at_10", "recall@10": "recall_at_10"}
        return {} if metric == ALIKE else {"recall@10": "recall_at_10"}

    def of_task(self, task: Task) -> Task | None:
        metrics = {"regression": ALIKE, "reranking": RANKED}
        if task.problem_type not in metrics or len(task.text_columns) != len(self.example):
            return None
        return replace(task, problem_type=self.problem_type, metric=metrics[task.problem_type], labels=())

    def describe(self, task: Task) -> str:
        first, *others = task.text_columns
        form = _form(task)
        if form == ALIKE:
            return f"pairs of {first} and {others[0]}, how alike they are from {task.label_columns[0]}"
        if form == RANKED:
            return (
                f"passages from {others[0]} for queries from {first}, relevance from {task.label_columns[0]}"
            )
        apart = f", and {others[1]} not" if others[1:] else ""
        return f"{others[0]} belongs to {first}{apart}"

    def read(self, dataset: Dataset, task: Task, names: RowNames) -> Examples:
        """Labels are scores (rows,), or as `vectors.relevance` gives them.

        Raises:
            EdgepressError: a row has no text or a score that is none, or nothing is to rank.
        """
        columns = (read_texts(dataset, (column,), names) for column in task.text_columns)
        texts = [tuple(text for (text,) in row) for row in zip(*columns, strict=True)]
        form = _form(task)
        if form == TOGETHER:
            anchors = query_numbers([row[0] for row in texts])
            return Examples(texts, relevance(texts, np.ones(len(texts)), anchors))
        scores = np.asarray(numbers_of(list(dataset[task.label_columns[0]]), names), dtype=np.float32)
        if form == ALIKE:
            _require_scale(scores, names)
            return Examples(texts, scores)
        _require_relevance(scores, names)
        ids = next((name for name in QUERY_IDS if name in dataset.column_names), None)
        queries = query_numbers(list(dataset[ids]) if ids else [row[0] for row in texts])
        require_order(scores, queries, names.where)
        return Examples(texts, relevance(texts, scores, queries), groups=queries)

    def of_corpus(self, texts: Sequence[tuple[str, ...]]) -> Examples:
        """Single texts, which belong to nothing: the teacher alone teaches."""
        return Examples([*texts], np.zeros(len(texts), dtype=np.float32))

    def to_learn(self, task: Task, examples: Examples) -> Examples:
        """Relevant passages, each with its query and another passage that does not answer it."""
        if _form(task) != RANKED:
            return examples
        wrong: dict[int, list[int]] = defaultdict(list)
        for row, (relevant, query, *_) in enumerate(examples.labels.tolist()):
            if not relevant:
                wrong[query].append(row)
        kept = [row for row in np.flatnonzero(examples.labels[:, 0]) if wrong[int(examples.labels[row, 1])]]
        if not kept:
            return examples
        rng = np.random.default_rng(0)
        others = [int(rng.choice(wrong[int(examples.labels[row, 1])])) for row in kept]
        texts = [
            (*examples.texts[row], examples.texts[other][1]) for row, other in zip(kept, others, strict=True)
        ]
        return Examples(texts, np.column_stack([examples.labels[kept], examples.labels[others, 2]]))

    def learned_labels(self, labels: np.ndarray) -> np.ndarray:
        """Return scores up to 1."""
        return labels / _scale(labels) if labels.ndim == 1 else labels

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, task: Task, examples: Examples, max_length: int
    ) -> dict[str, Any]:
        """The tokens of a row's texts one after another; `pieces` says where each ends."""
        texts = [
            tokenizer(list(column), truncation=True, max_length=max_length)
            for column in zip(*examples.texts, strict=True)
        ]
        rows = range(len(examples))
        joined = {
            name: [list(chain.from_iterable(own[name][row] for own in texts)) for row in rows]
            for name in texts[0]
        }
        pieces = [[len(own["input_ids"][row]) for own in texts] for row in rows]
        return {**joined, PIECES: pieces, "labels": examples.labels}

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Collator:
        """Batches have the texts of all rows, one below the other."""
        from transformers import DataCollatorWithPadding

        pad = DataCollatorWithPadding(tokenizer)

        def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
            import torch

            batch = dict(pad([text for row in rows for text in _apart(row)]))
            if "labels" in rows[0]:
                batch["labels"] = torch.as_tensor(np.asarray([row["labels"] for row in rows]))
            if TEACHER_LOGITS in rows[0]:
                said = np.asarray([row[TEACHER_LOGITS] for row in rows], dtype=np.float32)
                batch[TEACHER_LOGITS] = torch.as_tensor(said).view(len(batch["input_ids"]), -1)
            return batch

        return collate

    def batches(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[dict[str, np.ndarray]]:
        """Each different text once."""
        return super().batches(tokenizer, [(text,) for text in _uses(texts)], max_length)

    def places(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[np.ndarray]:
        """(uses, 2) of each different text: the rows that it is in, and where in them."""
        return [np.asarray(own) for own in _uses(texts).values()]

    def collect(self, raw: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]) -> np.ndarray:
        """(rows, texts of a row, width), of each different text's vector, or of those of each row."""
        if raw[0].ndim > 1 or places is None:
            return np.stack(raw)
        uses = np.concatenate(places)
        vectors = np.empty((*(uses.max(axis=0) + 1), raw[0].shape[-1]), dtype=np.float32)
        for own, where in zip(raw, places, strict=True):
            vectors[where[:, 0], where[:, 1]] = own
        return vectors

    def loss_and_logits(
        self, model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], labels: torch.Tensor, **wanted: bool
    ) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """The loss of a batch, its vectors (rows, texts of a row, width), and all that the model gave."""
        loss, vectors, found = super().loss_and_logits(model, inputs, labels, **wanted)
        return loss, self.by_row(vectors, len(labels)), found

    def trainable(self, model: PreTrainedModel) -> nn.Module:
        from edgepress.core.training_module import TaskModule

        return TaskModule(model, self)

    def trained_outputs(self, rows: EvaluatedRows) -> tuple[np.ndarray, np.ndarray]:
        return rows.logits, rows.truth

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        """(rows, 2): cosine of the first two texts, and the rank of the second among all passages."""
        return cosines_and_ranks(outputs)

    def compared(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return logits

    def agreement(
        self,
        parent: np.ndarray,
        child: np.ndarray,
        thresholds: Sequence[float] | None,
    ) -> float | None:
        """Share of texts whose nearest neighbour stays."""
        return kept_neighbours(parent, child)

    def worst_drop(
        self, parent: Sequence[LabelScore], child: Sequence[LabelScore], agreement: float | None
    ) -> tuple[float, str]:
        """Return the share of texts whose nearest neighbour is another [points], and its words."""
        if agreement is None:
            return math.inf, "too few texts have neighbours"
        return 100 * (1 - agreement), f"{100 * agreement:.1f} % of the nearest neighbours stay"

    def likeness(self, parent: np.ndarray, child: np.ndarray) -> dict[str, float]:
        return {"mean_cosine": mean_cosine(parent, child)}

    def said(self, outputs: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> list[float]:
        """The cosine of a pair."""
        return [round(float(cosines_and_ranks(outputs[None])[0, 0]), DIGITS)]

    def said_words(self, said: Sequence[Any], labels: Sequence[str]) -> str:
        return f"{said[0]:.2f}"

    def truth(self, own: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> Any:
        return round(float(own), DIGITS) if own.ndim == 0 else RELEVANT if own[0] else f"not {RELEVANT}"

    def truth_words(self, truth: Any, labels: Sequence[str]) -> str:
        return truth if isinstance(truth, str) else f"{truth:.2f}"

    def by_row(self, logits: torch.Tensor, rows: int) -> torch.Tensor:
        return logits.view(rows, -1, logits.shape[-1])

    def taught(self, examples: Examples, places: Places | None) -> list[int]:
        return [len(own) for own in examples.texts]

    def gathered(self, raw: Sequence[np.ndarray], places: Places | None) -> list[np.ndarray]:
        return list(raw)

    def compared_logits(
        self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the vectors of both, (texts, width) each."""
        return student.flatten(0, -2), teacher.flatten(0, -2)

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """One minus the cosine; vectors are no distribution."""
        from torch.nn import functional

        return (1 - functional.cosine_similarity(student.float(), teacher.float(), dim=-1)).mean()

    def dimensions(self, config: PretrainedConfig) -> tuple[int, ...]:
        return trained_dimensions(config)

    def cut(self, outputs: np.ndarray, dimensions: int) -> np.ndarray:
        return unit(outputs[..., :dimensions])

    def cut_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, dimensions: Sequence[int]
    ) -> torch.Tensor:
        """The difference of cosines to the teacher's whole vectors: it was not trained to be cut itself."""
        from edgepress.core.embedding_losses import similarity_loss

        parts = [similarity_loss(student[..., :width], teacher) for width in dimensions[1:]]
        return sum(parts, student.new_zeros(()))

    def width(self, config: PretrainedConfig) -> int | None:
        return getattr(config, "hidden_size", None)

    def answer(self, reader: Reader, texts: tuple[str, ...]) -> EmbeddingPrediction:
        """The vector of a text.

        Raises:
            EdgepressError: the file gives states of tokens, or a vector of another width.
        """
        (vector,) = reader.logits(reader.encode(texts))
        if vector.ndim > 1:
            raise EdgepressError(
                "the file gives the states of tokens, and not the vector of a text (sentence_embedding)",
                "python -m export.onnx --model FOLDER writes one that pools them",
            )
        vector = vector if reader.dimensions is None else self.cut(vector, reader.dimensions)
        return EmbeddingPrediction(tuple(map(float, vector)))

    def split_by(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Rows with one first text stay together."""
        return (columns[0],)


_RECALLS = ("recall_at_1", "recall_at_10")


def _form(task: Task) -> str:
    """Form of a task's data, by its metric."""
    return task.metric.removesuffix(ON_TRAIN)


def _scale(scores: np.ndarray) -> float:
    most = float(np.abs(scores).max(initial=0))
    return next((float(scale) for scale in SCALES if most <= scale), most)


def _require_scale(scores: np.ndarray, names: RowNames) -> None:
    """Raise for a score that is not of the scale of the others: by it all would be divided."""
    scale, most = _scale(scores), float(np.abs(scores).max(initial=0))
    wrong = np.flatnonzero(scores < 0) if scale > 1 else np.asarray([], dtype=np.int64)
    for smaller in (own for own in SCALES if own < scale and most < scale):
        above = np.flatnonzero(np.abs(scores) > smaller)
        if len(above) <= max(1, FEW * len(scores)):
            wrong = above
    if most > SCALES[-1]:
        wrong = np.flatnonzero(np.abs(scores) > SCALES[-1])
    if wrong.size:
        raise EdgepressError(
            f"{names.name(int(wrong[0]))}: score {scores[wrong[0]]:g} beside {len(scores) - len(wrong):,} of "
            f"another scale: scores end at {', '.join(map(str, SCALES[:-1]))} or {SCALES[-1]}",
            "drop or mend that row; or scale the column to 0 to 1",
        )


def _require_relevance(scores: np.ndarray, names: RowNames) -> None:
    """Raise for a label that is neither 0 nor 1."""
    wrong = np.flatnonzero((scores != 0) & (scores != 1))
    if wrong.size:
        raise EdgepressError(
            f"{names.name(int(wrong[0]))}: relevance {scores[wrong[0]]:g} is neither 0 nor 1",
            "drop or fill that row",
        )


def _uses(texts: Sequence[tuple[str, ...]]) -> dict[str, list[tuple[int, int]]]:
    """Each different text, and the rows and columns that it is in."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, own in enumerate(texts):
        for column, text in enumerate(own):
            found[text].append((row, column))
    return found


def _apart(row: Mapping[str, Any]) -> list[dict[str, list[int]]]:
    """The inputs of each text of a row."""
    ends = np.cumsum(row[PIECES]).tolist()
    names = [name for name in row if name not in (PIECES, "labels", TEACHER_LOGITS)]
    return [
        {name: row[name][end - count : end] for name in names}
        for end, count in zip(ends, row[PIECES], strict=True)
    ]
