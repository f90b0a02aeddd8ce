"""`python -m device_bench run`."""

from device_bench.run.config import RunConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(RunConfig, "python -m device_bench run")
