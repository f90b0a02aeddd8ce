"""Which units stay: as many as the shares leave, the most important ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from compress.prune.importance import Scores
from compress.prune.parts import PrunablePart
from edgepress.core.errors import EdgepressError

Kept = dict[str, list[int]]
"""Part -> numbers of the units that stay, in rising order."""


def counts(parts: Sequence[PrunablePart], shares: Sequence[float], done: float = 1.0) -> dict[nn.Module, int]:
    """How many units of each part stay: root -> number.

    Args:
        parts: of one kind, in the unpruned model.
        shares: to cut: one for all parts, or one each.
        done: how much of the way there has been gone, 0..1.

    Raises:
        EdgepressError: there is another number of parts, or one would lose everything.
    """
    kind = parts[0].kind
    if len(shares) not in (1, len(parts)):
        raise EdgepressError(
            f"--{kind} names {len(shares)} shares, the model has {len(parts)} layers",
            "name one for all, or one each",
        )
    every = list(shares) * len(parts) if len(shares) == 1 else shares
    found = {
        part.root: _rounded(part, part.units * (1 - done * share))
        for part, share in zip(parts, every, strict=True)
    }
    for part in parts:
        if found[part.root] == 0:
            raise EdgepressError(f"--{kind} leaves nothing of {part.name}", "cut a smaller share")
    return found


def _rounded(part: PrunablePart, wanted: float) -> int:
    return round(wanted / part.step) * part.step


def choose(
    parts: Sequence[PrunablePart], wanted: Mapping[nn.Module, int], scores: Scores, over_layers: bool
) -> Kept:
    """What stays of parts of one kind.

    Args:
        parts: as they are now.
        wanted: root -> how many units.
        scores: of all of them.
        over_layers: rank over all parts instead of in each.
    """
    found = _shared_out(parts, wanted, scores) if over_layers else dict(wanted)
    return {part.name: _best(_units(part, scores), min(found[part.root], part.units)) for part in parts}


def _units(part: PrunablePart, scores: Scores) -> torch.Tensor:
    return scores[part.name].view(part.units, part.size).sum(1)


def _best(scores: torch.Tensor, count: int) -> list[int]:
    return sorted(torch.topk(scores, count).indices.tolist())


def _shared_out(
    parts: Sequence[PrunablePart], wanted: Mapping[nn.Module, int], scores: Scores
) -> dict[nn.Module, int]:
    """The same number of units in all, ranked over all parts; each keeps at least its best one."""
    owners = torch.cat([torch.full((part.units,), number) for number, part in enumerate(parts)])
    ranked = torch.cat([_with_best_first(_units(part, scores)) for part in parts])
    total = sum(wanted[part.root] for part in parts)
    chosen = owners[torch.topk(ranked, total).indices]
    numbers = [int((chosen == number).sum()) for number in range(len(parts))]
    return {
        part.root: max(_rounded(part, number), part.step) for part, number in zip(parts, numbers, strict=True)
    }


def _with_best_first(scores: torch.Tensor) -> torch.Tensor:
    ranked = scores.clone()
    ranked[scores.argmax()] = torch.inf
    return ranked


def best_of_each_head(part: PrunablePart, heads: Sequence[int], size: int, scores: Scores) -> list[int]:
    """Channels that stay of an attention part: the `size` best ones of each head that stays."""
    table = scores[part.name].view(part.units, part.size)
    return [head * part.size + channel for head in heads for channel in _best(table[head], size)]
