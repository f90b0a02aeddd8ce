"""The steps of a recipe, and what each is repeated over."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compress.recipe.located import Node, need
from compress.recipe.verbs import Verb, verbs

SEED = "seed"
RESULTS = "results"
NAME = re.compile(r"[a-z][a-z0-9_-]*", re.IGNORECASE)


@dataclass(frozen=True)
class StepSpec:
    """One step, before it is repeated over its axes."""

    name: str
    verb: Verb
    flags: Node
    axes: dict[str, list[Any]]
    """What it is repeated over: axis -> values; over `seed` figures are averaged."""
    choices: dict[str, dict[str, Node]]
    """Of an axis whose values are names of flags: axis -> name -> these flags."""
    wanted: bool
    """Whether its `when` has a value, if it has a `when`."""
    node: Node

    @property
    def every_flag(self) -> list[Node]:
        """All flags at all values of the axes."""
        named = [flags for choice in self.choices.values() for flags in choice.values()]
        return [flag for flags in (self.flags, *named) for flag in flags.entries().values()]

    def flags_at(self, each: Mapping[str, Any]) -> dict[str, Node]:
        """The flags at one combination of axis values; those that an axis names come on top."""
        named = [choice[each[axis]] for axis, choice in self.choices.items()]
        return {name: flag for flags in (self.flags, *named) for name, flag in flags.entries().items()}


def read_steps(node: Node) -> dict[str, StepSpec]:
    """All steps, those that are left out among them.

    Raises:
        EdgepressError: there is none, or one is wrong.
    """
    found: dict[str, StepSpec] = {}
    for name, entry in node.entries().items():
        found[name] = _step(name, entry, found)
    if not any(step.wanted for step in found.values()):
        raise node.error("no steps")
    return found


def _step(name: str, node: Node, before: Mapping[str, StepSpec]) -> StepSpec:
    require_name(name, node)
    entries = node.entries(("verb", "flags", "over", "when"))
    verb = need(entries, "verb", node)
    if verb.text() not in verbs():
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


def _axis(axis: str, node: Node, before: Mapping[str, StepSpec]) -> list[Any]:
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


def require_name(name: str, node: Node) -> None:
    """Raise for what cannot name a folder.

    Raises:
        EdgepressError: it is no name, or one that is taken.
    """
    if name == RESULTS:
        raise node.error(f"'{name}' is where a quick run's results go", "choose another name")
    if not NAME.fullmatch(name):
        raise node.error(f"'{name}' is no name", "letters, digits, - and _, beginning with a letter")
