"""What a model's encoder is made of, and what passes through it as it reads texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn
from transformers import PreTrainedModel

from compress.parts import FINDERS, POSITION_BIASES, dependency_graph, readers
from edgepress.core.architectures.pruned import query
from edgepress.core.errors import EdgepressError
from edgepress.core.inputs import input_names

EncodedTexts = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class AttentionNames:
    """Matrices of an attention, by their names in the model."""

    heads: int
    query: str
    key: str
    value: str
    output: str


@dataclass(frozen=True)
class EncoderLayout:
    """Names of all that has weights in an encoder, by what it does."""

    attentions: list[AttentionNames]
    feed_forward: list[tuple[str, str]]
    """First and second matrix of each layer."""
    tables: list[str]
    """Embeddings that are summed up into the first states."""
    norms: list[str]
    biases: list[str]
    """Tables of position biases, with a column a head."""

    @property
    def reading(self) -> list[str]:
        """Matrices that read the hidden states."""
        own = [name for each in self.attentions for name in (each.query, each.key, each.value)]
        return [*own, *(first for first, _ in self.feed_forward)]

    @property
    def names(self) -> set[str]:
        """All names of the layout."""
        writing = [each.output for each in self.attentions] + [second for _, second in self.feed_forward]
        return {*self.reading, *writing, *self.tables, *self.norms, *self.biases}


@dataclass(frozen=True)
class WideStates:
    """What passed through a model as it read texts; of their tokens, without padding."""

    norms: dict[str, torch.Tensor] = field(default_factory=dict)
    """Norm -> states behind it (tokens, width), the first one first."""
    summed: list[torch.Tensor] = field(default_factory=list)
    """One entry: the embeddings of each token, summed up (tokens, width)."""
    means: dict[str, torch.Tensor] = field(default_factory=dict)
    """Matrix that reads the states -> their mean (width,)."""
    moments: dict[str, torch.Tensor] = field(default_factory=dict)
    """Matrix of queries or keys, or that reads all heads -> second moments of heads (heads, size, size)."""
    squares: dict[str, torch.Tensor] = field(default_factory=dict)
    """Second feed-forward matrix -> mean square of each unit that it reads (units,)."""


def layout_of(model: PreTrainedModel) -> EncoderLayout:
    """The parts of an encoder.

    Raises:
        EdgepressError: it has others, or their states are not all of one width.
    """
    if not list(FINDERS["hidden"](model)):
        raise _unknown(model, "its states are not of one width, or turn with their positions")
    graph, encoder = dependency_graph(model), set(model.base_model.modules())
    names = {module: name for name, module in model.named_modules() if module in encoder}
    attentions = []
    for part in FINDERS["heads"](model):
        (output,) = readers(graph, part)
        inside = [own for own in part.module.children() if isinstance(own, nn.Linear) and own is not output]
        ordered = sorted(inside, key=lambda own: own is not query(part.module))  # the others keep their order
        attentions.append(AttentionNames(part.units, *(names[own] for own in (*ordered, output))))
    pairs = [(names[part.root], names[readers(graph, part)[0]]) for part in FINDERS["ffn"](model)]
    biases = [name for name in names.values() if name.endswith(POSITION_BIASES)]
    tables = [name for own, name in names.items() if isinstance(own, nn.Embedding) and name not in biases]
    norms = [name for own, name in names.items() if isinstance(own, nn.LayerNorm)]
    layout = EncoderLayout(attentions, pairs, tables, norms, biases)
    for own, name in names.items():
        if own._parameters and name not in layout.names:
            raise _unknown(model, f"nothing is known of {name}")
    return layout


def _unknown(model: PreTrainedModel, why: str) -> EdgepressError:
    return EdgepressError(
        f"a {model.config.model_type} cannot be projected: {why}", "--init random begins with new weights"
    )


def watch(model: PreTrainedModel, layout: EncoderLayout, texts: EncodedTexts) -> WideStates:
    """Let a model read texts, and keep what projecting it asks for."""
    watcher = _Watcher(texts["attention_mask"].bool())
    told: list[tuple[str, Callable[..., None]]] = [
        *((name, watcher.norm) for name in layout.norms),
        *((name, watcher.read) for name in layout.reading),
        *((second, watcher.units) for _, second in layout.feed_forward),
    ]
    for own in layout.attentions:
        told += [(name, partial(watcher.given, own.heads)) for name in (own.query, own.key)]
        told.append((own.output, partial(watcher.taken, own.heads)))
    with ExitStack() as stack:
        for name, tell in told:
            stack.callback(
                model.get_submodule(name).register_forward_hook(partial(_telling, tell, name)).remove
            )
        run(model, texts)
    return watcher.seen


def _telling(
    tell: Callable[..., None], name: str, _: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
) -> None:
    tell(name, inputs[0], output)


def run(model: PreTrainedModel, texts: EncodedTexts) -> None:
    """Let a model read texts for those who watch."""
    model(**{name: texts[name] for name in input_names(model) if name in texts})


@dataclass(frozen=True)
class _Watcher:
    """Keeps what modules are given and give, of the tokens that are no padding."""

    kept: torch.Tensor
    seen: WideStates = field(default_factory=WideStates)

    def norm(self, name: str, inputs: torch.Tensor, output: torch.Tensor) -> None:
        if not self.seen.norms:
            self.seen.summed.append(inputs[self.kept])
        self.seen.norms[name] = output[self.kept]

    def read(self, name: str, inputs: torch.Tensor, _: torch.Tensor) -> None:
        self.seen.means[name] = inputs[self.kept].mean(0)

    def units(self, name: str, inputs: torch.Tensor, _: torch.Tensor) -> None:
        self.seen.squares[name] = inputs[self.kept].square().mean(0)

    def given(self, heads: int, name: str, _: torch.Tensor, output: torch.Tensor) -> None:
        self.seen.moments[name] = self._moments(output, heads)

    def taken(self, heads: int, name: str, inputs: torch.Tensor, _: torch.Tensor) -> None:
        self.seen.moments[name] = self._moments(inputs, heads)

    def _moments(self, states: torch.Tensor, heads: int) -> torch.Tensor:
        own = states[self.kept].unflatten(-1, (heads, -1))
        return torch.einsum("thi,thj->hij", own, own) / len(own)
