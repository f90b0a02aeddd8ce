"""Masks on matrices: which weights are zero, chosen by magnitude or by movement, and when."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel, TrainerCallback, TrainerState, TrainingArguments

from edgepress.core.errors import EdgepressError

# Matrices inside layers: BERT's and its family's, DistilBERT's, ALBERT's.
LAYER = re.compile(r"(?<![^.])(layers?|albert_layers)\.\d+\.")
OF_FOUR, KEPT_OF_FOUR = 4, 2
# Choosing takes a sort of every matrix; between two choices few ranks change.
STEPS_A_CHOICE = 10


class Mask(nn.Module):
    """A parametrization: the weight, zero where it was not chosen."""

    mask: torch.Tensor
    """(outputs, inputs), whether a weight stays."""

    def __init__(self, weight: torch.Tensor, pattern: str) -> None:
        super().__init__()
        self.pattern = pattern
        self.register_buffer("mask", torch.ones_like(weight, dtype=torch.bool))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """(outputs, inputs), masked; a masked weight has no gradient, but stays what it was."""
        return weight * self.mask

    def choose(self, weight: torch.Tensor, sparsity: float) -> None:
        """Keep the largest weights."""
        self.mask.copy_(chosen(weight.detach().abs(), sparsity, self.pattern))


class Movement(Mask):
    """The same by scores that training moves: what it moves away from zero stays (Sanh et al. 2020, "Movement
    Pruning", section 4). Scores have the gradient that the masked weight has, times the weight.
    """

    def __init__(self, weight: torch.Tensor, pattern: str) -> None:
        super().__init__(weight, pattern)
        self.scores = nn.Parameter(torch.zeros_like(weight))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the masked weight, (outputs, inputs)."""
        masked: torch.Tensor = _StraightThrough.apply(weight, self.scores, self.mask)
        return masked

    def choose(self, weight: torch.Tensor, sparsity: float) -> None:  # noqa: ARG002
        """Keep the highest scores."""
        self.mask.copy_(chosen(self.scores.detach(), sparsity, self.pattern))


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        ctx.save_for_backward(weight, mask)
        return weight * mask

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        weight, mask = ctx.saved_tensors
        return gradients[0] * mask, gradients[0] * weight, None


METHODS: dict[str, type[Mask]] = {"magnitude": Mask, "movement": Movement}


def chosen(values: torch.Tensor, sparsity: float, pattern: str) -> torch.Tensor:
    """Return a mask of the largest values, (outputs, inputs) bool."""
    fours = pattern != "any"
    rows = values.reshape(-1, OF_FOUR) if fours else values.reshape(1, -1)
    count = KEPT_OF_FOUR if fours else round(values.numel() * (1 - sparsity))
    kept = rows.topk(count).indices
    return torch.zeros_like(rows, dtype=torch.bool).scatter(1, kept, True).view_as(values)


def matrices(model: PreTrainedModel) -> list[nn.Linear]:
    """The matrices of all layers.

    Raises:
        EdgepressError: the model has no layers.
    """
    found = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and LAYER.search(f"{name}.")
    ]
    if not found:
        raise EdgepressError(f"a {model.config.model_type} has no layers whose weights could be zero")
    return found


class Sparsity(TrainerCallback):
    """Masks on a model's matrices, that become denser or sparser as asked, or by the steps of a training."""

    def __init__(
        self, model: PreTrainedModel, method: str, pattern: str, sparsity: float, cooldown: float
    ) -> None:
        """Put the masks on; nothing is zero yet.

        Raises:
            EdgepressError: the model has no layers, or matrices that do not fit the pattern.
        """
        self.sparsity, self.cooldown, self.pattern = sparsity, cooldown, pattern
        self._matrices = matrices(model)
        for width in (matrix.in_features for matrix in self._matrices):
            if pattern != "any" and width % OF_FOUR:
                raise EdgepressError(f"--pattern {pattern}: a matrix of {width} inputs has no fours")
        for matrix in self._matrices:
            mask = METHODS[method](matrix.weight, pattern)
            parametrize.register_parametrization(matrix, "weight", mask)

    def to(self, sparsity: float) -> None:
        """Choose the zeros anew for this sparsity."""
        for matrix in self._matrices:
            own: Any = matrix
            parametrized = own.parametrizations.weight
            parametrized[0].choose(parametrized.original, sparsity)

    def settle(self) -> None:
        """Leave the zeros in the weights, and take the masks off."""
        for matrix in self._matrices:
            parametrize.remove_parametrizations(matrix, "weight", leave_parametrized=True)

    def at(self, way: float) -> float:
        """Sparsity after this share of the way, 0..1: it rises fast at first, where there is much to spare
        (Zhu and Gupta 2017, "To Prune, or Not to Prune", equation 1). Of 2:4 there is no half way.
        """
        return self.sparsity * (1 - (1 - way) ** 3) if self.pattern == "any" else self.sparsity

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:  # noqa: ARG002
        """Choose every few steps, until sparsity is what it will be."""
        last = max(1, int(state.max_steps * (1 - self.cooldown)))
        if state.global_step == last or (
            state.global_step < last and state.global_step % STEPS_A_CHOICE == 0
        ):
            self.to(self.at(state.global_step / last))

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Apply the last choice, after which there is no step without a cooldown."""
        if not self.cooldown:
            self.to(self.sparsity)


def share_of_zeros(found: Iterable[nn.Linear]) -> float:
    """Return the share of zeros among all weights of some matrices, 0..1."""
    weights = [matrix.weight.detach() for matrix in found]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return zeros / sum(weight.numel() for weight in weights)
