"""Entry point of `python -m compress.pretrain`."""

from compress.pretrain.config import PretrainConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(PretrainConfig)
