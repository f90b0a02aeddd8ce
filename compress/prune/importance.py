"""Importance of a model's units, and the choice of those that stay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
import torch_pruning as tp
from torch import nn
from transformers import PreTrainedModel

from compress.parts import PrunablePart, dependency_graph, group, readers
from edgepress.core.errors import EdgepressError

TensorBatch = Mapping[str, torch.Tensor]
UnitScores = dict[str, torch.Tensor]
"""Part -> (channels,) of it, or (layers,); larger is more important."""
KeptUnits = dict[str, list[int]]
"""Part -> numbers of the units that stay, in rising order."""
SMALL = 1e-12


def score(
    model: PreTrainedModel, parts: Sequence[PrunablePart], importance: str, batches: Sequence[TensorBatch]
) -> UnitScores:
    """The importance of every channel of every part, and of every layer.

    Args:
        model: as it is now.
        parts: of any kinds.
        importance: a name in `SCORERS`.
        batches: texts with their `labels`, for those that look at texts.
    """
    return SCORERS[importance](model, parts, batches)


def _magnitude(
    p: int, model: PreTrainedModel, parts: Sequence[PrunablePart], _: Sequence[TensorBatch]
) -> UnitScores:
    """Mean of |w|^p over the weights that would go; of a layer over all of its weights."""
    graph, estimate = dependency_graph(model), tp.importance.GroupMagnitudeImportance(p=p)

    def layer(own: nn.Module) -> torch.Tensor:
        values = torch.cat([weight.detach().flatten() for weight in own.parameters()])
        return values.abs().pow(p).mean()

    return {part.name: _each(part, layer, lambda own: estimate(group(graph, own))) for part in parts}


def _taylor(
    model: PreTrainedModel, parts: Sequence[PrunablePart], batches: Sequence[TensorBatch]
) -> UnitScores:
    """What the loss would change by, to first order: |w dL/dw|, summed over batches (Molchanov et al. 2019,
    "Importance Estimation for Neural Network Pruning"; of heads Michel et al. 2019).

    Summed without its sign: gradients of a trained model add up to nothing over the data.
    """
    graph = dependency_graph(model)
    estimate = tp.importance.GroupTaylorImportance(normalizer=None)
    groups = {part.name: group(graph, part) for part in parts if part.kind != "layers"}

    def layer(own: nn.Module) -> torch.Tensor:
        return torch.stack([(w * w.grad).abs().sum() for w in own.parameters() if w.grad is not None]).sum()

    found: UnitScores = defaultdict(lambda: torch.zeros(()))
    for batch in batches:
        model.zero_grad()
        model(**batch).loss.backward()
        with torch.no_grad():
            for part in parts:
                own = _each(part, layer, lambda one: estimate(groups[one.name]))
                found[part.name] = found[part.name] + own
    model.zero_grad()
    return dict(found)


def _activation(
    model: PreTrainedModel, parts: Sequence[PrunablePart], batches: Sequence[TensorBatch]
) -> UnitScores:
    """Root mean square of a channel, times the norm of the weights that read it (Sun et al. 2023, "A Simple
    and Effective Pruning Approach for Large Language Models", section 3); of a layer how far it turns what
    passes through it, 1 - cosine (Men et al. 2024, "ShortGPT", section 3).
    """
    graph = dependency_graph(model)
    reading = {part.name: readers(graph, part) for part in parts if part.kind != "layers"}
    layers = [own for part in parts if part.kind == "layers" for own in _children(part)]
    squares: dict[nn.Module, torch.Tensor] = defaultdict(lambda: torch.zeros(()))
    turns: dict[nn.Module, torch.Tensor] = defaultdict(lambda: torch.zeros(()))
    with ExitStack() as stack, torch.no_grad():
        mask = stack.enter_context(_hooks(reading, layers, squares, turns))
        for batch in batches:
            mask[:] = [batch["attention_mask"].bool()]
            model(**batch)

    def channels(part: PrunablePart) -> torch.Tensor:
        own = [squares[reader].sqrt() * reader.weight.detach().norm(dim=0) for reader in reading[part.name]]
        return torch.stack(own).sum(0)

    return {part.name: _each(part, lambda layer: turns[layer], channels) for part in parts}


def _each(
    part: PrunablePart,
    layer: Callable[[nn.Module], torch.Tensor],
    channels: Callable[[PrunablePart], torch.Tensor],
) -> torch.Tensor:
    """(units,) of layers, else (channels,)."""
    if part.kind == "layers":
        return torch.stack([layer(own) for own in _children(part)])
    # torch-pruning adds a gate's channels to those that they gate, and leaves zeros in their own places.
    return channels(part).detach()[: part.channels]


def _children(part: PrunablePart) -> list[nn.Module]:
    return list(part.module.children())


@contextmanager
def _hooks(
    readers: Mapping[str, Sequence[nn.Linear]],
    layers: Sequence[nn.Module],
    squares: dict[nn.Module, torch.Tensor],
    turns: dict[nn.Module, torch.Tensor],
) -> Iterator[list[torch.Tensor]]:
    """Let modules sum up what passes through them, of tokens that the yielded mask holds."""
    mask: list[torch.Tensor] = []

    def read(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        (states,) = inputs
        seen = states[mask[0]] if states.dim() == mask[0].dim() + 1 else states
        squares[module] = squares[module] + seen.pow(2).sum(0)

    def turn(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        before, after = inputs[0][mask[0]], (output[0] if isinstance(output, tuple) else output)[mask[0]]
        turns[module] = turns[module] + (1 - nn.functional.cosine_similarity(before, after, eps=SMALL)).sum()

    every = dict.fromkeys(reader for own in readers.values() for reader in own)
    hooks = [own.register_forward_pre_hook(read) for own in every]
    hooks += [own.register_forward_hook(turn) for own in layers]
    try:
        yield mask
    finally:
        for hook in hooks:
            hook.remove()


SCORERS: dict[str, Callable[[PreTrainedModel, Sequence[PrunablePart], Sequence[TensorBatch]], UnitScores]] = {
    "l1": partial(_magnitude, 1),
    "l2": partial(_magnitude, 2),
    "taylor": _taylor,
    "activation": _activation,
}
# Those that look at texts.
LOOKING = ("taylor", "activation")


def counts(parts: Sequence[PrunablePart], shares: Sequence[float], done: float = 1.0) -> dict[nn.Module, int]:
    """Count the units of each part that stay: root -> number.

    Args:
        parts: of one kind, in the unpruned model.
        shares: to cut, 0..1: one for all parts, or one each.
        done: fraction of the shares that is cut by now, 0..1.

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
    parts: Sequence[PrunablePart], wanted: Mapping[nn.Module, int], scores: UnitScores, over_layers: bool
) -> KeptUnits:
    """Choose the most important units of parts of one kind.

    Args:
        parts: as they are now.
        wanted: root -> number of units that stay.
        scores: importance of the units of all parts.
        over_layers: rank over all parts instead of in each.
    """
    found = _shared_out(parts, wanted, scores) if over_layers else dict(wanted)
    return {part.name: _best(_units(part, scores), min(found[part.root], part.units)) for part in parts}


def _units(part: PrunablePart, scores: UnitScores) -> torch.Tensor:
    return scores[part.name].view(part.units, part.size).sum(1)


def _best(scores: torch.Tensor, count: int) -> list[int]:
    return sorted(torch.topk(scores, count).indices.tolist())


def _shared_out(
    parts: Sequence[PrunablePart], wanted: Mapping[nn.Module, int], scores: UnitScores
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


def best_of_each_head(part: PrunablePart, heads: Sequence[int], size: int, scores: UnitScores) -> list[int]:
    """Channels that stay of an attention part: the `size` best ones of each head that stays."""
    table = scores[part.name].view(part.units, part.size)
    return [head * part.size + channel for head in heads for channel in _best(table[head], size)]
