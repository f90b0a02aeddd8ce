"""Weights of a narrower model, projected from those of a wider one.

All layers read from and write to one stream of hidden states. Its principal components on real text take
the place of its channels, and every matrix is turned into them, as in SliceGPT (Ashkboos et al. 2024,
"SliceGPT: Compress Large Language Models by Deleting Rows and Columns", section 3). There a norm without mean
commutes with the turn; LayerNorm does not, and here one number a channel has to stand for what was a
matrix: it is fitted, by least squares, to the wider model's own states. Of heads and feed-forward units those
stay that write the most. What comes out answers roughly as the wider model does: it is a beginning, and has
to be trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from compress.distill.components import principal_axes
from compress.distill.wide_states import (
    AttentionNames,
    EncodedTexts,
    EncoderLayout,
    WideStates,
    layout_of,
    run,
    watch,
)

SMALL = 1e-6
RIDGE = 1e-3


def project(source: PreTrainedModel, student: PreTrainedModel, texts: EncodedTexts) -> float:
    """Give a student the weights of a wider model of its own architecture, projected; in place.

    Args:
        source: the wider model, with as many layers.
        student: its encoder's weights are replaced; extra channels of its heads stay random.
        texts: of both models' tokens, padded.

    Returns:
        share of the spread of hidden states that the student's width can hold, 0..1.

    Raises:
        EdgepressError: something in the encoder is none of the parts that are known.
    """
    layout = layout_of(source)
    with torch.no_grad():
        seen = watch(source, layout, texts)
        turn, kept = turned(
            [states - states.mean(0) for states in seen.norms.values()], student.config.hidden_size
        )
        _Projection(source, student, layout, seen, turn).write()
        _fit(student, layout, seen, turn, texts)
    return kept


def turned(states: Sequence[torch.Tensor], width: int) -> tuple[torch.Tensor, float]:
    """Principal components of states, and the share of their spread that these hold.

    Args:
        states: (tokens, width before) each.
        width: number of components, at most the width before.

    Returns:
        (width before, width), orthonormal columns; and a share of 0..1.
    """
    every = torch.cat(list(states)).double()
    mean, axes = (torch.from_numpy(found.copy()) for found in principal_axes(every.numpy(), width))
    every -= mean
    share = (every @ axes).square().sum() / every.square().sum().clamp(min=SMALL)
    return axes.float(), float(share)


@dataclass(frozen=True)
class _Projection:
    """Writes the weights of a wide model into a narrow one."""

    source: PreTrainedModel
    student: PreTrainedModel
    layout: EncoderLayout
    seen: WideStates
    turn: torch.Tensor

    def write(self) -> None:
        chosen = self._heads()
        for own, heads in zip(self.layout.attentions, chosen, strict=True):
            self._attention(own, heads)
        for name in self.layout.biases:
            count = self._own(name).weight.shape[1]
            self._own(name).weight[:, : len(chosen[0])] = self._wide(name).weight[:, chosen[0]][:, :count]
        for first, second in self.layout.feed_forward:
            self._feed_forward(first, second)
        self._tables()

    def _own(self, name: str) -> Any:
        return self.student.get_submodule(name)

    def _wide(self, name: str) -> Any:
        return self.source.get_submodule(name)

    def _heads(self) -> list[list[int]]:
        """Heads of each layer that stay: those that write the most into the states."""
        written = []
        for own in self.layout.attentions:
            weight = self._wide(own.output).weight.unflatten(1, (own.heads, -1))
            written.append(torch.einsum("ohi,hij,ohj->h", weight, self.seen.moments[own.output], weight))
        if self.layout.biases:  # one table of position biases for all layers
            written = [torch.stack(written).sum(0)] * len(written)
        count = self.student.config.num_attention_heads
        return [sorted(each.topk(count).indices.tolist()) for each in written]

    def _reading(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of a matrix that reads turned states: what is not in them is taken for its mean."""
        own, mean = self._wide(name), self.seen.means[name]
        rest = mean - self.turn @ (self.turn.T @ mean)
        return own.weight @ self.turn, own.bias + own.weight @ rest

    def _attention(self, own: AttentionNames, heads: list[int]) -> None:
        count = self.student.config.num_attention_heads
        size = self.student.config.hidden_size // count
        moments = [self.seen.moments[name][heads] for name in (own.query, own.key, own.output)]
        wide = moments[0].shape[1]
        queries, keys = score_maps(moments[0], moments[1], min(size, wide))
        values = _largest(moments[2], min(size, wide))
        scale = (size / wide) ** 0.25  # of both: scores are divided by the root of a head's size
        for name, maps in ((own.query, scale * queries), (own.key, scale * keys), (own.value, values)):
            weight, bias = (each.unflatten(0, (own.heads, -1))[heads] for each in self._reading(name))
            target = self._own(name)
            block = slice(maps.shape[2])
            target.weight.unflatten(0, (count, -1))[:, block] = torch.einsum("hij,hid->hjd", maps, weight)
            target.bias.unflatten(0, (count, -1))[:, block] = torch.einsum("hij,hi->hj", maps, bias)
        written, target = self._wide(own.output), self._own(own.output)
        weight = torch.einsum("ohi,hij->ohj", written.weight.unflatten(1, (own.heads, -1))[:, heads], values)
        target.weight.unflatten(1, (count, -1))[..., : values.shape[2]] = torch.einsum(
            "ok,ohj->khj", self.turn, weight
        )
        target.bias.copy_(self.turn.T @ written.bias)

    def _feed_forward(self, first: str, second: str) -> None:
        """Keep the units that write the most."""
        written = self._wide(second)
        score = self.seen.squares[second] * written.weight.square().sum(0)
        units = score.topk(self._own(first).out_features).indices.sort().values
        weight, bias = self._reading(first)
        self._own(first).weight.copy_(weight[units])
        self._own(first).bias.copy_(bias[units])
        self._own(second).weight.copy_(self.turn.T @ written.weight[:, units])
        self._own(second).bias.copy_(self.turn.T @ written.bias)

    def _tables(self) -> None:
        width = self._own(self.layout.tables[0]).embedding_dim
        turn = self.turn
        if width != turn.shape[1]:  # narrower than the states, and turned on their own
            turn, _ = turned(self.seen.summed, width)
        for name in self.layout.tables:
            self._own(name).weight.copy_(self._wide(name).weight @ turn)


