"""Real sentences of a model's task: to judge by, to calibrate on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgepress.core.evaluation import EvaluationSet
from edgepress.core.loading import OpenedModel
from edgepress.core.splits import Examples, load_split
from export.core.runner import Batch
from export.core.shapes import Shapes
from export.validation.parity import parity_batches
from export.validation.validator import Sentences

# Where there is no score only agreement is judged, and fewer sentences settle that.
UNSCORED_SAMPLES = 200
SWEPT_SENTENCES = 32
ANY = Shapes()
MULTIPLE = 8
"""Lengths that stand for a task's texts are rounded up to one of this, as runtimes pad registers."""
LONG = 95
"""Percentile of the lengths that is called long."""


@dataclass(frozen=True)
class TextLengths:
    """Lengths that stand for a task's texts, multiples of 8 unless the model reads less [tokens]."""

    typical: int
    """Mean of the lengths."""
    long: int
    """95th percentile of the lengths."""

    @classmethod
    def of(cls, batches: Sequence[Batch], longest: int) -> "TextLengths":
        """Measure texts, or windows of them.

        Args:
            batches: of one text each, (1, length).
            longest: what the model reads [tokens].
        """
        counts = [batch["input_ids"].shape[1] for batch in batches]

        def rounded(value: float) -> int:
            return min(MULTIPLE * math.ceil(value / MULTIPLE), longest)

        return cls(rounded(float(np.mean(counts))), rounded(float(np.percentile(counts, LONG))))


def evaluation_sentences(
    opened: OpenedModel,
    count: int,
    seed: int,
    shapes: Shapes = ANY,
    max_length: int | None = None,
) -> Sentences:
    """Draw at most `count` sentences of the evaluation split, with labels only where the model can be scored.

    Args:
        opened: reads them.
        count: drawn at random.
        seed: which are drawn.
        shapes: what a file takes, if it does not take any.
        max_length: longer sentences are cut [tokens]; None: `OpenedModel.text_length`.

    Raises:
        EdgepressError: no source has the split.
    """
    task = opened.text_task
    wanted = count if opened.scored else min(count, UNSCORED_SAMPLES)
    examples = load_split(task, task.evaluation_split).sample(wanted, seed)
    length = min(shapes.longest or opened.longest, max_length or opened.text_length)
    return Sentences(
        batches=_batches(opened, examples, shapes, length),
        evaluation_set=EvaluationSet.of(task, examples, length),
        labels=examples.labels if opened.scored else None,
        head_trained=opened.head_trained,
        kind=opened.kind,
        metric=task.metric,
        names=opened.labels,
        places=opened.kind.places(opened.tokenizer, examples.texts, length),
        thresholds=opened.thresholds,
        dimensions=opened.kind.dimensions(opened.model.config),
    )


def sweep_batches(
    opened: OpenedModel, sentences: Sentences, seed: int, shapes: Shapes = ANY
) -> list[dict[str, np.ndarray]]:
    """Batches of 1 to 8 rows and 1 to the model's longest tokens, padded and not, as far as `shapes` goes."""
    batches = parity_batches(sentences.batches[:SWEPT_SENTENCES], shapes.longest or opened.longest, seed)
    return [shapes.fit({name: rows[: shapes.batch] for name, rows in batch.items()}) for batch in batches]


def calibration_sentences(opened: OpenedModel, count: int, seed: int, shapes: Shapes = ANY) -> list[Batch]:
    """`count` sentences of the train split, one batch of size 1 each, or several windows of a long text.

    Raises:
        EdgepressError: no source has the split.
    """
    examples = load_split(opened.text_task, "train").sample(count, seed)
    return _batches(opened, examples, shapes, min(shapes.longest or opened.longest, opened.text_length))


def _batches(opened: OpenedModel, examples: Examples, shapes: Shapes, length: int) -> list[Batch]:
    encoded = opened.kind.judging_batches(opened.tokenizer, examples.texts, length)
    return [shapes.fit(batch) for batch in encoded]
