"""What a recipe says: steps, rows of the table, what to measure, what to reach, pictures."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.recipe.node import Node, need, read
from compress.recipe.settings import SPACE, resolve
from compress.recipe.verbs import Verb, verbs

SEED = "seed"
RESULTS = "results"
NAME = re.compile(r"[a-z][a-z0-9_-]*", re.IGNORECASE)
KEYS = ("title", "source", "about", SPACE, "quick", "steps", "table", "measure", "reach", "pictures")
# Figures that a paper may have published; score 0..1, parameters and size of one model, speed-up over the
# paper's own first row, retention of its score.
PUBLISHED = ("score", "retention", "parameters", "size_mb", "speed_up")
PICTURES = ("size-latency", "accuracy-latency", "speed-up", "epochs")
DEFAULT_PICTURES = ("size-latency", "epochs")


@dataclass(frozen=True)
class StepSpec:
    """One step, before it is repeated over its axes."""

    name: str
    verb: Verb
    flags: Node
    axes: dict[str, list[Any]]
    """What it is repeated over: axis -> values; over `seed` figures are averaged."""
    node: Node


@dataclass(frozen=True)
class RowSpec:
    """One row of the table; several where its step is repeated over more than seeds."""

    name: str
    title: str
    step: str
    path: tuple[str, ...]
    """Where in the metrics of its last step the row's score stands; empty: of its own file, as deployed."""
    file: str | None
    """Which file of the artifact: a file name, or eager; None: its quantized one, else its ONNX file."""
    over: str | None
    """The row that its gain is over."""
    published: dict[str, Any]
    """Figure -> value, or -> axis value -> value."""
    node: Node


@dataclass(frozen=True)
class Measure:
    """Under which conditions the files are timed and scored."""

    sequence_length: int = 128
    threads: int = 1
    budget: float = 20.0
    """Most time for a file [s]."""
    eval_samples: int | None = None
    """Texts of the evaluation split to score on; None: all."""


@dataclass(frozen=True)
class Recipe:
    """A whole recipe, its settings put in."""

    name: str
    title: str
    source: str
    about: str
    settings: dict[str, Any]
    steps: dict[str, StepSpec]
    rows: dict[str, RowSpec]
    reference: str
    """The row that retention, size and speed are relative to: the table's first."""
    measure: Measure
    reach: tuple[Node, ...]
    pictures: tuple[str, ...]
    file: Path = field(repr=False)


def load(path: Path, quick: bool, said: tuple[str, ...]) -> Recipe:
    """The recipe in a file.

    Raises:
        EdgepressError: anything in it is wrong; the message names the place.
    """
    root, settings = resolve(_known(read(path)), quick, said)
    entries = root.entries()
    steps = _steps(need(entries, "steps", root))
    rows = _rows(need(entries, "table", root), steps)
    return Recipe(
        name=path.stem,
        title=need(entries, "title", root).text(),
        source=need(entries, "source", root).text(),
        about=entries["about"].text() if "about" in entries else "",
        settings=settings,
        steps=steps,
        rows=rows,
        reference=next(iter(rows)),
        measure=_measure(entries["measure"]) if "measure" in entries else Measure(),
        reach=tuple(entries["reach"].items()) if "reach" in entries else (),
        pictures=_pictures(entries["pictures"]) if "pictures" in entries else DEFAULT_PICTURES,
        file=path,
    )


def _known(root: Node) -> Node:
    root.entries(KEYS)
    return root


def _steps(node: Node) -> dict[str, StepSpec]:
    found = {name: _step(name, entry) for name, entry in node.entries().items()}
    if not found:
        raise node.error("no steps")
    return found


def _step(name: str, node: Node) -> StepSpec:
    _require_name(name, node)
    entries = node.entries(("verb", "flags", "over"))
    verb = need(entries, "verb", node)
    if verb.text() not in verbs():
        raise verb.unknown("verb", verb.text(), verbs())
    axes = entries["over"].entries() if "over" in entries else {}
    values = {axis: _axis(axis, list_) for axis, list_ in axes.items()}
    flags = entries.get("flags", node.at("flags", {}))
    flags.entries()
    return StepSpec(name, verbs()[verb.text()], flags, values, node)


def _axis(axis: str, node: Node) -> list[Any]:
    _require_name(axis, node)
    values = [item.value for item in node.items()]
    if len({str(value) for value in values}) < len(values):
        raise node.error("a value stands twice")
    return values


def _require_name(name: str, node: Node) -> None:
    if name == RESULTS:
        raise node.error(f"'{name}' is where a quick run's results go", "choose another name")
    if not NAME.fullmatch(name):
        raise node.error(f"'{name}' is no name", "letters, digits, - and _, beginning with a letter")


def _rows(node: Node, steps: dict[str, StepSpec]) -> dict[str, RowSpec]:
    found = {name: _row(name, entry, steps) for name, entry in node.entries().items()}
    if not found:
        raise node.error("no rows")
    titles = [row.title for row in found.values()]
    for row in found.values():
        if titles.count(row.title) > 1:
            raise row.node.error(f"another row is called '{row.title}', too")
        if row.over is not None and row.over not in found:
            raise row.node.at("over", row.over).unknown("row", row.over, found)
    return found


def _row(name: str, node: Node, steps: dict[str, StepSpec]) -> RowSpec:
    _require_name(name, node)
    entries = node.entries(("title", "of", "file", "over", "published"))
    of = need(entries, "of", node)
    step, *path = of.text().split(".")
    if step not in steps:
        raise of.unknown("step", step, steps)
    file = entries["file"].text() if "file" in entries else None
    if path and file:
        raise entries["file"].error(f"{of.text()} is a figure of a step, which has no file")
    return RowSpec(
        name=name,
        title=entries["title"].text() if "title" in entries else name,
        step=step,
        path=tuple(path),
        file=file,
        over=entries["over"].text() if "over" in entries else None,
        published=_published(entries["published"], steps[step]) if "published" in entries else {},
        node=node,
    )


def _published(node: Node, step: StepSpec) -> dict[str, Any]:
    known = [str(value) for axis, values in step.axes.items() if axis != SEED for value in values]
    found: dict[str, Any] = {}
    for figure, entry in node.entries(PUBLISHED).items():
        if isinstance(entry.value, dict):
            # A quick run or a --set may leave some of the values away: what is not run is not shown.
            found[figure] = {key: value.number() for key, value in entry.entries().items()}
            if not set(found[figure]) & set(known):
                raise entry.error(f"none of these is a value of an axis of {step.name}", ", ".join(known))
        else:
            found[figure] = entry.number()
    return found


def _measure(node: Node) -> Measure:
    entries = node.entries(Measure.__dataclass_fields__)
    budget = entries.pop("budget", None)
    if budget is not None and budget.number() <= 0:
        raise budget.error("a budget is above 0 s")
    counts = {name: entry.count() for name, entry in entries.items() if entry.value is not None}
    return Measure(**counts, **({"budget": budget.number()} if budget else {}))  # type: ignore[arg-type]


def _pictures(node: Node) -> tuple[str, ...]:
    for item in node.items():
        if item.text() not in PICTURES:
            raise item.unknown("picture", item.text(), PICTURES)
    return tuple(node.value)
