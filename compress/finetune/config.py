"""The flags of `compress.finetune`."""

from dataclasses import dataclass

from compress.training.config import ClassifierFlags
from edgepress.models import Weights


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(ClassifierFlags):
    """Train a classifier on a task, from a pretrained encoder or from scratch. Run again to resume an
    interrupted run.

    python -m compress.finetune --model minilm --task movie_reviews

    python -m compress.finetune --model bilstm --task movie_reviews --vocabulary 10000

    accelerate launch --module compress.finetune --model minilm --task sst2
    """

    model: str
    """Zoo name (bert, distilbert, roberta, minilm, mpnet, tinybert, mobilebert, albert; bilstm,
    bilstm_attention, cnn), Hub id, or local folder."""
    task: str
    """Zoo task (movie_reviews, sst2, cola, mrpc, rte, wnli, stsb, imdb, news_aggregator,
    toxic_comments), data folder, or folder of a SQuAD."""
    weights: Weights | None = None
    """auto: local, Hub, package index, else random; pretrained: fail instead; random: from scratch;
    default: pretrained, and random for bilstm, bilstm_attention and cnn, which have no others."""
    vocabulary: int = 0
    """Entries of a vocabulary built from the train split, for bilstm, bilstm_attention and cnn; 0: BERT's."""
