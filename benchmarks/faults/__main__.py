"""Entry point of `python -m benchmarks.faults`."""

from benchmarks.faults.config import FaultsConfig
from edgepress.core import console


def _run(config: FaultsConfig) -> None:
    from benchmarks.faults.campaign import campaign  # seconds of imports, after --help has answered

    campaign(config)


if __name__ == "__main__":
    console.run(FaultsConfig, _run, "python -m benchmarks.faults")
