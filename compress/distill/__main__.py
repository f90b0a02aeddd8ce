"""Entry point of `python -m compress.distill`."""

from compress.distill.config import DistillConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(DistillConfig)
