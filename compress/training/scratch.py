"""Models that are trained from scratch: their first weights and their vocabulary."""

from itertools import chain
from pathlib import Path

from compress.training.data import TrainingText
from edgepress.core import console
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.models import FROM_SCRATCH_ONLY
from edgepress.core.tasks import Task
from edgepress.core.vocabulary import train_tokenizer


def from_scratch(name: str) -> bool:
    """Whether it is a zoo model that has no pretrained weights."""
    return name in FROM_SCRATCH_ONLY


def check_vocabulary(name: str, vocabulary: int) -> None:
    """Raise unless the model may have a vocabulary of so many entries.

    Raises:
        EdgepressError: fewer than none, or the model's own weights know another vocabulary.
    """
    if vocabulary < 0:
        raise EdgepressError("--vocabulary is out of range", "--help says what it takes")
    if vocabulary and not from_scratch(name):
        names = ", ".join(FROM_SCRATCH_ONLY)
        raise EdgepressError(
            f"{name} was trained with a vocabulary, which --vocabulary would take from it",
            f"leave it away, or name a model that is trained from scratch: {names}",
        )


def open_untrained(
    name: str, task: Task, data: Path | None, seed: int, vocabulary: int, text: TrainingText
) -> OpenedModel:
    """A model that is trained from scratch, with a vocabulary from the train split or BERT's."""
    own = None
    if vocabulary:
        own = train_tokenizer(chain.from_iterable(text.train.texts), vocabulary)
    opened = open_model(name, "random", task, data, seed, own)
    origin = "built from the train split" if own else "BERT's"
    console.step(f"vocabulary: {len(opened.tokenizer)} entries, {origin}")
    return opened
