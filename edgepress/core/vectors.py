"""What vectors of texts say: cosines of pairs, ranks among all passages, and whose neighbour stays."""

from __future__ import annotations

import numpy as np

from edgepress.core.ranking import query_numbers

ROWS_AT_ONCE = 1024
SHORTEST = 1e-12
SAME = 1 - 1e-5
"""Cosine from which on two passages count as one."""
PAIR = 2
"""Fewest texts of a row that are compared."""


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors (..., width) to length 1."""
    scaled: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), SHORTEST)
    return scaled


def cosines_and_ranks(vectors: np.ndarray) -> np.ndarray:
    """How near the second text of each row is to its first.

    Args:
        vectors: (rows, texts of a row, width); texts beyond the second are further passages.

    Returns:
        (rows, 2): the cosine of the two, and the rank of the second among the different passages of all rows,
        from 1 on, behind others of the same cosine; of single texts 1 and 1.
    """
    if vectors.shape[1] < PAIR:
        return np.ones((len(vectors), 2))
    scaled = unit(vectors.astype(np.float32))
    passages = np.unique(scaled[:, 1:].reshape(-1, scaled.shape[-1]), axis=0)
    found = np.empty((len(vectors), 2))
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        first, second = (scaled[start : start + ROWS_AT_ONCE, place] for place in (0, 1))
        cosines = (first * second).sum(axis=-1)
        # A text that was read in another batch has another last digit, and is no other passage.
        other = second @ passages.T < SAME
        nearer = ((first @ passages.T >= cosines[:, None]) & other).sum(axis=1)
        found[start : start + ROWS_AT_ONCE] = np.column_stack([cosines, 1 + nearer])
    return found


def neighbours(vectors: np.ndarray) -> np.ndarray:
    """(texts,): the number of the nearest other text of each, by the cosine."""
    scaled, found = unit(vectors.astype(np.float32)), np.empty(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        near = scaled[start : start + ROWS_AT_ONCE] @ scaled.T
        rows = np.arange(len(near))
        near[rows, start + rows] = -np.inf
        found[start : start + ROWS_AT_ONCE] = near.argmax(axis=1)
    return found


def kept_neighbours(parent: np.ndarray, child: np.ndarray) -> float | None:
    """Share of texts whose nearest neighbour is the same in both spaces, 0..1; None for fewer than three.

    Args:
        parent: (texts, width).
        child: the same texts' vectors, of any width.
    """
    few = 3  # of two texts each is the other's neighbour
    return None if len(parent) < few else float((neighbours(parent) == neighbours(child)).mean())


def mean_cosine(parent: np.ndarray, child: np.ndarray) -> float:
    """Mean cosine of the vectors of the same texts."""
    return float((unit(parent.astype(np.float32)) * unit(child.astype(np.float32))).sum(axis=-1).mean())


def relevance(rows: list[tuple[str, ...]], relevant: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the truth that rankings of the passages are judged by.

    Args:
        rows: a query, its passage, and further passages.
        relevant: (rows,), 1 where the passage answers the query.
        queries: (rows,), the number of each query.

    Returns:
        (rows, texts + 1): relevant or not, the query's number, and those of the passages; equal passages have
        one.
    """
    passages = query_numbers([text for row in rows for text in row[1:]]).reshape(len(rows), -1)
    return np.column_stack([relevant, queries, passages]).astype(np.int64)
