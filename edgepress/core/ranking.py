"""Metrics of rankings: mean average precision, MRR@10 and nDCG@10 over the candidates of each query, recall
over all passages.

Queries without a relevant passage are left out, as trec_eval and the data sets' own scripts do: no order of
their passages is better than another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, ndcg_score

from edgepress.core.console import warn_once
from edgepress.core.errors import EdgepressError

DEPTH = 10
QUERY_IDS = ("query_id", "question_id", "qid")
"""Columns that number queries; without one, equal texts are one query."""


def query_numbers(values: Sequence[Any]) -> np.ndarray:
    """(rows,): a number for each query, in the order in which they come."""
    known: dict[Any, int] = {}
    return np.asarray([known.setdefault(value, len(known)) for value in values], dtype=np.int64)


def require_order(relevant: np.ndarray, queries: np.ndarray, where: str) -> None:
    """Raise for a split of which every order of the passages is as good as another.

    Args:
        relevant: (rows,): whether a passage answers its query.
        queries: (rows,): number of the query.
        where: name of the split, for messages.

    Raises:
        EdgepressError: no passage is relevant, or no query has one that is beside one that is not.
    """
    flags = relevant.astype(bool)
    if not flags.any():
        raise EdgepressError(
            f"{where}: no passage is relevant to its query (label 1), and so nothing is to rank",
            "name another --label-column, or another file",
        )
    if not np.isin(queries[flags], queries[~flags]).any():
        raise EdgepressError(
            f"{where}: no query has a relevant passage (label 1) beside one that is not (label 0), and so "
            "every order is right",
            "add passages that do not answer; texts that belong together are columns anchor and positive",
        )


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Mean of the precision at each relevant passage; equal scores are one place."""
    return float(average_precision_score(relevant, scores))


def reciprocal_rank(scores: np.ndarray, relevant: np.ndarray) -> float:
    """1 / rank of the first relevant passage, 0 beyond `DEPTH`; behind others of the same score."""
    rank = 1 + int((scores[relevant == 0] >= scores[relevant == 1].max()).sum())
    return 1 / rank if rank <= DEPTH else 0.0


def ndcg(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Discounted gain of the first `DEPTH` passages over the best there could be (Jarvelin and Kekalainen
    2002).
    """
    if len(scores) == 1:  # scikit-learn refuses to rank one
        return 1.0
    return float(ndcg_score(relevant[None], scores[None], k=DEPTH))


def _recall(most: int) -> Callable[[np.ndarray, np.ndarray], float]:
    """Share of the relevant passages that are among the first `most` of all."""
    return lambda ranks, relevant: float((ranks[relevant == 1] <= most).mean())


OF_ALL: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "recall_at_1": _recall(1),
    "recall_at_10": _recall(DEPTH),
}
"""Metrics of ranks among the passages of all queries, which only vectors have."""
METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "map": average_precision,
    "mrr_at_10": reciprocal_rank,
    "ndcg_at_10": ndcg,
    **OF_ALL,
}


def query_scores(metric: str, scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """A metric of each query that has a relevant passage, 0..1.

    Args:
        metric: a name in `METRICS`.
        scores: (rows,), larger is better; or (rows, 2): beside it the rank among the passages of all queries.
        truth: (rows, 2 or more): relevant or not, and the number of the query.
    """
    if scores.ndim > 1:
        scores = scores[:, 1 if metric in OF_ALL else 0]
    order = np.argsort(truth[:, 1], kind="stable")
    starts = np.flatnonzero(np.diff(truth[order, 1], prepend=-1))
    queries = np.split(order, starts[1:])
    judged = [rows for rows in queries if truth[rows, 0].any()]
    if len(judged) < len(queries):
        warn_once(
            f"{len(queries) - len(judged):,} of {len(queries):,} queries have no relevant passage, and are "
            "left out of MAP, MRR and nDCG"
        )
    compute = METRICS[metric]
    return np.asarray([compute(scores[rows], truth[rows, 0]) for rows in judged])
