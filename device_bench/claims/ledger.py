"""The table of claims as JSON: written claim by claim, and read again where it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_bench.claims.config import ClaimsConfig
from device_bench.claims.registry import Claim
from device_bench.stats import Interval
from edgepress import console
from edgepress.environment import environment
from edgepress.errors import EdgepressError, first_line
from edgepress.files import to_json

MACHINE_KEYS = ("cpu", "cores", "system", "versions")


class Ledger:
    """What `--output` holds and is to hold.

    Raises:
        EdgepressError: it is a file of something else.
    """

    def __init__(self, config: ClaimsConfig) -> None:
        self._config = config
        own = environment().to_dict()
        # As JSON gives it back: lists for tuples.
        self._machine = json.loads(json.dumps({key: own[key] for key in MACHINE_KEYS}))
        self._rows = _read(config.output) if config.output and config.output.exists() else {}

    def known(self, claim: Claim) -> Interval | None:
        """What the same command measured on this machine; never of what comes from records."""
        row = self._rows.get(claim.name, {})
        same = (row.get("command"), row.get("machine")) == (command(self._config, claim.name), self._machine)
        if self._config.again or claim.needs or not same or not row.get("interval"):
            return None
        console.step(f"{self._config.output} has {claim.name}: not measured again")
        return Interval(row["ours"], *row["interval"])

    def write(self, found: Sequence[tuple[Claim, Interval | None]]) -> None:
        """Put what was found so far into the file, and keep what an earlier run found behind it."""
        if self._config.output is None:
            return
        self._rows |= {claim.name: self._row(claim, ours) for claim, ours in found}
        first = [claim.name for claim, _ in found]
        names = [*first, *(name for name in self._rows if name not in first)]
        content = to_json([self._rows[name] for name in names], indent=2) + "\n"
        stage = self._config.output.with_name(self._config.output.name + ".part")
        stage.write_text(content, encoding="utf-8")
        stage.replace(self._config.output)

    def _row(self, claim: Claim, ours: Interval | None) -> dict[str, Any]:
        """A claim as the report reads it."""
        return {
            "claim": claim.name,
            "source": claim.source,
            "published": claim.figure,
            "measured_text": claim.what,
            "ours": ours.value if ours else None,
            "interval": [ours.low, ours.high] if ours else None,
            "verdict": claim.verdict(ours),
            "command": command(self._config, claim.name),
            "machine": self._machine,
        }


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return {row["claim"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EdgepressError(f"{path} is no table of claims: {first_line(error)}", "name another") from error


def command(config: ClaimsConfig, name: str) -> str:
    """What measures one claim again."""
    return f"python -m device_bench claims --only {name} --sample {config.sample} --passes {config.passes}"
