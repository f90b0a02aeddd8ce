"""Blocks of README and docs that are made from what results/ keeps, each between two markers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.goals import ROOT

ENDS = "<!-- end of table -->"


def pages() -> list[Path]:
    """List the pages that may have blocks."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A table, or pictures."""

    kind: Literal["table", "pictures"]
    command: str
    """The module that measures, or draws, what it shows."""
    markdown: Callable[[], str]
    """Makes it from what results/ keeps."""

    @property
    def begins(self) -> str:
        """The marker before it."""
        return f"<!-- {self.kind}: {self.command} -->"

    @property
    def page(self) -> Path:
        """The one page in which it has its place."""
        (found,) = (page for page in pages() if self.begins in page.read_text(encoding="utf-8"))
        return found

    def shown(self) -> str:
        """Return the text of the block as its page has it now."""
        return self._parts()[1].strip()

    def update(self, content: str | None = None) -> None:
        """Put it into its page: what results/ hold, or other content."""
        own = self.markdown() if content is None else content
        before, _, after = self._parts()
        self.page.write_text(f"{before}{self.begins}\n{own.strip()}\n{ENDS}{after}", encoding="utf-8")

    def _parts(self) -> tuple[str, str, str]:
        """The page: before the block, within its markers, behind it."""
        before, _, rest = self.page.read_text(encoding="utf-8").partition(self.begins)
        own, _, after = rest.partition(ENDS)
        return before, own, after
