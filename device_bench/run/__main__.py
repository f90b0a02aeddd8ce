"""`python -m device_bench run`."""

from device_bench.run.config import RunConfig
from edgepress import console


def _run(config: RunConfig) -> None:
    from device_bench.run.pipeline import run  # imports that --help does not need

    run(config)


if __name__ == "__main__":
    console.run(RunConfig, _run, "python -m device_bench run")
