"""Options beside a plain training: fewer steps, averaged weights, an early end, slower lower layers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from compress.training.checkpoints import AGAIN
from compress.training.config import TrainingOptions
from compress.training.machine import is_main_process, processes
from edgepress.core.architectures.depth import LAYER
from edgepress.core.errors import EdgepressError

AVERAGE = "average.bin"
"""Averaged weights of a checkpoint."""
EMBEDDINGS = "embedding"


def steps_an_epoch(config: TrainingOptions, rows: int) -> int:
    """Number of the optimizer's steps over all rows once."""
    batches = math.ceil(rows / (config.batch_size * processes()))
    return max(1, math.ceil(batches / config.gradient_accumulation))


def trained_epochs(config: TrainingOptions, rows: int) -> float:
    """Number of passes over the rows, a part of one too: what `--epochs` says, or fewer by `--max-steps`."""
    assert config.epochs is not None
    if config.max_steps is None:
        return config.epochs
    return min(config.epochs, config.max_steps / steps_an_epoch(config, rows))


def step_limit(config: TrainingOptions, rows: int) -> int:
    """Number of steps for transformers' `max_steps`; -1 where `--epochs` alone counts."""
    assert config.epochs is not None
    whole = math.ceil(config.epochs * steps_an_epoch(config, rows))
    return -1 if config.max_steps is None or config.max_steps >= whole else config.max_steps


def rate_factors(names: Iterable[str], decay: float) -> dict[str, float]:
    """Factors of the learning rate of parameters, by name: 1 above the last layer, `decay` in it, its square
    in the one below (Howard and Ruder 2018, section 3.2, "discriminative fine-tuning"), embeddings last.

    Raises:
        EdgepressError: no parameter is of a numbered layer.
    """
    names = list(names)
    layers = {name: int(found[2]) for name in names if (found := LAYER.search(name))}
    if not layers:
        raise EdgepressError("--layer-decay: the model has no numbered layers", "leave it away")
    count = max(layers.values()) + 1
    depths = {
        name: count - layers[name] if name in layers else (count + 1) * (EMBEDDINGS in name) for name in names
    }
    return {name: decay**depth for name, depth in depths.items()}


def slower_below(optimizer: torch.optim.Optimizer, model: nn.Module, decay: float) -> None:
    """Split an optimizer's groups of parameters, so that lower layers learn more slowly; in place."""
    names = {id(own): name for name, own in model.named_parameters()}
    factors = rate_factors(names.values(), decay)
    groups = []
    for group in optimizer.param_groups:
        parts: dict[float, list[nn.Parameter]] = {}
        for own in group["params"]:
            parts.setdefault(factors[names[id(own)]], []).append(own)
        groups += [
            {**group, "params": own, "lr": group["lr"] * factor} for factor, own in sorted(parts.items())
        ]
    optimizer.param_groups = groups


class AveragedWeights(TrainerCallback):
    """Exponential moving average of the weights, which a training ends with (Polyak and Juditsky 1992).

    It begins with short memory, as the weights have far to go then: after t steps the decay is at most
    (1 + t) / (10 + t), as TensorFlow has it.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._average: dict[str, torch.Tensor] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin with the weights as they are, or with those of the checkpoint that is resumed.

        Raises:
            EdgepressError: the checkpoint lacks them.
        """
        self._average = {name: own.detach().clone() for name, own in _trained(kwargs["model"]).items()}
        if state.global_step:
            path = _checkpoint(args, state) / AVERAGE
            if not path.is_file():
                raise EdgepressError(f"{path} is missing", AGAIN)
            for name, own in torch.load(path, map_location="cpu", weights_only=True).items():
                self._average[name].copy_(own)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the weights into the average."""
        decay = min(self._decay, (1 + state.global_step) / (10 + state.global_step))
        for name, own in _trained(kwargs["model"]).items():
            self._average[name].lerp_(own.detach(), 1 - decay)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep the average in the checkpoint."""
        if is_main_process():
            torch.save(self._average, _checkpoint(args, state) / AVERAGE)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put the average in the place of the weights."""
        with torch.no_grad():
            for name, own in _trained(kwargs["model"]).items():
                own.copy_(self._average[name])


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: own for name, own in model.named_parameters() if own.requires_grad}


def _checkpoint(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"


class EarlyStop(TrainerCallback):
    """Ends a training once so many evaluations in a row were not better than the best one.

    It counts in the log, which checkpoints keep: a resumed training ends where the whole one would.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look whether the last evaluations were worse than the best one."""
        name = f"eval_{args.metric_for_best_model}"
        values = [entry[name] for entry in state.log_history if name in entry]
        if not args.greater_is_better:
            values = [-value for value in values]
        if values and len(values) - 1 - values.index(max(values)) >= self._patience:
            control.should_training_stop = True


def asked_callbacks(config: TrainingOptions) -> list[TrainerCallback]:
    """The callbacks of the options that are given."""
    found: list[TrainerCallback] = []
    if config.average is not None:
        found.append(AveragedWeights(config.average))
    if config.patience is not None:
        found.append(EarlyStop(config.patience))
    return found
