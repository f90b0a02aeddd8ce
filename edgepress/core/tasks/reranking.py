"""Reranking: how well a passage answers a query, one logit a pair, by which passages are put in order.

A cross-encoder that is trained pair by pair (Nogueira and Cho 2019, "Passage Re-ranking with BERT"), and
judged query by query.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgepress.core.prediction import RankPrediction, Reader
from edgepress.core.ranking import QUERY_IDS, query_numbers, require_order
from edgepress.core.splits import Examples, RowNames, read_texts
from edgepress.core.tasks.classification import MultiLabel
from edgepress.core.tasks.kind import EvaluatedRows, LabelScore
from edgepress.core.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset


class Reranking(MultiLabel):
    """One logit a pair, whose sigmoid is the probability that the passage answers the query."""

    problem_type = "reranking"
    config_type = "multi_label_classification"  # by which transformers takes binary cross-entropy
    pipeline = "text-ranking"
    metric = "map"
    usual = ("map", "mrr_at_10", "ndcg_at_10")
    beside: ClassVar[Mapping[str, str]] = {"MRR@10": "mrr_at_10", "nDCG@10": "ndcg_at_10"}
    also: ClassVar[Mapping[str, str]] = beside
    counted = "queries"
    values = True
    curve_rows = None
    texts_a_row = 2
    text_columns = ("query", "passage")
    heading = "rank"
    example = ("where was Ada Lovelace born", "Ada Lovelace was born in London.")

    def describe(self, task: Task) -> str:
        query, passage = task.text_columns
        return f"passages from {passage} for queries from {query}, relevance from {task.label_columns[0]}"

    def read(self, dataset: Dataset, task: Task, names: RowNames) -> Examples:
        """Labels are (rows, 2): 1 for a relevant passage, else 0, and the number of the query.

        Raises:
            EdgepressError: a row has no text, a label is neither 0 nor 1, or nothing is to rank.
        """
        texts = read_texts(dataset, task.text_columns, names)
        relevant = self.read_labels(dataset, task, names)[:, 0]
        ids = next((name for name in QUERY_IDS if name in dataset.column_names), None)
        queries = query_numbers(list(dataset[ids]) if ids else [query for query, _ in texts])
        require_order(relevant, queries, names.where)
        return Examples(texts, np.column_stack([relevant, queries]).astype(np.int64), groups=queries)

    def of_corpus(self, texts: Sequence[tuple[str, ...]]) -> Examples | None:
        return None  # which passages belong to a query, no corpus says

    def learned_labels(self, labels: np.ndarray) -> np.ndarray:
        """Return which passages are relevant, without the numbers of their queries."""
        return labels[:, :1].astype(np.float32)

    def trained_outputs(self, rows: EvaluatedRows) -> tuple[np.ndarray, np.ndarray]:
        return rows.logits, rows.truth

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        """(rows,): the logits, which are the order."""
        return outputs[:, 0]

    def label_scores(self, decided: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> list[LabelScore]:
        return []

    def confusion(self, task: Task, decided: np.ndarray, truth: np.ndarray) -> dict[str, list[list[int]]]:
        return {}

    def said_words(self, said: Sequence[Any], labels: Sequence[str]) -> str:
        return f"{100 * said[0]:.0f} %"

    def truth(self, own: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> Any:
        return int(own[0])

    def truth_words(self, truth: Any, labels: Sequence[str]) -> str:
        return "relevant" if truth else "not relevant"

    def answer(self, reader: Reader, texts: tuple[str, ...]) -> RankPrediction:
        """The probability of one pair; `answered` ranks those of a query."""
        logits = reader.logits(reader.encode(texts))
        return RankPrediction(float(self.probabilities(logits)[0, 0]), 1)

    def answered(self, found: Sequence[Any], rows: Sequence[tuple[str, ...]]) -> list[Any]:
        """Return the answers with their ranks among the passages of an equal query, from 1 on."""
        queries: dict[str, list[int]] = defaultdict(list)
        for row, (query, _) in enumerate(rows):
            queries[query].append(row)
        ranked = list(found)
        for own in queries.values():
            for rank, row in enumerate(sorted(own, key=lambda at: -found[at].score), 1):
                ranked[row] = replace(found[row], rank=rank)
        return ranked

    def shown_order(self, found: Sequence[Any], rows: Sequence[tuple[str, ...]]) -> list[int]:
        """Queries as they come, the passages of each by rank."""
        first = {query: place for place, (query, _) in reversed([*enumerate(rows)])}
        return sorted(range(len(rows)), key=lambda row: (first[rows[row][0]], found[row].rank))

    def split_by(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Passages of one query stay together."""
        return (columns[0],)
