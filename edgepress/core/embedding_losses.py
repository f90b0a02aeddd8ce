"""Losses of models that give vectors: of pairs with a score, and of pairs that belong together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

SCALE = 20.0
"""Factor of cosines before the softmax, as sentence-transformers has it."""
HIDDEN = -1e4


def pair_loss(vectors: torch.Tensor, labels: torch.Tensor, dimensions: Sequence[int] = ()) -> torch.Tensor:
    """The loss of a batch of rows with as many texts each; 0 of single texts, which belong to nothing.

    Args:
        vectors: (rows times texts of a row, width), the texts of a row one after another.
        labels: scores (rows,), or as `vectors.relevance` gives them.
        dimensions: widths that vectors are cut to; the sum of their losses is learned (Kusupati et al. 2022,
            equation 1, all weights 1). None: the whole one.
    """
    rows = vectors.view(len(labels), -1, vectors.shape[-1])
    if rows.shape[1] == 1:
        return vectors.sum() * 0
    loss = cosine_loss if labels.dim() == 1 else ranking_loss
    parts = [loss(rows[..., :width], labels) for width in dimensions or (vectors.shape[-1],)]
    return torch.stack(parts).sum()


def cosine_loss(vectors: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Squared difference of cosines and scores (Reimers and Gurevych 2019, section 3.2), the mean over rows.

    Args:
        vectors: (rows, 2, width).
        scores: (rows,), 0..1 or -1..1.
    """
    cosines = functional.cosine_similarity(vectors[:, 0].float(), vectors[:, 1].float(), dim=-1)
    return functional.mse_loss(cosines, scores.float())


def ranking_loss(vectors: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Softmax over the passages of a batch, of which a query's own is the right one (Henderson et al. 2017,
    "Efficient Natural Language Response Suggestion for Smart Reply", section 4.4).

    A passage that belongs to the same query, or is the same text, is no wrong one.

    Args:
        vectors: (rows, 2 or more, width): a query, its passage, and passages that do not answer it.
        truth: (rows, as many + 1): relevant or not, the query's number, the passages' numbers.

    Returns:
        the mean over rows whose passage is relevant; 0 where there is none.
    """
    scaled = functional.normalize(vectors.float(), dim=-1)
    passages = scaled[:, 1:].transpose(0, 1).flatten(0, 1)
    numbers = truth[:, 2:].t().flatten()
    near = SCALE * scaled[:, 0] @ passages.t()
    right = torch.arange(len(vectors), device=vectors.device)
    others = torch.ones_like(near, dtype=torch.bool)
    others[right, right] = False
    same_text = numbers[None] == truth[:, 2:3]
    same_query = torch.zeros_like(others)
    same_query[:, : len(vectors)] = (truth[None, :, 1] == truth[:, None, 1]) & (truth[None, :, 0] == 1)
    near = near.masked_fill(others & (same_text | same_query), HIDDEN)
    kept = truth[:, 0] == 1
    if not kept.any():
        return near.sum() * 0
    return functional.cross_entropy(near[kept], right[kept])


def similarity_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared difference of the cosines of all pairs of texts in two spaces, the mean over pairs (Tung and
    Mori 2019, "Similarity-Preserving Knowledge Distillation", equation 4, of cosines).

    Args:
        student: (texts, width).
        teacher: the same texts' vectors, of any width.

    Returns:
        0 for a single text, which is near nothing.
    """
    if len(student) == 1:
        return student.sum() * 0
    scaled = [functional.normalize(vectors.float(), dim=-1) for vectors in (student, teacher)]
    ours, theirs = (vectors @ vectors.t() for vectors in scaled)
    apart = ~torch.eye(len(student), dtype=torch.bool, device=student.device)
    return functional.mse_loss(ours[apart], theirs[apart])
