"""The flags of `device_bench.charts`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgepress.core.console import Command
from edgepress.core.flags import Overwrite


@dataclass(frozen=True, kw_only=True)
class ChartConfig(Command):
    """Draw records: size, latency, accuracy, speed-up, cold start, memory; each machine and task for itself.

    python -m device_bench charts --records measurements.jsonl --output charts
    """

    records: tuple[Path, ...]
    """JSON-lines files of records."""
    baseline: str | None = None
    """File that speed-ups are over, by its name in the records; default: the one that the oldest measurement
    of the machine and task was told first."""
    output: Path = Path("charts")
    """Folder to write pictures into."""
    theme: Literal["light", "dark", "both"] = "both"
    """Pages that charts are drawn for: light ones, dark ones or both."""
    svg: bool = False
    """Write SVG besides PNG."""
    overwrite: Overwrite = False
