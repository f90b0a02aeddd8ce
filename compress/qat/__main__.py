"""Entry point of `python -m compress.qat`."""

from compress.qat.config import QatConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(QatConfig)
