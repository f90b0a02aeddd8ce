"""`python -m device_bench compare`."""

from device_bench.compare.config import CompareConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(CompareConfig, "python -m device_bench compare")
