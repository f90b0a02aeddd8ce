"""`python -m compress.trim_vocab`."""

from compress.trim_vocab.config import TrimVocabConfig
from edgepress import console


def _trim_vocab(config: TrimVocabConfig) -> None:
    from compress.trim_vocab.pipeline import trim_vocab  # seconds of imports, after --help has answered

    trim_vocab(config)


if __name__ == "__main__":
    console.run(TrimVocabConfig, _trim_vocab, "python -m compress.trim_vocab")
