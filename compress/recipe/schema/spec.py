"""Content of a recipe: steps, rows of the table, measurements, expectations, pictures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.recipe.schema.located import YamlNode, need, read
from compress.recipe.schema.settings import QUICK, SPACE, resolve
from compress.recipe.schema.verbs import Verb, commands, verbs

SEED = "seed"
RESULTS = "results"
NAME = re.compile(r"[a-z][a-z0-9_-]*", re.IGNORECASE)
BASE = "base"
KEYS = (BASE, "title", "source", "about", SPACE, QUICK, "steps", "table", "measure", "expect", "pictures")
PICTURES = ("size-latency", "accuracy-latency", "speed-up", "epochs", "confusion", "labels", "roc", "samples")
DEFAULT_PICTURES = ("size-latency", "epochs")
# Figures that a paper may have published; score 0..1, parameters and size of one model, speed-up over the
# paper's own first row, retention of its score, share of its training time; gain [points].
PUBLISHED = ("score", "retention", "gain", "parameters", "size_mb", "speed_up", "time_ratio")


@dataclass(frozen=True)
class StepSpec:
    """A step, before it is repeated over its axes."""

    name: str
    verb: Verb
    flags: YamlNode
    axes: dict[str, list[Any]]
    """What it is repeated over: axis -> values; over `seed` figures are averaged."""
    choices: dict[str, dict[str, YamlNode]]
    """Axis -> name -> flags, for an axis whose values are names of flags."""
    wanted: bool
    """Whether its `when` has a value, if it has a `when`."""
    node: YamlNode

    @property
    def every_flag(self) -> list[YamlNode]:
        """Flags at all values of the axes."""
        named = [flags for choice in self.choices.values() for flags in choice.values()]
        return [flag for flags in (self.flags, *named) for flag in flags.entries().values()]

    def flags_at(self, each: Mapping[str, Any]) -> dict[str, YamlNode]:
        """The flags at one combination of axis values; those that an axis names come on top."""
        named = [choice[each[axis]] for axis, choice in self.choices.items()]
        return {name: flag for flags in (self.flags, *named) for name, flag in flags.entries().items()}


def read_steps(node: YamlNode) -> dict[str, StepSpec]:
    """Read all steps, including those that are left out.

    Raises:
        EdgepressError: there is none, or one is wrong.
    """
    found: dict[str, StepSpec] = {}
    for name, entry in node.entries().items():
        found[name] = _step(name, entry, found)
    if not any(step.wanted for step in found.values()):
        raise node.error("no steps")
    return found


def _step(name: str, node: YamlNode, before: Mapping[str, StepSpec]) -> StepSpec:
    require_name(name, node)
    entries = node.entries(("verb", "flags", "over", "when"))
    verb = need(entries, "verb", node)
    if verb.text() not in verbs():
        if verb.text() in commands():
            raise verb.error(f"{verb.text()} makes no artifact", f"name one that does: {', '.join(verbs())}")
        raise verb.unknown("verb", verb.text(), verbs())
    over = entries["over"].entries() if "over" in entries else {}
    return StepSpec(
        name=name,
        verb=verbs()[verb.text()],
        flags=entries.get("flags", node.at("flags", {})),
        axes={axis: _axis(axis, values, before) for axis, values in over.items()},
        choices={axis: values.entries() for axis, values in over.items() if isinstance(values.value, dict)},
        wanted=bool(entries["when"].value) if "when" in entries else True,
        node=node,
    )


def _axis(axis: str, node: YamlNode, before: Mapping[str, StepSpec]) -> list[Any]:
    """The values: listed, the names of flags, or those that the axis has in an earlier step."""
    require_name(axis, node)
    if isinstance(node.value, dict) and node.value:
        return list(node.entries())
    if isinstance(node.value, str):
        known = [step.name for step in before.values() if axis in step.axes]
        if node.value not in known:
            raise node.unknown(f"earlier step with the axis {axis}", node.value, known)
        return before[node.value].axes[axis]
    values = [item.value for item in node.items()]
    if len({str(value) for value in values}) < len(values):
        raise node.error("a value stands twice")
    return values


def require_name(name: str, node: YamlNode) -> None:
    """Raise for what cannot name a folder.

    Raises:
        EdgepressError: it is no name, or one that is taken.
    """
    if name == RESULTS:
        raise node.error(f"'{name}' is where a quick run's results go", "choose another name")
    if not NAME.fullmatch(name):
        raise node.error(f"'{name}' is no name", "letters, digits, - and _, beginning with a letter")


@dataclass(frozen=True)
class RowSpec:
    """A row of the table; it has several lines where its step is repeated over more than seeds."""

    name: str
    title: str
    step: str
    path: tuple[str, ...]
    """Path to the row's score in the metrics of its last step; empty: the step's own score."""
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
    node: YamlNode

    def takes(self, each: Mapping[str, Any]) -> bool:
        """Whether a run with these axis values is of this row."""
        return all(each[axis] in values for axis, values in self.only.items())

    def shown(self, each: Mapping[str, Any]) -> dict[str, Any]:
        """The axis values that tell its lines apart."""
        return {axis: value for axis, value in each.items() if axis not in (SEED, *self.fixed)}


def read_rows(node: YamlNode, steps: Mapping[str, StepSpec]) -> tuple[dict[str, RowSpec], tuple[str, ...]]:
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


def _row(name: str, node: YamlNode, steps: Mapping[str, StepSpec]) -> RowSpec:
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


def _values(axis: str, node: YamlNode, step: StepSpec) -> list[Any]:
    """Read values of an axis, without those that a quick run or a --set leaves out."""
    if axis not in step.axes:
        raise node.unknown(f"axis of {step.name}", axis, step.axes)
    said = node.value if isinstance(node.value, list) else [node.value]
    known = [value for value in said if value in step.axes[axis]]
    if not known:
        raise node.error(f"none of these is a value of {axis}", ", ".join(map(str, step.axes[axis])))
    return known


def _average(node: YamlNode, step: StepSpec) -> str:
    known = [axis for axis in step.axes if axis != SEED]
    if node.text() not in known:
        raise node.unknown(f"axis of {step.name}", node.text(), known)
    return node.text()


def _published(node: YamlNode, step: StepSpec) -> dict[str, Any]:
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


@dataclass(frozen=True)
class Measure:
    """Conditions under which the files are timed and scored."""

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
    """All steps, including those that are left out."""
    rows: dict[str, RowSpec]
    left_out: tuple[str, ...]
    """The rows that are left out with their step."""
    reference: str
    """The table's first row."""
    measure: Measure
    expectations: tuple[YamlNode, ...]
    pictures: tuple[str, ...]
    file: Path = field(repr=False)


