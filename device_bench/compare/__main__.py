"""`python -m device_bench.compare`."""

from device_bench.compare.config import CompareConfig
from edgepress import console


def _compare(config: CompareConfig) -> None:
    from device_bench.compare.pipeline import compare  # imports after --help has answered

    compare(config)


if __name__ == "__main__":
    console.run(CompareConfig, _compare, "python -m device_bench compare")
