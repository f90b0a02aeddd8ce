"""The flags of `device_bench.compare`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from edgepress.core.console import Command

# Width of the band that a file's peak memory keeps to from start to start (heap layout, thread stacks, page
# cache of shared libraries): results/device_bench/goals.json, "largest difference of launches".
MEMORY_NOISE = 0.16


@dataclass(frozen=True, kw_only=True)
class CompareConfig(Command):
    """Say which figures changed by more than chance; exit code 1 where one became worse or is missing.

    python -m device_bench compare before.jsonl after.jsonl --threshold 0.05

    python -m device_bench compare before.jsonl after.jsonl --ratios --threshold 0.1 --max-drop 1

    A file or shape that only the newer measurement has is told. One that only the older has was not
    measured again, which is no proof that it did not become worse; --allow-missing tells that as well.
    """

    before: tyro.conf.Positional[Path]
    """JSON lines of records, the older ones."""
    after: tyro.conf.Positional[Path]
    """JSON lines of records, the newer ones."""
    threshold: float = 0.0
    """Share by which a time, a speed-up, memory or a size has to change besides, 0.05 for 5 %."""
    max_drop: float = 0.0
    """Points that a score may lose besides: beyond its interval and this it is worse."""
    memory_noise: float = MEMORY_NOISE
    """Share by which peak memory differs between two starts of the same file; a record has few of them."""
    ratios: bool = False
    """Compare speed-ups over the baseline within each measurement, sizes and scores, in place of times and
    memory: for measurements of two machines, as hosted CI has them."""
    baseline: str | None = None
    """File that speed-ups are over with --ratios, by its name in the records; default: the first that each
    measurement was told."""
    allow_missing: bool = False
    """Only tell what the newer measurement lacks: for a part of the older one's files, shapes or scores."""
