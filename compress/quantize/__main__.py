"""Entry point of `python -m compress.quantize`."""

from compress.quantize.config import QuantizeConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(QuantizeConfig)
