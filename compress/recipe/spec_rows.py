"""The rows of a recipe's table: what each is of, and what was published beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compress.recipe.located import Node, need
from compress.recipe.spec_steps import SEED, StepSpec, require_name

# Figures that a paper may have published; score 0..1, parameters and size of one model, speed-up over the
# paper's own first row, retention of its score, share of its training time; gain [points].
PUBLISHED = ("score", "retention", "gain", "parameters", "size_mb", "speed_up", "time_ratio")


@dataclass(frozen=True)
class RowSpec:
    """One row of the table; several where its step is repeated over more than seeds."""

    name: str
    title: str
    step: str
    path: tuple[str, ...]
    """Where in the metrics of its last step the row's score stands; empty: its own."""
    deployed: bool
    """Whether it is of the step's file, exported, timed and scored; else of what the step noted."""
    file: str | None
    """Which file of the artifact: a file name, or eager; None: its quantized one, else its ONNX file."""
    over: str | None
    """The row that its gain is over."""
    only: dict[str, list[Any]]
    """Axis -> the values that it is of, where it is not of all."""
    fixed: tuple[str, ...]
    """The axes that it is of one value of, written as no list: they do not tell its lines apart."""
    average: str | None
    """The axis that its scores are averaged over."""
    published: dict[str, Any]
    """Figure -> value, or -> axis value -> value."""
    node: Node

    def takes(self, each: Mapping[str, Any]) -> bool:
        """Whether a run with these axis values is of this row."""
        return all(each[axis] in values for axis, values in self.only.items())

    def shown(self, each: Mapping[str, Any]) -> dict[str, Any]:
        """The axis values that tell its lines apart."""
        return {axis: value for axis, value in each.items() if axis not in (SEED, *self.fixed)}


def read_rows(node: Node, steps: Mapping[str, StepSpec]) -> tuple[dict[str, RowSpec], tuple[str, ...]]:
    """The rows, and the names of those that are left out with their step.

    Raises:
        EdgepressError: there is none, or one is wrong.
    """
    found = {name: _row(name, entry, steps) for name, entry in node.entries().items()}
    titles = [row.title for row in found.values()]
    for row in found.values():
        if titles.count(row.title) > 1:
            raise row.node.error(f"another row is called '{row.title}', too")
    kept = {name: row for name, row in found.items() if steps[row.step].wanted}
    if not kept:
        raise node.error("no rows")
    for row in kept.values():
        _check_over(row, found, kept)
    return kept, tuple(name for name in found if name not in kept)


def _check_over(row: RowSpec, found: Mapping[str, RowSpec], kept: Mapping[str, RowSpec]) -> None:
    if row.over is None:
        return
    node = row.node.at("over", row.over)
    if row.over not in found:
        raise node.unknown("row", row.over, found)
    if row.over not in kept:
        raise node.error(f"{row.over} is left out with its step", "give both steps the same 'when'")
    if found[row.over].average != row.average:
        raise node.error(f"{row.over} is not averaged alike", "give both rows the same 'average'")


def _row(name: str, node: Node, steps: Mapping[str, StepSpec]) -> RowSpec:
    require_name(name, node)
    entries = node.entries(("title", "of", "file", "over", "only", "average", "published"))
    of = need(entries, "of", node)
    step, *path = of.text().split(".")
    if step not in steps:
        raise of.unknown("step", step, steps)
    file = entries["file"].text() if "file" in entries else None
    only = entries["only"].entries() if "only" in entries else {}
    if path and file:
        raise entries["file"].error(f"{of.text()} is a figure of a step, which has no file")
    return RowSpec(
        name=name,
        title=entries["title"].text() if "title" in entries else name,
        step=step,
        path=tuple(path),
        deployed=not path,
        file=file,
        over=entries["over"].text() if "over" in entries else None,
        only={axis: _values(axis, entry, steps[step]) for axis, entry in only.items()},
        fixed=tuple(axis for axis, entry in only.items() if not isinstance(entry.value, list)),
        average=_average(entries["average"], steps[step]) if "average" in entries else None,
        published=_published(entries["published"], steps[step]) if "published" in entries else {},
        node=node,
    )


def _values(axis: str, node: Node, step: StepSpec) -> list[Any]:
    """Of one axis; those that a quick run or a --set leaves away are left away here, too."""
    if axis not in step.axes:
        raise node.unknown(f"axis of {step.name}", axis, step.axes)
    said = node.value if isinstance(node.value, list) else [node.value]
    known = [value for value in said if value in step.axes[axis]]
    if not known:
        raise node.error(f"none of these is a value of {axis}", ", ".join(map(str, step.axes[axis])))
    return known


def _average(node: Node, step: StepSpec) -> str:
    known = [axis for axis in step.axes if axis != SEED]
    if node.text() not in known:
        raise node.unknown(f"axis of {step.name}", node.text(), known)
    return node.text()


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
