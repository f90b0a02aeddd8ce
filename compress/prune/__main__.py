"""Entry point of `python -m compress.prune`."""

from compress.prune.config import PruneConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(PruneConfig)
