"""The flags of `compress.trim_vocab`."""

from dataclasses import dataclass
from typing import ClassVar

from compress.distillation.options import CompressionConfig, DistillationOptions
from edgepress.core.errors import EdgepressError
from edgepress.core.option_values import FROM_0, Ranges


@dataclass(frozen=True, kw_only=True)
class TrimVocabOptions(DistillationOptions):
    """Options that say which tokens are kept."""

    corpus: tuple[str, ...] = ()
    """What has to be split as before, one or several: SET/SPLIT below the data root, of a zoo task or the Hub
    (imdb/unsupervised, wikitext2), or a file with a text a line; default: the train split of the task."""
    min_count: int = 1
    """Drop what all of it together needs less often than this."""
    size: int | None = None
    """Keep this many tokens at most, the most frequent ones; default: all that are needed."""
    epochs: float | None = 0.0
    """Passes over the train split after trimming, to recover. 0: none."""
    subword_dropout: float = 0.1
    """Share of the tokens that are missing, drawn anew for each thousand texts, while it recovers: their
    words come in smaller pieces, as those of dropped tokens will (MaxMatch-Dropout: Hiraoka 2022)."""

    SEEN_IN_CONTENTS = DistillationOptions.SEEN_IN_CONTENTS | {"corpus", "min_count", "size"}

    RANGES: ClassVar[Ranges] = {"epochs": FROM_0}

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        super().check()
        if self.compares_states:
            raise EdgepressError(
                "hidden states of other pieces cannot be compared token by token",
                "leave --cosine-weight, --hidden-weight and --attention-weight away",
            )


@dataclass(frozen=True, kw_only=True)
class TrimVocabConfig(TrimVocabOptions, CompressionConfig):
    """Drop the tokens that a corpus never needs, and their rows of the embedding table: a third of
    DistilBERT's weights, half of MiniLM's. Texts of the corpus are split as before. With --epochs the model
    learns to read words in smaller pieces, taught by itself as it was. Run again to resume an interrupted
    run.

    python -m compress.trim_vocab --model outputs/minilm-sst2

    python -m compress.trim_vocab --model outputs/minilm-sst2 --corpus wikitext2 --min-count 3

    python -m compress.trim_vocab --model outputs/xlm-roberta-tickets --corpus english.txt german.txt

    python -m compress.trim_vocab --model outputs/minilm-sst2 --epochs 1 --label-weight 0 --response-weight 1
    """

    SUFFIX = "trimmed"
