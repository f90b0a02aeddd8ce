"""The flags of `device_bench.report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgepress.core.console import Command
from edgepress.core.flags import Overwrite


@dataclass(frozen=True, kw_only=True)
class ReportConfig(Command):
    """Write records as one HTML page that needs no other file.

    python -m device_bench report --records measurements.jsonl --artifacts outputs/minilm-sst2-int8
    """

    records: tuple[Path, ...]
    """JSON-lines files of records."""
    artifacts: tuple[Path, ...] = ()
    """Folders of the artifacts that were measured; those in which records lie are found."""
    claims: Path | None = None
    """JSON that `python -m device_bench claims` wrote."""
    baseline: str | None = None
    """File that speed-ups are over, by its name in the records; default: the one that the oldest measurement
    of the machine and task was told first."""
    max_drop: float = 1.0
    """Largest loss of the file to ship against the baseline [points of the metric]."""
    minimize: Literal["latency", "size"] = "latency"
    """Quantity that decides which file within --max-drop is the one to ship."""
    output: Path = Path("report.html")
    """File to write the page into."""
    overwrite: Overwrite = False
