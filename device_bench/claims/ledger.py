"""The table of claims as JSON: written claim by claim, and read again where it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_bench.claims.claim import Claim, Device, Finding, Judged
from device_bench.claims.config import ClaimsConfig
from device_bench.stats import Interval
from edgepress.core import console
from edgepress.core.environment import environment
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.files import to_json

MACHINE_KEYS = ("cpu", "cores", "system", "versions")


class ClaimsLedger:
    """Findings in the file that `--output` names, and those that are to be written there.

    Raises:
        EdgepressError: the file holds something else.
    """

    def __init__(self, config: ClaimsConfig) -> None:
        self._config = config
        own = environment().to_dict()
        # As JSON gives it back: lists for tuples.
        self._machine = json.loads(json.dumps({key: own[key] for key in MACHINE_KEYS}))
        self._rows = _read(config.output) if config.output and config.output.exists() else {}

    def known(self, claim: Claim) -> Finding | None:
        """Return what the same command found on this machine; None where it has to be measured.

        Claims whose figures come from records are never taken from the file.
        """
        row = self._rows.get(claim.name, {})
        same = (row.get("command"), row.get("machine")) == (command(self._config, claim.name), self._machine)
        if self._config.measure_again or claim.needs or not same or not row.get("interval"):
            return None
        console.step(f"{self._config.output} has {claim.name}: not measured again")
        return self._finding(row)

    def kept(self, claim: Claim) -> Finding | None:
        """Return the finding that the file has for a claim, whichever command and machine it is from.

        None where there is none. Rows of claims with `needs` from before devices were kept name neither the
        phone nor the measure: they give None too, and stay in the file as they are.
        """
        row = self._rows.get(claim.name, {})
        readable = row.get("interval") and (row.get("measured_on") or not claim.needs)
        return self._finding(row) if readable else None

    def judge(self, found: Judged) -> None:
        """Write the verdicts on what is kept anew; the figures, their commands and machines stay."""
        for claim, own in found:
            row: dict[str, Any] = self._rows.get(claim.name, {})
            if own or (row and not row.get("interval")):
                self._rows[claim.name] = {**row, **claim.record(own)}
        self._save(list(self._rows))

    def write(self, found: Judged) -> None:
        """Put what was found so far into the file, and keep what an earlier run found behind it."""
        if self._config.output is None:
            return
        self._rows |= {claim.name: self._row(claim, own) for claim, own in found}
        first = [claim.name for claim, _ in found]
        names = [*first, *(name for name in self._rows if name not in first)]
        self._save(names)

    def _save(self, names: Sequence[str]) -> None:
        target = self._config.output
        assert target is not None
        content = to_json([self._rows[name] for name in names], indent=2) + "\n"
        stage = target.with_name(target.name + ".part")
        stage.write_text(content, encoding="utf-8")
        stage.replace(target)

    def _row(self, claim: Claim, found: Finding | None) -> dict[str, Any]:
        """A claim as the report reads it."""
        own = {"command": command(self._config, claim.name), "machine": self._machine}
        return {**claim.record(found), **own}

    def _finding(self, row: dict[str, Any]) -> Finding:
        """Read a finding from the table; rows without a device were measured on the CPU."""
        try:
            device = row.get("measured_on") or {"kind": "cpu", "name": row["machine"]["cpu"]}
            ours = Interval(*map(float, (row["ours"], *row["interval"])))
            return Finding(ours, Device(**device), str(row.get("part", "")))
        except (TypeError, ValueError, KeyError) as error:
            message = f"{self._config.output}: {row.get('claim')}: no figures: {first_line(error)}"
            raise EdgepressError(message, "--measure-again measures it again") from error


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return {row["claim"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EdgepressError(f"{path} is no table of claims: {first_line(error)}", "name another") from error


def command(config: ClaimsConfig, name: str) -> str:
    """Return the command that measures one claim again."""
    size = f"--pass-samples {config.pass_samples} --passes {config.passes}"
    return f"python -m device_bench claims --only {name} {size}"
