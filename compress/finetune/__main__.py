"""`python -m compress.finetune`."""

from compress.finetune.config import FinetuneConfig
from edgepress import console


def _finetune(config: FinetuneConfig) -> None:
    from compress.finetune.pipeline import finetune  # seconds of imports, after --help has answered

    finetune(config)


if __name__ == "__main__":
    console.run(FinetuneConfig, _finetune, "python -m compress.finetune")
