"""`python -m device_bench.report`."""

from device_bench.report.config import ReportConfig
from edgepress import console


def _report(config: ReportConfig) -> None:
    from device_bench.report.pipeline import report  # imports after --help has answered

    report(config)


if __name__ == "__main__":
    console.run(ReportConfig, _report, "python -m device_bench report")
