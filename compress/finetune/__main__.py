"""Entry point of `python -m compress.finetune`."""

from compress.finetune.config import FinetuneConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(FinetuneConfig)
