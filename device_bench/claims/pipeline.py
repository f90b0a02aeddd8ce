"""The command as a pipeline: choose, measure, show, judge."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.table import Table

from device_bench import records
from device_bench.claims.config import ClaimsConfig
from device_bench.claims.lab import Lab
from device_bench.claims.registry import CLAIMS, Claim
from device_bench.stats import Interval
from edgepress import console
from edgepress.errors import ExpectationError, require_flags, unknown_name

HEADINGS = ("claim", "source", "published", "measured", "ours", "verdict")
MISSING = "-"


def judge_claims(config: ClaimsConfig) -> list[tuple[Claim, Interval | None]]:
    """Run the command; gives each claim with what was measured.

    Raises:
        EdgepressError: there is no such claim, or the data are not here (exit code 2).
        ExpectationError: a claim that was measured does not hold (exit code 1).
    """
    require_flags({"--sample": config.sample > 0, "--passes": config.passes > 1})
    chosen = _chosen(config)
    known = [record for path in config.records for record in records.read(path)]
    with TemporaryDirectory() as folder:
        lab = Lab(Path(folder), config.data, config.sample, config.passes, known)
        found = [(claim, claim.measure(lab)) for claim in chosen]
    console.out.print(_table(config, found))
    failed = [claim.name for claim, ours in found if claim.verdict(ours) == "does not hold"]
    if failed:
        raise ExpectationError(f"does not hold here: {', '.join(failed)}")
    return found


def _chosen(config: ClaimsConfig) -> list[Claim]:
    names = [name.strip() for name in config.only.split(",") if name.strip()] or list(CLAIMS)
    for name in names:
        if name not in CLAIMS:
            raise unknown_name("claim", name, CLAIMS)
    return [CLAIMS[name] for name in names]


def _table(config: ClaimsConfig, found: list[tuple[Claim, Interval | None]]) -> Table:
    flags = f"--sample {config.sample} --passes {config.passes}"
    table = Table(
        title="Published claims, and what is so here",
        caption=f"one row again: python -m device_bench claims --only CLAIM {flags}",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for claim, ours in found:
        command = f"python -m device_bench claims --only {claim.name} --sample {config.sample}"
        cells = (
            claim.name,
            claim.source,
            claim.figure,
            claim.what,
            _text(ours),
            claim.verdict(ours),
            command,
        )
        table.add_row(*cells)
    return table


def _text(ours: Interval | None) -> str:
    if ours is None:
        return MISSING
    if ours.low == ours.high:
        return f"{ours.value:.3g}"
    return f"{ours.value:.2f} [{ours.low:.2f}, {ours.high:.2f}]"
