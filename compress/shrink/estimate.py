"""Estimated duration of a chain on this machine, from some batches of the model and a started process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from compress.shrink.chain import BATCH, ChainStep
from edgepress.core.loading import OpenedModel
from edgepress.core.outputs import model_logits
from edgepress.core.splits import Examples

STEP_LAUNCHES, FILE_LAUNCHES = 60, 25
"""How many times as long as starting a runtime a step takes (a process, reading data, exporting, comparing,
timing for its table), and a file at the end (its launches beside --time-budget): MiniLM on two cores of a
shared machine, where a start takes 0.8 s."""
READINGS = 3
"""How often a step reads the texts to judge on: in torch, unquantized, and as it is."""
TIMED = 2
"""Batches after a first one, which is slower."""


@dataclass(frozen=True)
class Pace:
    """Seconds that the model takes for a text, and a runtime to start."""

    forward: float
    training: float
    launch: float

    def seconds(self, step: ChainStep, texts: int) -> float:
        """Estimate the duration of a step [s].

        Args:
            step: of the chain.
            texts: number of texts that its model is judged on.
        """
        read = step.work.forward + READINGS * texts
        return STEP_LAUNCHES * self.launch + read * self.forward + step.work.training * self.training

    def last_seconds(self, files: int, unscored: int, texts: int, time_budget: float) -> float:
        """Estimate the duration of scoring and timing all files at the end [s].

        Args:
            files: number of those that are timed.
            unscored: number of those that are still to be scored.
            texts: number of texts that each is scored on.
            time_budget: time budget for timing one file [s].
        """
        timing = files * (FILE_LAUNCHES * self.launch + time_budget)
        return timing + unscored * texts * self.forward


def measure_pace(opened: OpenedModel, examples: Examples) -> Pace:
    """Time the model on a batch of real texts (reading them, and a training step but for the optimizer's) and
    the start of a runtime.

    Args:
        opened: its weights stay as they are.
        examples: texts to train on.
    """
    columns = [list(own) for own in zip(*examples.sample(BATCH).texts, strict=True)][: opened.texts_a_row]
    cut = {"truncation": True, "max_length": opened.text_length}
    batch = opened.tokenizer(*columns, padding=True, return_tensors="pt", **cut)
    model = opened.model

    def read() -> None:
        with torch.no_grad():
            model(**batch)

    def learn() -> None:
        model_logits(model(**batch)).float().square().mean().backward()
        model.zero_grad(set_to_none=True)

    count = len(batch["input_ids"])
    return Pace(_seconds(read) / count, _seconds(learn) / count, _seconds(_launch))


def _launch() -> None:
    subprocess.run([sys.executable, "-c", "import onnxruntime"], check=True)


def _seconds(call: Callable[[], None]) -> float:
    call()
    begun = time.perf_counter()
    for _ in range(TIMED):
        call()
    return (time.perf_counter() - begun) / TIMED


def minutes_left(planned: Mapping[str, float], taken: Mapping[str, float], last: float) -> float:
    """Estimate the time that is left [min].

    Remaining steps are assumed to exceed their plan by the same factor as those that are done.

    Args:
        planned: step -> its estimated duration [s].
        taken: step -> its duration, of those that are done [s].
        last: estimated duration of scoring and timing all files, which is not scaled [s].
    """
    done = sum(seconds for name, seconds in planned.items() if name in taken)
    ratio = sum(taken.values()) / done if done else 1.0
    rest = sum(seconds for name, seconds in planned.items() if name not in taken)
    return (ratio * rest + last) / 60
