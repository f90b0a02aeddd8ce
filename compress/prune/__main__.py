"""`python -m compress.prune`."""

from compress.prune.config import PruneConfig
from edgepress import console


def _prune(config: PruneConfig) -> None:
    from compress.prune.pipeline import prune  # seconds of imports, after --help has answered

    prune(config)


if __name__ == "__main__":
    console.run(PruneConfig, _prune, "python -m compress.prune")
