"""The command `python -m compress.trim_vocab`."""

from compress.trim_vocab.config import TrimVocabConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(TrimVocabConfig)
