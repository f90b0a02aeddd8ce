"""Record of a split that was made of a table, and the name of its task; read without heavy libraries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepress.core.errors import EdgepressError

RECORD = "split.json"
SPLITS = ("train", "validation", "test")
HELD_OUT = 0.2
"""Share of each class' texts that is held out."""


@dataclass(frozen=True)
class OwnSplit:
    """Inputs that a split is made from; the same inputs make the same split."""

    source: str
    """Name of the table's file, for messages."""
    source_sha256: str
    text_columns: tuple[str, ...]
    label_columns: tuple[str, ...]
    stratified: bool
    """Whether each class gives its share; values and several labels at once are drawn from all rows."""
    seed: int = 0
    """Seed of the split, the same for every training, so that their scores are of the same rows."""
    held_out: float = HELD_OUT
    together: tuple[str, ...] = ()
    """Columns whose equal rows stay on one side, such as the context of questions; empty: the text's."""

    @property
    def recorded(self) -> dict[str, Any]:
        """The content of split.json."""
        return {
            "source": self.source,
            "source_sha256": self.source_sha256,
            "text_columns": list(self.text_columns),
            "label_columns": list(self.label_columns),
            "stratified": self.stratified,
            "seed": self.seed,
            "held_out": self.held_out,
            **({"together": list(self.together)} if self.together else {}),
        }

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> OwnSplit:
        """Read from split.json, or from a manifest.

        Raises:
            EdgepressError: it is none.
        """
        try:
            return cls(
                source=str(content["source"]),
                source_sha256=str(content["source_sha256"]),
                text_columns=tuple(map(str, content["text_columns"])),
                label_columns=tuple(map(str, content["label_columns"])),
                stratified=bool(content["stratified"]),
                seed=int(content["seed"]),
                held_out=float(content["held_out"]),
                together=tuple(map(str, content.get("together", ()))),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EdgepressError(
                f"{RECORD} is not one of this suite: {error}", "make the split again"
            ) from error


def record_of(folder: Path) -> OwnSplit | None:
    """Read the record of a folder's split; None where it is an ordinary data folder.

    Raises:
        EdgepressError: its split.json is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgepressError(f"{path}: unreadable: {error}", "make the split again") from error
    return OwnSplit.read(content if isinstance(content, dict) else {})


def table_name(table: Path) -> str:
    """What a task of this table is called: the file's name, or its folder's where that is `train.csv`."""
    return table.resolve().parent.name if table.stem.lower() in SPLITS else table.stem


def task_name(path: Path) -> str:
    """Return the name of the task in a table or a folder; a split has the name of its table."""
    if path.is_file():
        return table_name(path)
    own = record_of(path)
    return Path(own.source).stem if own else path.resolve().name
