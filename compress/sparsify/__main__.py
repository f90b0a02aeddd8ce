"""`python -m compress.sparsify`."""

from compress.sparsify.config import SparsifyConfig
from edgepress import console


def _sparsify(config: SparsifyConfig) -> None:
    from compress.sparsify.pipeline import sparsify  # seconds of imports, after --help has answered

    sparsify(config)


if __name__ == "__main__":
    console.run(SparsifyConfig, _sparsify, "python -m compress.sparsify")
