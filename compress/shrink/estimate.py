"""How long a chain will take on this machine: by some batches of the model itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from compress.shrink.chain import BATCH, Chain, ChainStep
from edgepress.core.loading import OpenedModel
from edgepress.core.splits import Examples

STARTED_S = 12.0
"""What a step takes besides: a process, its imports, reading data, writing, scoring on some texts [s]."""
TIMED = 2
"""Batches after a first one, which is slower."""


@dataclass(frozen=True)
class Pace:
    """Seconds that the model takes for a text."""

    forward: float
    training: float

    def seconds(self, step: ChainStep) -> float:
        """What a step will about take [s]."""
        return STARTED_S + step.work.forward * self.forward + step.work.training * self.training


def measure_pace(opened: OpenedModel, examples: Examples) -> Pace:
    """Time the model on a batch of real texts: reading them, and a training step but for the optimizer's.

    Args:
        opened: its weights stay as they are.
        examples: texts to train on.
    """
    columns = map(list, zip(*examples.sample(BATCH).texts, strict=True))
    cut = {"truncation": True, "max_length": opened.text_length}
    batch = opened.tokenizer(*columns, padding=True, return_tensors="pt", **cut)
    model = opened.model

    def read() -> None:
        with torch.no_grad():
            model(**batch)

    def learn() -> None:
        model(**batch).logits.float().square().mean().backward()
        model.zero_grad(set_to_none=True)

    count = len(batch["input_ids"])
    return Pace(_seconds(read) / count, _seconds(learn) / count)


def _seconds(call: Callable[[], None]) -> float:
    call()
    begun = time.perf_counter()
    for _ in range(TIMED):
        call()
    return (time.perf_counter() - begun) / TIMED


def total_minutes(chain: Chain, pace: Pace, rows: int, time_budget: float) -> float:
    """Estimate the time of all steps, of scoring and of timing [min].

    Args:
        chain: what is to be done.
        pace: of the whole model.
        rows: texts to judge on.
        time_budget: of timing a file [s].
    """
    files = len(chain.candidates)
    steps = sum(pace.seconds(step) for step in chain.steps)
    return (steps + files * (rows * pace.forward + time_budget)) / 60
