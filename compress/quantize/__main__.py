"""`python -m compress.quantize`."""

from compress.quantize.config import QuantizeConfig
from edgepress import console


def _quantize(config: QuantizeConfig) -> None:
    from compress.quantize.pipeline import quantize  # seconds of imports, after --help has answered

    quantize(config)


if __name__ == "__main__":
    console.run(QuantizeConfig, _quantize, "python -m compress.quantize")
