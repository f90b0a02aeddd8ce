"""The command as a pipeline: choose, measure, show, judge."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.table import Table

from device_bench import records
from device_bench.claims.config import ClaimsConfig
from device_bench.claims.lab import Lab
from device_bench.claims.ledger import Ledger, command
from device_bench.claims.registry import CLAIMS, FAILS, Claim
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
    require_flags({"--sample": config.sample > 1, "--passes": config.passes > 0})
    chosen, ledger = _chosen(config), Ledger(config)
    known = [record for path in config.records for record in records.read(path)]
    found = []
    with TemporaryDirectory() as folder:
        lab = Lab(Path(folder), config.data, config.sample, config.passes, records=known)
        for claim in chosen:
            ours = ledger.known(claim) or claim.measure(lab)
            found.append((claim, ours))
            ledger.write(found)
    console.out.print(_table(config, found))
    failed = [claim.name for claim, ours in found if claim.verdict(ours) == FAILS]
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
    table = Table(
        title="Published claims, and what is so here",
        caption=f"one row again: {command(config, 'CLAIM')}",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for claim, ours in found:
        cells = (claim.name, claim.source, claim.figure, claim.what, _text(ours), claim.verdict(ours))
        table.add_row(*cells)
    return table


def _text(ours: Interval | None) -> str:
    if ours is None:
        return MISSING
    if ours.low == ours.high:
        return f"{ours.value:.3g}"
    return f"{ours.value:.2f} [{ours.low:.2f}, {ours.high:.2f}]"
