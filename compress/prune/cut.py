"""Cutting: how much goes in each iteration, the weights, what modules and config know of their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import nn
from transformers import PreTrainedModel

from compress.parts import FINDERS, PrunablePart, classifier_parts, dependency_graph, group, parts
from compress.prune.config import PruneOptions
from compress.prune.importance import (
    KeptUnits,
    TensorBatch,
    UnitScores,
    best_of_each_head,
    choose,
    counts,
    score,
)
from edgepress.core.architectures.depth import first_stays, keep_layers
from edgepress.core.architectures.pruned import kept_heads, set_heads
from edgepress.core.architectures.widths import feed_forward_name
from edgepress.core.matryoshka import record_dimensions

UNITS = ("heads", "ffn", "hidden")
Wanted = Mapping[str, Mapping[nn.Module, int]]
"""Kind -> root of a part -> how many units stay."""


def cut_layers(model: PreTrainedModel, part: PrunablePart, kept: Sequence[int]) -> None:
    """Leave only these layers, in place."""
    keep_layers(model.config, sorted(kept))
    layers: Any = part.module
    for number in reversed(range(part.units)):
        if number not in kept:
            del layers[number]


def cut_units(model: PreTrainedModel, kept: Mapping[str, KeptUnits], scores: UnitScores) -> None:
    """Leave only these units of every other part, in place.

    Args:
        model: its weights, modules and config are changed.
        kept: kind -> part -> units that stay.
        scores: of all parts; of attention parts also where only the hidden width is cut.
    """
    attentions = {part.name: part for part in FINDERS["heads"](model)}
    channels = _attention_channels(model, attentions, kept, scores)
    graph = dependency_graph(model)
    for name, own in channels.items():
        _cut(graph, attentions[name], own)
    if "ffn" in kept:
        for part in parts(model, "ffn"):
            _cut(graph, part, kept["ffn"][part.name])
    if "hidden" in kept:  # and with it the classifier's matrices that a config has as wide
        for part in (*classifier_parts(model), *parts(model, "hidden")):
            _cut(graph, part, kept["hidden"][part.name])
    for name in channels:
        before = kept_heads(attentions[name].module)
        stay = kept["heads"][name] if "heads" in kept else range(len(before))
        set_heads(attentions[name].module, [before[head] for head in stay])
    _tell_config(model, kept)


def _attention_channels(
    model: PreTrainedModel,
    attentions: Mapping[str, PrunablePart],
    kept: Mapping[str, KeptUnits],
    scores: UnitScores,
) -> dict[str, list[int]]:
    """Part -> channels that stay, where heads go, or become narrower with the hidden width."""
    if not {"heads", "hidden"} & set(kept):
        return {}
    found = {}
    for name, part in attentions.items():
        heads = kept["heads"][name] if "heads" in kept else range(part.units)
        size = part.size
        if "hidden" in kept:
            size = _width(kept["hidden"]) // model.config.num_attention_heads
        found[name] = best_of_each_head(part, list(heads), size, scores)
    return found


def _width(hidden: KeptUnits) -> int:
    """What is left of it: the same in all parts that are as wide as the layers."""
    return len(next(iter(hidden.values())))


def _cut(graph: tp.DependencyGraph, part: PrunablePart, kept: Sequence[int]) -> None:
    gone = sorted(set(range(part.channels)) - set(kept))
    if not gone:
        return
    group(graph, part, gone).prune()


def _tell_config(model: PreTrainedModel, kept: Mapping[str, KeptUnits]) -> None:
    """What a stock config can say: one width for all layers."""
    config: Any = model.config
    if "hidden" in kept:
        config.hidden_size = _width(kept["hidden"])
        record_dimensions(config)
    widths = {part.units for part in parts(model, "ffn")} if "ffn" in kept else set()
    if len(widths) == 1:
        setattr(config, feed_forward_name(config), widths.pop())


@dataclass(frozen=True)
class Cutting:
    """Cuts a model step by step to what the flags leave."""

    model: PreTrainedModel
    config: PruneOptions
    steps: Sequence[Wanted]
    """What stays after each iteration."""

    @classmethod
    def of(cls, model: PreTrainedModel, config: PruneOptions) -> Cutting:
        """The whole way, from the model as it is.

        Raises:
            EdgepressError: the model does not have what is to be cut, or nothing of it would be left.
        """
        shares = config.ratios
        whole = {kind: parts(model, kind) for kind in shares}
        ways = [(number + 1) / config.iterations for number in range(config.iterations)]
        steps = [{kind: counts(whole[kind], shares[kind], way) for kind in shares} for way in ways]
        return cls(model, config, steps)

    def cut(self, number: int, batches: Sequence[TensorBatch]) -> None:
        """Cut one iteration, in place; texts are for importances that look at them."""
        wanted = self.steps[number]
        if "layers" in wanted:
            self._cut_layers(wanted["layers"], batches)
        if set(wanted) & set(UNITS):
            self._cut_units(wanted, batches)

    def _cut_layers(self, wanted: Mapping[nn.Module, int], batches: Sequence[TensorBatch]) -> None:
        (part,) = parts(self.model, "layers")
        scores = score(self.model, [part], self.config.importance, batches)
        if first_stays(self.model.config):
            scores[part.name][0] = torch.inf
        cut_layers(self.model, part, choose([part], wanted, scores, over_layers=False)[part.name])

    def _cut_units(self, wanted: Wanted, batches: Sequence[TensorBatch]) -> None:
        own = {kind: parts(self.model, kind) for kind in UNITS if kind in wanted}
        if "hidden" in own:  # each head, and the classifier, becomes narrower with it
            width = wanted["hidden"][own["hidden"][0].root]
            own["hidden"] += classifier_parts(self.model)
            wanted = {**wanted, "hidden": {part.root: width for part in own["hidden"]}}
        scored = {part.name: part for found in own.values() for part in found}
        if "hidden" in own:
            scored |= {part.name: part for part in parts(self.model, "heads")}
        scores = score(self.model, list(scored.values()), self.config.importance, batches)
        over_layers = self.config.scope == "global"
        kept = {
            kind: choose(found, wanted[kind], scores, over_layers and kind != "hidden")
            for kind, found in own.items()
        }
        cut_units(self.model, kept, scores)
