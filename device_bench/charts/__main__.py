"""`python -m device_bench charts`."""

from device_bench.charts.config import ChartConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(ChartConfig, "python -m device_bench charts")
