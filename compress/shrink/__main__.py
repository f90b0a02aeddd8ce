"""Entry point of `python -m compress.shrink`."""

from compress.shrink.config import ShrinkConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(ShrinkConfig)
