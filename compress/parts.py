"""Parts of a model that can be cut: attention heads, feed-forward units, hidden width, layers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import nn
from transformers import PreTrainedModel

from edgepress.core.architectures.pruned import kept_heads, query
from edgepress.core.errors import EdgepressError

# The first of two feed-forward matrices: of BERT, RoBERTa, MPNet and MobileBERT, of DistilBERT, of ALBERT.
FEED_FORWARD = ("intermediate.dense", "ffn.lin1", ".ffn")
# The same with a gate (Shazeer 2020, "GLU Variants Improve Transformer"): of ModernBERT.
GATED = (".mlp.Wi",)
# Matrices of the classifier that are as wide as the layers, as a config has it.
CLASSIFIER = ("pooler.dense", "classifier.dense", "pre_classifier")
POSITION_BIASES = "relative_attention_bias"
LAYERS = (".layer", ".layers")
# Widths that matrix kernels fill their registers with.
MULTIPLE = 8


@dataclass(frozen=True)
class PrunablePart:
    """Units that compete: heads of one attention, units of one feed-forward part, hidden width, or layers."""

    kind: str
    name: str
    """Name of the module."""
    module: nn.Module
    root: nn.Module
    """Whose output channels the units are."""
    units: int
    size: int = 1
    """Channels of a unit."""
    step: int = 1
    """A count of units is a multiple of this."""

    @property
    def channels(self) -> int:
        """Number of channels of all units."""
        return self.units * self.size


def parts(model: PreTrainedModel, kind: str) -> list[PrunablePart]:
    """The parts of one kind, in the order of the layers.

    Raises:
        EdgepressError: the model has none of the kind.
    """
    found = list(FINDERS[kind](model))
    if not found:
        raise EdgepressError(
            f"a {model.config.model_type} has nothing that --{kind} could cut", "leave it away"
        )
    return found


def _heads(model: PreTrainedModel) -> Iterator[PrunablePart]:
    for name, module in model.named_modules():
        if hasattr(module, "attention_head_size"):
            root = query(module)
            count = len(kept_heads(module))
            yield PrunablePart("heads", name, module, root, count, root.out_features // count)


def _feed_forward(model: PreTrainedModel) -> Iterator[PrunablePart]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.endswith((*FEED_FORWARD, *GATED)):
            # The second half of a gated one gates the first, unit by unit: the graph cuts both.
            units = module.out_features // (2 if name.endswith(GATED) else 1)
            step = MULTIPLE if units % MULTIPLE == 0 else 1
            yield PrunablePart("ffn", name, module, module, units, step=step)


def _hidden(model: PreTrainedModel) -> Iterator[PrunablePart]:
    """Yield nothing where token embeddings are narrower than the layers (ALBERT, MobileBERT, ELECTRA), or
    heads cannot be cut with them (ModernBERT), or relative positions are as wide (DeBERTa).
    """
    table: Any = model.get_input_embeddings()
    fixed = getattr(model.config, "relative_attention", False) or not any(_heads(model))
    if getattr(model.config, "hidden_size", None) == table.embedding_dim and not fixed:
        step = math.lcm(model.config.num_attention_heads, MULTIPLE)
        yield PrunablePart("hidden", "hidden width", table, table, table.embedding_dim, step=step)


def _layers(model: PreTrainedModel) -> Iterator[PrunablePart]:
    """Yield nothing where layers share their weights (ALBERT)."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and name.endswith(LAYERS):
            yield PrunablePart("layers", name, module, module, len(module))


FINDERS = {"heads": _heads, "ffn": _feed_forward, "hidden": _hidden, "layers": _layers}


def classifier_parts(model: PreTrainedModel) -> list[PrunablePart]:
    """The classifier's matrices that a config has as wide as the layers."""
    width = model.config.hidden_size
    return [
        PrunablePart("classifier", name, module, module, width)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.endswith(CLASSIFIER) and module.out_features == width
    ]


def dependency_graph(model: PreTrainedModel) -> tp.DependencyGraph:
    """Trace which channels have to be cut together (Fang et al. 2023, "DepGraph: Towards Any Structural
    Pruning")."""
    ids = torch.ones((1, 2), dtype=torch.long, device=model.device)
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    # MPNet adds one table of position biases, with a column a head, to the scores of all layers: through it
    # a head of one layer would hang together with all others.
    tables = [own for name, own in model.named_modules() if name.endswith(POSITION_BIASES)]
    hooks = [own.register_forward_hook(lambda _module, _inputs, biases: biases.detach()) for own in tables]
    try:
        with warnings.catch_warnings():
            # MobileBERT's norms are of no module it knows, and of no width cut here.
            warnings.simplefilter("ignore")
            return tp.DependencyGraph().build_dependency(model.eval(), example_inputs=example)
    finally:
        for hook in hooks:
            hook.remove()


def group(graph: tp.DependencyGraph, part: PrunablePart, channels: Sequence[int] | None = None) -> tp.Group:
    """Return all channels that have to be cut together with `channels` of a part.

    None stands for all channels of the part, as scoring needs them.
    """
    embedding = isinstance(part.root, nn.Embedding)
    cut = tp.prune_embedding_out_channels if embedding else tp.prune_linear_out_channels
    wanted = range(part.channels) if channels is None else channels
    return graph.get_pruning_group(part.root, cut, idxs=list(wanted))


def readers(graph: tp.DependencyGraph, part: PrunablePart) -> list[nn.Linear]:
    """The matrices that read a part's channels."""
    found = (dependency for dependency, _ in group(graph, part))
    return [own.target.module for own in found if own.handler == tp.prune_linear_in_channels]
