"""The flags of `python -m export.litert`, and the lengths of a file's signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgepress.core.errors import EdgepressError
from edgepress.core.option_values import require_numbers
from export.core.config import ExportConfig
from export.core.shapes import Shapes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHORTEST = 16  # [tokens]
STEP = 8  # Lengths of signatures are multiples of it [tokens].
MOST_SIGNATURES = 5
WORTH = 0.02
"""Share of the mean padded length that one more signature has to save: it costs a MiniLM a megabyte."""


@dataclass(frozen=True, kw_only=True)
class LiteRtConfig(ExportConfig):
    """Write a model as a LiteRT file, and compare the file with the model before it is kept.

    python -m export.litert --model outputs/minilm-movie_reviews --scheme fp32 int8
    """

    signatures: tuple[int, ...] = ()
    """Lengths that the file has a signature for [tokens]: a text is padded to the next. Default: those that
    pad the texts of the task's evaluation split least, up to the length that the model is scored at, or 512
    where no text is longer."""

    @property
    def shapes(self) -> Shapes:
        """Shapes of the inputs that the file takes; the runner pads to a signature."""
        shapes = super().shapes
        return replace(shapes, most=max(self.signatures)) if self.signatures else shapes


def check(config: LiteRtConfig) -> None:
    """Raise for flags that are out of range or contradict each other."""
    require_numbers(type(config), vars(config))
    others = {"--sequence-length": config.sequence_length, "--max-length": config.max_length}
    for flag, value in others.items():
        if config.signatures and value:
            raise EdgepressError(f"--signatures and {flag} exclude each other", "name one of them")


def usual_lengths(model: PreTrainedModel, most: int | None = None) -> tuple[int, ...]:
    """Powers of two up to the model's longest input, or to `most`, where there are no texts to ask."""
    from edgepress.core.inputs import longest_input

    longest = min(longest_input(model), most or longest_input(model))
    powers = [SHORTEST * 2**power for power in range(longest.bit_length())]
    return (*(length for length in powers if length < longest), longest)


def best_lengths(texts: Sequence[int], longest: int) -> tuple[int, ...]:
    """Lengths of signatures that pad texts least, the longest among them, at most `MOST_SIGNATURES`.

    Time grows evenly with the padded length, so what pads least is fastest. One more signature that saves
    less than `WORTH` of the mean length is left out.

    Args:
        texts: lengths of the texts [tokens].
        longest: length that texts are cut to [tokens].
    """
    steps = [*range(STEP, longest, STEP), longest]
    sorted_texts = np.sort(np.minimum(texts, longest))
    below = np.searchsorted(sorted_texts, steps, side="right")  # texts that each of them takes
    best: dict[int, tuple[float, tuple[int, ...]]] = {
        at: (float(below[at] * steps[at]), (steps[at],)) for at in range(len(steps))
    }
    chosen = best[len(steps) - 1]
    for _ in range(MOST_SIGNATURES - 1):
        best = {
            at: min(
                (cost + float(below[at] - below[last]) * steps[at], (*own, steps[at]))
                for last, (cost, own) in best.items()
                if last < at
            )
            for at in range(1 + min(best), len(steps))
        }
        found = best.get(len(steps) - 1, chosen)
        if found[0] > (1 - WORTH) * chosen[0]:
            break
        chosen = found
    return chosen[1]
