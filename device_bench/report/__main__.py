"""`python -m device_bench report`."""

from device_bench.report.config import ReportConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(ReportConfig, "python -m device_bench report")
