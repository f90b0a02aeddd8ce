"""Entry point of `python -m compress.sparsify`."""

from compress.sparsify.config import SparsifyConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(SparsifyConfig)
