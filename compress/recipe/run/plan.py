"""Plan runs from steps: each step once for every combination of its axes, its references resolved."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from compress.recipe.schema.located import REFERENCE, YamlNode, references, substitute
from compress.recipe.schema.spec import SEED, Recipe, StepSpec
from compress.recipe.schema.verbs import Verb, checked_flags

STEPS, EACH = "steps", "each"


@dataclass(frozen=True)
class Run:
    """A command of the experiment."""

    name: str
    """Unique; also that of its folder."""
    step: str
    verb: Verb
    each: dict[str, Any]
    """Value of each axis, by its name."""
    flags: dict[str, Any]
    """Flags in the types of the verb's config; outputs of other runs as paths."""
    output: Path
    uses: tuple[str, ...]
    """Names of the runs whose outputs it takes."""

    @property
    def title(self) -> str:
        """Text of the progress line: step, values of its axes, and verb."""
        values = ", ".join(f"{axis} {value}" for axis, value in self.each.items())
        return f"{self.step}{f' ({values})' if values else ''}: {self.verb.name}"


def plan(recipe: Recipe, folder: Path) -> list[Run]:
    """Plan all runs, in the order in which they are done.

    Args:
        recipe: what to do.
        folder: below which each run has its own.

    Raises:
        EdgepressError: a reference to what does not come before, an axis without use, or a wrong flag.
    """
    runs: list[Run] = []
    for step in (step for step in recipe.steps.values() if step.wanted):
        _check_references(step, recipe)
        runs += list(_runs(step, runs, folder))
    names = [run.name for run in runs]
    for run in runs:
        if names.count(run.name) > 1:
            raise recipe.steps[run.step].node.error(f"two runs would be called '{run.name}'")
    return runs


def _runs(step: StepSpec, before: list[Run], folder: Path) -> Iterator[Run]:
    for values in product(*step.axes.values()):
        each = dict(zip(step.axes, values, strict=True))
        used: list[str] = []

        def output(name: str, each: dict[str, Any] = each, used: list[str] = used) -> str:
            run = matching([run for run in before if run.step == name], each)
            used.append(run.name)
            return str(run.output)

        flags = {}
        for flag, node in step.flags_at(each).items():
            value = substitute(node.value, EACH, each.__getitem__)
            flags[flag] = replace(node, value=substitute(value, STEPS, output))
        name = "-".join([step.name, *(_slug(axis, value) for axis, value in each.items())])
        checked = checked_flags(step.verb, step.flags, flags)
        yield Run(name, step.name, step.verb, each, checked, folder / name, tuple(dict.fromkeys(used)))


def matching(runs: list[Run], each: dict[str, Any]) -> Run:
    """The run with the same values on the axes that it shares with `each`; the first of several."""
    return next(
        run for run in runs if all(each[axis] == value for axis, value in run.each.items() if axis in each)
    )


def _slug(axis: str, value: Any) -> str:
    text = "".join(c if c.isalnum() or c in "._" else "_" for c in str(value))
    return f"{axis}{text}" if axis == SEED or not isinstance(value, str) else text


def _check_references(step: StepSpec, recipe: Recipe) -> None:
    before = list(recipe.steps)[: list(recipe.steps).index(step.name)]
    for node in step.every_flag:
        for text in re.findall(r"\$\{[^}]*\}?", str(node.value)):
            found = REFERENCE.fullmatch(text)
            if found is None or found[1] not in (STEPS, EACH):
                known = "${settings.NAME}, ${steps.NAME} or ${each.AXIS}"
                raise node.error(f"{text} refers to nothing", f"write {known}")
            known_names = before if found[1] == STEPS else list(step.axes)
            if found[2] not in known_names:
                kind = "earlier step" if found[1] == STEPS else "axis"
                raise node.unknown(kind, found[2], known_names)
            if found[1] == STEPS:
                _check_used(node, step, recipe.steps[found[2]])
    _check_axes(step, recipe)


def _check_used(node: YamlNode, step: StepSpec, used: StepSpec) -> None:
    """What is used must be made, and with the same values."""
    if not used.wanted:
        raise node.error(f"{used.name} is left out", f"give {step.name} the same 'when'")
    for axis, values in step.axes.items():
        missing = [value for value in values if axis in used.axes and value not in used.axes[axis]]
        if missing:
            raise node.error(f"{used.name} is not made for {axis} {missing[0]}")


def _check_axes(step: StepSpec, recipe: Recipe) -> None:
    """Refuse an axis that changes nothing: neither a flag nor which output of an earlier step is taken."""
    flags = [flag.value for flag in step.every_flag]
    chosen = {axis for name in references(flags, STEPS) for axis in recipe.steps[name].axes}
    for axis in step.axes:
        if axis not in {*references(flags, EACH), *step.choices, *chosen}:
            raise step.node.at("over", step.axes).error(f"no flag refers to ${{each.{axis}}}")
