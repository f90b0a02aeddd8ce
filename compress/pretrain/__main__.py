"""`python -m compress.pretrain`."""

from compress.pretrain.config import PretrainConfig
from edgepress import console


def _pretrain(config: PretrainConfig) -> None:
    from compress.pretrain.pipeline import pretrain  # seconds of imports, after --help has answered

    pretrain(config)


if __name__ == "__main__":
    console.run(PretrainConfig, _pretrain, "python -m compress.pretrain")
