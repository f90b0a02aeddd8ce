"""The flags of `compress.finetune`."""

from dataclasses import dataclass
from pathlib import Path

from edgepress.console import Command
from edgepress.models import Weights


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(Command):
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
    toxic_comments) or data folder."""
    data: Path | None = None
    """Folder of local data sets, one folder each; default: EDGEPRESS_DATA."""
    weights: Weights | None = None
    """auto: local, Hub, package index, else random; pretrained: fail instead; random: from scratch;
    default: pretrained, and random for bilstm, bilstm_attention and cnn, which have no others."""
    vocabulary: int = 0
    """Entries of a vocabulary built from the train split, for bilstm, bilstm_attention and cnn; 0: BERT's."""
    output: Path | None = None
    """Folder to write; default: outputs/MODEL-TASK."""
    overwrite: bool = False
    """Replace an existing output."""
    epochs: float | None = None
    """Passes over the train split; default: 3, and 5 from scratch."""
    batch_size: int = 32
    """Texts a step and process."""
    learning_rate: float | None = None
    """Peak of the linear schedule; default: 5e-5, and 1e-3 from scratch."""
    warmup_ratio: float = 0.06
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    """AdamW's decay."""
    max_length: int = 128
    """Longer texts are cut [tokens]."""
    train_samples: int | None = None
    """Use only this many texts of the train split, drawn at random."""
    eval_samples: int = 1000
    """Texts of the evaluation split to score on, drawn at random."""
    seed: int = 0
    """For the head's first weights, the order of texts, dropout."""
