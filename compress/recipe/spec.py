"""What a recipe says: steps, rows of the table, what to measure, what to expect, pictures."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.recipe.located import Node, need, read
from compress.recipe.settings import SPACE, resolve
from compress.recipe.spec_rows import RowSpec, read_rows
from compress.recipe.spec_steps import StepSpec, read_steps

KEYS = ("title", "source", "about", SPACE, "quick", "steps", "table", "measure", "expect", "pictures")
PICTURES = ("size-latency", "accuracy-latency", "speed-up", "epochs", "confusion", "roc", "samples")
DEFAULT_PICTURES = ("size-latency", "epochs")


@dataclass(frozen=True)
class Measure:
    """Under which conditions the files are timed and scored."""

    sequence_length: int = 128
    threads: int = 1
    time_budget: float = 20.0
    """Most time for a file [s]."""
    eval_samples: int | None = None
    """Texts of the evaluation split to score on; None: all."""


@dataclass(frozen=True)
class Recipe:
    """A whole recipe, its settings put in."""

    name: str
    title: str
    source: str
    """Whose table it stands beside; empty for nobody's."""
    about: str
    settings: dict[str, Any]
    steps: dict[str, StepSpec]
    """Those that are left out among them."""
    rows: dict[str, RowSpec]
    left_out: tuple[str, ...]
    """The rows that are left out with their step."""
    reference: str
    """The table's first row."""
    measure: Measure
    expectations: tuple[Node, ...]
    pictures: tuple[str, ...]
    file: Path = field(repr=False)


def load(path: Path, quick: bool, said: tuple[str, ...]) -> Recipe:
    """The recipe in a file.

    Raises:
        EdgepressError: anything in it is wrong; the message names the place.
    """
    root, settings = resolve(_known(read(path)), quick, said)
    entries = root.entries()
    steps = read_steps(need(entries, "steps", root))
    rows, left_out = read_rows(need(entries, "table", root), steps)
    return Recipe(
        name=path.stem,
        title=need(entries, "title", root).text(),
        source=entries["source"].text() if "source" in entries else "",
        about=entries["about"].text() if "about" in entries else "",
        settings=settings,
        steps=steps,
        rows=rows,
        left_out=left_out,
        reference=next(iter(rows)),
        measure=_measure(entries["measure"]) if "measure" in entries else Measure(),
        expectations=tuple(entries["expect"].items()) if "expect" in entries else (),
        pictures=_pictures(entries["pictures"]) if "pictures" in entries else DEFAULT_PICTURES,
        file=path,
    )


def without_files(recipe: Recipe) -> Recipe:
    """The recipe for a machine that only trains: its rows are of what the steps noted, and those that name a
    file are left out.
    """
    rows = {name: replace(row, deployed=False) for name, row in recipe.rows.items() if row.file is None}
    named = tuple(name for name in recipe.rows if name not in rows)
    return replace(recipe, rows=rows, left_out=(*recipe.left_out, *named))


def _known(root: Node) -> Node:
    root.entries(KEYS)
    return root


def _measure(node: Node) -> Measure:
    entries = node.entries(Measure.__dataclass_fields__)
    budget = entries.pop("time_budget", None)
    if budget is not None and budget.number() <= 0:
        raise budget.error("it is above 0 s")
    counts = {name: entry.count() for name, entry in entries.items() if entry.value is not None}
    return Measure(**counts, **({"time_budget": budget.number()} if budget else {}))  # type: ignore[arg-type]


def _pictures(node: Node) -> tuple[str, ...]:
    for item in node.items():
        if item.text() not in PICTURES:
            raise item.unknown("picture", item.text(), PICTURES)
    return tuple(node.value)
