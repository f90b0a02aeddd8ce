"""The flags of `compress.pretrain`."""

from dataclasses import dataclass
from typing import Annotated

from compress.training.config import StepFlags, TrainingOptions
from edgepress.core.models import PRETRAINED
from edgepress.core.option_values import described


@dataclass(frozen=True, kw_only=True)
class PretrainOptions(TrainingOptions):
    """Options of masked language modelling: the corpus, and the part of the model that learns."""

    corpus: str
    """SET/SPLIT below the data root, of a zoo task or the Hub (imdb/unsupervised, wikitext2,
    movie_reviews/train, ORG/NAME/config/train), or a file with a text a line."""
    only_head: bool = False
    """Leave the encoder and its embeddings as they are."""

    SEEN_IN_CONTENTS = TrainingOptions.SEEN_IN_CONTENTS | {"corpus"}


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(PretrainOptions, StepFlags):
    """Train a pretrained encoder as a masked language model; where it has no head over the vocabulary, it
    gets one, tied to its embeddings. Run again to resume an interrupted run.

    python -m compress.pretrain --model minilm --corpus imdb/unsupervised --only-head

    accelerate launch --module compress.pretrain --model mpnet --corpus imdb/unsupervised
    """

    SUFFIX = "masked-lm"

    model: Annotated[str, described(f"Zoo name ({', '.join(PRETRAINED)}), Hub id, or local folder.")]
