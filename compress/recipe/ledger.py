"""What is done already: the inputs of every finished run, beside the artifacts, and who is at work here."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepress.core.files import writable_folder
from edgepress.core.identity import differences
from edgepress.core.locking import alone

LOCK = ".running"
INPUTS = "inputs"


@dataclass(frozen=True)
class RunLedger:
    """One JSON file a finished run."""

    folder: Path

    def known(self, name: str) -> dict[str, Any] | None:
        """What was noted last; None if nothing or something unreadable was."""
        try:
            content = json.loads(self._path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) and isinstance(content.get(INPUTS), dict) else None

    def note(self, name: str, content: Mapping[str, Any]) -> None:
        """Write whole or not at all."""
        path = self._path(name)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(path)

    def _path(self, name: str) -> Path:
        return writable_folder(self.folder) / f"{name}.json"


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The places at which two nested mappings differ: `flags.epochs`, ..."""
    return [own.place for own in differences(before, now)]


@contextmanager
def at_work(folder: Path) -> Iterator[Path]:
    """Keep a second run of the same recipe, or a step that outlived a killed one, from writing here too.

    Gives the folder in which a step's process is `noted`.

    Raises:
        EdgepressError: somebody is at work.
    """
    mark = folder / LOCK
    busy = f"{folder}: a run of this recipe is still going on"
    with alone(mark, busy, "wait for it or end it, or name another --output"):
        yield mark