def load(path: Path, quick: bool, said: tuple[str, ...]) -> Recipe:
    """The recipe in a file.

    Raises:
        EdgepressError: anything in it is wrong; the message names the place.
    """
    whole = _on_base(read(path), path)
    root, settings = resolve(whole, quick, said)
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


def _on_base(own: YamlNode, path: Path) -> YamlNode:
    """A recipe that names a base: the base's keys, but for those that it has itself; its settings, and their
    quick values, one by one. A key without a value takes the base's away.

    Raises:
        EdgepressError: the base is no recipe, or has a base of its own.
    """
    entries = own.entries(KEYS)
    if BASE not in entries:
        return own
    below = read(path.parent / entries[BASE].text())
    if BASE in below.entries(KEYS):
        raise entries[BASE].error("it has a base itself", "name that one")
    joined = {key: node.value for key, node in {**below.entries(), **entries}.items() if key != BASE}
    for key in (SPACE, QUICK):
        parts = [whole.entries().get(key) for whole in (below, own)]
        joined[key] = {name: node.value for part in parts if part for name, node in part.entries().items()}
    return YamlNode({key: value for key, value in joined.items() if value is not None}, own.file)


def without_files(recipe: Recipe) -> Recipe:
    """The recipe for a machine that only trains: its rows are of what the steps noted, and those of files are
    left out, which steps without a training make.
    """
    rows = {
        name: replace(row, deployed=False)
        for name, row in recipe.rows.items()
        if row.file is None and not (row.deployed and not recipe.steps[row.step].verb.trains)
    }
    named = tuple(name for name in recipe.rows if name not in rows)
    return replace(recipe, rows=rows, left_out=(*recipe.left_out, *named))


def _measure(node: YamlNode) -> Measure:
    entries = node.entries(Measure.__dataclass_fields__)
    budget = entries.pop("time_budget", None)
    if budget is not None and budget.number() <= 0:
        raise budget.error("it is above 0 s")
    counts = {name: entry.count() for name, entry in entries.items() if entry.value is not None}
    return Measure(**counts, **({"time_budget": budget.number()} if budget else {}))  # type: ignore[arg-type]


def _pictures(node: YamlNode) -> tuple[str, ...]:
    for item in node.items():
        if item.text() not in PICTURES:
            raise item.unknown("picture", item.text(), PICTURES)
    return tuple(node.value)
