"""`python -m device_bench claims`."""

from device_bench.claims.config import ClaimsConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(ClaimsConfig, "python -m device_bench claims")
