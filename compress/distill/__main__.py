"""`python -m compress.distill`."""

from compress.distill.config import DistillConfig
from edgepress import console


def _distill(config: DistillConfig) -> None:
    # Seconds of imports, after --help has answered.
    if config.stage == "pretrain":
        from compress.distill.pretraining import distill
    else:
        from compress.distill.pipeline import distill

    distill(config)


if __name__ == "__main__":
    console.run(DistillConfig, _distill, "python -m compress.distill")