def score_maps(queries: torch.Tensor, keys: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps of queries and keys, (heads, before, size) each, whose products are as near as they can be to
    those of whole ones: by the singular vectors of the product of their spreads.

    Args:
        queries: second moments (heads, before, before).
        keys: the same.
        size: of a head afterwards.
    """
    if size == queries.shape[1]:
        same = torch.eye(size).expand_as(queries)
        return same, same
    roots = [_power(each, 0.5) for each in (queries, keys)]
    left, values, right = torch.linalg.svd(roots[0] @ roots[1])
    scaled = values[:, None, :size].sqrt()
    found = (
        _power(queries, -0.5) @ left[..., :size].double() * scaled,
        _power(keys, -0.5) @ right.mT[..., :size] * scaled,
    )
    return found[0].float(), found[1].float()


def _power(moments: torch.Tensor, exponent: float) -> torch.Tensor:
    """A power of symmetric matrices (heads, size, size), float64."""
    values, vectors = torch.linalg.eigh(moments.double())
    floor = SMALL * values.amax(-1, keepdim=True).clamp(min=SMALL)
    return vectors * values.clamp(min=floor).pow(exponent).unsqueeze(-2) @ vectors.mT


def _largest(moments: torch.Tensor, size: int) -> torch.Tensor:
    """Directions of the largest second moments of each head, (heads, before, size)."""
    if size == moments.shape[1]:
        return torch.eye(size).expand_as(moments)
    return torch.linalg.eigh(moments.double())[1].flip(-1)[..., :size].float()


def _fit(
    student: PreTrainedModel, layout: EncoderLayout, seen: WideStates, turn: torch.Tensor, texts: EncodedTexts
) -> None:
    """Fit norms, and the matrix behind narrower embeddings, to the wide model's turned states, one after
    another as the student reads the texts.
    """
    kept = texts["attention_mask"].bool()
    wanted = {name: (states @ turn).double() for name, states in seen.norms.items()}
    first = next(iter(wanted.values()))

    def norm(name: str, own: nn.LayerNorm, inputs: torch.Tensor) -> torch.Tensor:
        plain = functional.layer_norm(inputs, own.normalized_shape, eps=own.eps)
        before, after = plain[kept].double(), wanted[name]
        centred = before - before.mean(0)
        scale = (centred * after).mean(0) / centred.square().mean(0).clamp(min=SMALL)
        own.weight.copy_(scale)
        own.bias.copy_(after.mean(0) - scale * before.mean(0))
        return plain * own.weight + own.bias

    def widen(_: str, own: nn.Linear, inputs: torch.Tensor) -> torch.Tensor:
        before = inputs[kept].double()
        mean = before.mean(0)
        spread = (before - mean).T @ (before - mean) / len(before)
        # Ridge regression: behind a norm channels sum up to nothing, and without it would have any weights.
        spread += RIDGE * spread.diagonal().mean() * torch.eye(len(spread), dtype=spread.dtype)
        weight = torch.linalg.solve(spread, (before - mean).T @ first / len(before)).T
        own.weight.copy_(weight)
        own.bias.copy_(first.mean(0) - weight @ mean)
        return functional.linear(inputs, own.weight, own.bias)

    inside = set(student.base_model.modules())
    with ExitStack() as stack:
        for name, own in student.named_modules():
            if isinstance(own, nn.LayerNorm) and name in wanted and own.normalized_shape[0] == turn.shape[1]:
                stack.callback(own.register_forward_hook(partial(_answered_by, norm, name)).remove)
            if isinstance(own, nn.Linear) and own in inside and name not in layout.names:
                stack.callback(own.register_forward_hook(partial(_answered_by, widen, name)).remove)
        run(student, texts)


def _answered_by(
    fit: Callable[..., torch.Tensor], name: str, own: nn.Module, inputs: tuple[torch.Tensor, ...], _: Any
) -> torch.Tensor:
    return fit(name, own, inputs[0])
