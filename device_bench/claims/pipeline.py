"""The command as a pipeline: choose, measure, show, judge."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from device_bench import records
from device_bench.claims import table
from device_bench.claims.claim import FAILS, Claim, Finding, Judged
from device_bench.claims.config import ClaimsConfig
from device_bench.claims.context import ClaimContext
from device_bench.claims.ledger import ClaimsLedger, command
from device_bench.claims.registry import CLAIMS
from edgepress.core.errors import EdgepressError, ExpectationError, unknown_name


def run(config: ClaimsConfig) -> Judged:
    """Run the command; gives each claim with what was measured.

    Raises:
        EdgepressError: there is no such claim, the data are not here, or --judge-only has no table (exit
            code 2).
        ExpectationError: a claim does not hold on the kind of device that it was made on (exit code 1).
    """
    chosen, ledger = _chosen(config), ClaimsLedger(config)
    found = _kept(config, chosen, ledger) if config.judge_only else _measured(config, chosen, ledger)
    table.show(found, command(config, "CLAIM"))
    failed = [claim.name for claim, own in found if claim.verdict(own) == FAILS]
    if failed:
        raise ExpectationError(f"does not hold here: {', '.join(failed)}")
    return found


def _kept(config: ClaimsConfig, chosen: list[Claim], ledger: ClaimsLedger) -> Judged:
    if config.output is None or not config.output.exists():
        raise EdgepressError("--judge-only needs the table of an earlier run", "name it with --output")
    found = [(claim, ledger.kept(claim)) for claim in chosen]
    ledger.judge(found)
    return found


def _measured(config: ClaimsConfig, chosen: list[Claim], ledger: ClaimsLedger) -> Judged:
    known = [record for path in config.records for record in records.read(path)]
    found: list[tuple[Claim, Finding | None]] = []
    with TemporaryDirectory() as folder:
        context = ClaimContext(Path(folder), config.data, config.pass_samples, config.passes, records=known)
        for claim in chosen:
            ours = ledger.known(claim) or claim.measure(context)
            found.append((claim, ours))
            ledger.write(found)
    return found


def _chosen(config: ClaimsConfig) -> list[Claim]:
    names = config.only or tuple(CLAIMS)
    for name in names:
        if name not in CLAIMS:
            raise unknown_name("claim", name, CLAIMS)
    return [CLAIMS[name] for name in names]
