"""`python -m compress.distill`."""

from compress.distill.config import DistillConfig
from edgepress import console


def _distill(config: DistillConfig) -> None:
    from compress.distill.pipeline import distill  # seconds of imports, after --help has answered

    distill(config)


if __name__ == "__main__":
    console.run(DistillConfig, _distill, "python -m compress.distill")
