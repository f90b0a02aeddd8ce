"""`python -m device_bench.chart`."""

from device_bench.chart.config import ChartConfig
from edgepress import console


def _chart(config: ChartConfig) -> None:
    from device_bench.chart.pipeline import chart  # imports after --help has answered

    chart(config)


if __name__ == "__main__":
    console.run(ChartConfig, _chart, "python -m device_bench charts")
