"""Cutting: the weights themselves, what the modules know of their shapes, and what the config says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch_pruning as tp
from torch import nn
from transformers import PreTrainedModel

from compress.prune.choose import Kept, best_of_each_head
from compress.prune.importance import Scores
from compress.prune.parts import PrunablePart, classifier_parts, dependency_graph, group, parts
from edgepress.core.architectures.pruned import kept_heads, set_heads

FEED_FORWARD_WIDTH = ("hidden_dim", "intermediate_size")


def cut_layers(model: PreTrainedModel, part: PrunablePart, kept: Sequence[int]) -> None:
    """Leave only these layers, in place."""
    layers: Any = part.module
    for number in reversed(range(part.units)):
        if number not in kept:
            del layers[number]
    model.config.num_hidden_layers = len(kept)


def cut_units(model: PreTrainedModel, kept: Mapping[str, Kept], scores: Scores) -> None:
    """Leave only these units of every other part, in place.

    Args:
        model: its weights, modules and config are changed.
        kept: kind -> part -> units that stay.
        scores: of all parts; of attention parts also where only the hidden width is cut.
    """
    attentions = {part.name: part for part in parts(model, "heads")}
    channels = _attention_channels(model, attentions, kept, scores)
    graph = dependency_graph(model)
    for name, own in channels.items():
        _cut(graph, attentions[name], own)
    if "ffn" in kept:
        for part in parts(model, "ffn"):
            _cut(graph, part, kept["ffn"][part.name])
    if "hidden" in kept:
        _cut_hidden(model, graph, kept["hidden"])
    heads = kept.get("heads", {})
    for name in channels:
        _tell_attention(attentions[name].module, heads.get(name))
    _tell_config(model, kept)


def _attention_channels(
    model: PreTrainedModel, attentions: Mapping[str, PrunablePart], kept: Mapping[str, Kept], scores: Scores
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


def _width(hidden: Kept) -> int:
    """What is left of it: the same in all parts that are as wide as the layers."""
    return len(next(iter(hidden.values())))


def _cut_hidden(model: PreTrainedModel, graph: tp.DependencyGraph, kept: Kept) -> None:
    """The width of all layers, and of the classifier's matrices that a config has as wide."""
    for part in (*classifier_parts(model), *parts(model, "hidden")):
        _cut(graph, part, kept[part.name])


def _cut(graph: tp.DependencyGraph, part: PrunablePart, kept: Sequence[int]) -> None:
    gone = sorted(set(range(part.channels)) - set(kept))
    if not gone:
        return
    for dependency, channels in group(graph, part, gone):
        # MPNet's table of position biases has a column a head, which the graph takes for channels of one.
        if part.kind != "heads" or not isinstance(dependency.target.module, nn.Embedding):
            dependency(channels)


def _tell_attention(attention: nn.Module, heads: Sequence[int] | None) -> None:
    before = kept_heads(attention)
    set_heads(attention, before if heads is None else [before[head] for head in heads])


def _tell_config(model: PreTrainedModel, kept: Mapping[str, Kept]) -> None:
    """What a stock config can say: one width for all layers."""
    config: Any = model.config
    if "hidden" in kept:
        config.hidden_size = _width(kept["hidden"])
    widths = {part.units for part in parts(model, "ffn")} if "ffn" in kept else set()
    if len(widths) == 1:
        name = next(name for name in FEED_FORWARD_WIDTH if hasattr(config, name))
        setattr(config, name, widths.pop())
