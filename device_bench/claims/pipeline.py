"""The command as a pipeline: choose, measure, show, judge."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.table import Table

from device_bench import records
from device_bench.claims.config import ClaimsConfig
from device_bench.claims.lab import Lab
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
    require_flags({"--sample": config.sample > 0, "--passes": config.passes > 1})
    chosen = _chosen(config)
    known = [record for path in config.records for record in records.read(path)]
    with TemporaryDirectory() as folder:
        lab = Lab(Path(folder), config.data, config.sample, config.passes, known)
        found = [(claim, claim.measure(lab)) for claim in chosen]
    console.out.print(_table(config, found))
    if config.output is not None:
        rows = [_row(config, claim, ours) for claim, ours in found]
        config.output.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
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


def _row(config: ClaimsConfig, claim: Claim, ours: Interval | None) -> dict[str, object]:
    """A claim as the report reads it."""
    return {
        "claim": claim.name,
        "source": claim.source,
        "published": claim.figure,
        "measured_text": claim.what,
        "ours": ours.value if ours else None,
        "interval": [ours.low, ours.high] if ours else None,
        "verdict": claim.verdict(ours),
        "command": _command(config, claim.name),
    }


def _command(config: ClaimsConfig, name: str) -> str:
    return f"python -m device_bench claims --only {name} --sample {config.sample} --passes {config.passes}"


def _table(config: ClaimsConfig, found: list[tuple[Claim, Interval | None]]) -> Table:
    table = Table(
        title="Published claims, and what is so here",
        caption=f"one row again: {_command(config, 'CLAIM')}",
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
