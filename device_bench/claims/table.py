"""The claims on the screen: two lines each, below their source."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.text import Text

from device_bench.claims.claim import FAILS, HOLDS, Claim, Finding, Judged
from edgepress.core import console
from edgepress.core.tables import flow

VERDICT_WIDTH, INDENT = 15, " " * 2
STYLES = {HOLDS: "green", FAILS: "bold red"}


def show(found: Judged, again: str) -> None:
    """Print the table to stdout.

    Args:
        found: claims in their order, with what was measured of each.
        again: the command that measures one once more.
    """
    title = Text("Published claims, and what is so here", "italic")
    lines = [title, *screen_lines(found, console.out.width), Text(f"\nagain: {again}", "dim")]
    console.out.print(Text("\n").join(lines))


def screen_lines(found: Judged, width: int) -> Iterator[Text]:
    """The lines between title and caption; at 80 columns none is longer, and no word is broken."""
    for source, group in groupby(found, lambda entry: entry[0].source):
        yield Text()
        yield from (Text(line, "bold") for line in flow(source.split(), width))
        for claim, own in group:
            yield from _two_lines(claim, own, width)


def _two_lines(claim: Claim, found: Finding | None, width: int) -> Iterator[Text]:
    """Verdict, name and what is measured; below, both figures, each with its device."""
    verdict = claim.verdict(found)
    limit = f" ({claim.limit})" if claim.limit else ""
    first, *rest = flow(f"{claim.name}: {claim.short}{limit}".split(), width - VERDICT_WIDTH)
    yield Text.assemble((verdict.ljust(VERDICT_WIDTH), STYLES.get(verdict, "")), first)
    comparison = flow(console.visible(claim.comparison(found)).split(), width - len(INDENT))
    yield from (Text(f"{INDENT}{line}") for line in (*rest, *comparison))
