"""The flags of `device_bench.compare`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from edgepress.console import Command


@dataclass(frozen=True, kw_only=True)
class CompareConfig(Command):
    """Say which figures changed beyond their intervals; exit code 1 where one became worse.

    python -m device_bench compare before.jsonl after.jsonl --threshold 0.05
    """

    before: tyro.conf.Positional[Path]
    """JSON lines of records, the older ones."""
    after: tyro.conf.Positional[Path]
    """The newer ones."""
    threshold: float = 0.0
    """Share by which a figure has to change besides, 0.05 for 5 %."""
