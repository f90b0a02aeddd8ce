"""A YAML file read so that whatever is wrong in it can be named by its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgepress.core.errors import EdgepressError, unknown_name

# Values of a recipe, its aliases written out; the largest here has some 300.
LARGEST = 100_000
REFERENCE = re.compile(r"\$\{\s*(\w+)\.([\w-]+)\s*\}")
KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    list: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True)
class YamlNode:
    """A value of the file, and where it stands: `recipes/x.yaml: steps.student.flags`."""

    value: Any
    file: str
    path: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Name of the file and path of the value in it."""
        return ": ".join([self.file, *([".".join(self.path)] if self.path else [])])

    def error(self, message: str, hint: str = "") -> EdgepressError:
        """The error about this value."""
        return EdgepressError(f"{self.where}: {message}", hint)

    def unknown(self, kind: str, name: str, known: Iterable[str]) -> EdgepressError:
        """The error about a name in this value."""
        error = unknown_name(kind, name, known)
        return self.error(str(error), error.hint)

    def at(self, key: object, value: Any) -> YamlNode:
        """A value inside this one."""
        return YamlNode(value, self.file, (*self.path, str(key)))

    def entries(self, known: Iterable[str] = ()) -> dict[str, YamlNode]:
        """The entries of a mapping; nothing is an empty one.

        Args:
            known: the keys that it may have; empty: any.

        Raises:
            EdgepressError: it is no mapping, or has another key.
        """
        value = {} if self.value is None else self.value
        if not isinstance(value, dict):
            raise self.error(f"{value!r} is no mapping", "write KEY: VALUE, one a line")
        names = list(known)
        for key in value:
            if names and key not in names:
                raise self.unknown("key", str(key), names)
        return {str(key): self.at(key, entry) for key, entry in value.items()}

    def items(self) -> list[YamlNode]:
        """The items of a list that has some."""
        if not isinstance(self.value, list) or not self.value:
            raise self.error(f"{self.value!r} is no list of values", "write [A, B]")
        return [self.at(index, item) for index, item in enumerate(self.value)]

    def text(self) -> str:
        """A text that is not empty."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.error(f"{self.value!r} is no text")
        return self.value.strip()

    def number(self) -> float:
        """Return the value, which has to be a number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.error(f"{self.value!r} is no number")
        return float(self.value)

    def count(self) -> int:
        """A whole number above 0."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 1:
            raise self.error(f"{self.value!r} is no whole number above 0")
        return self.value


def kind_name(kind: type) -> str:
    """Return the name of a type for messages."""
    return KINDS.get(kind, kind.__name__)


def need(entries: dict[str, YamlNode], key: str, of: YamlNode) -> YamlNode:
    """An entry that must be there."""
    if key not in entries:
        raise of.error(f"'{key}' is missing")
    return entries[key]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, to which 3e-5 is a number and a key that stands twice is an error."""


_Loader.add_implicit_resolver(  # YAML 1.2's floats; PyYAML has 1.1's, which need a point
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)$"),
    list("-+0123456789."),
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key is a text", problem_mark=key.start_mark)
        if key.value in seen:
            raise yaml.MarkedYAMLError(problem=f"'{key.value}' stands twice", problem_mark=key.start_mark)
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse(text: str) -> Any:
    """The value of a YAML text."""
    loader = _Loader(text)  # a SafeLoader
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _size(node, {})
        return loader.construct_document(node)
    except RecursionError as error:
        raise yaml.YAMLError("nested too deep") from error
    except ValueError as error:  # a date that is none, a number of thousands of digits
        raise yaml.YAMLError(str(error)) from error
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node is when its aliases are written out.

    Raises:
        yaml.MarkedYAMLError: too many, or it holds itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = LARGEST + 1  # as long as it is not finished: a node that holds itself is endless
        parts = (
            node.value
            if isinstance(node, yaml.SequenceNode)
            else [each for pair in node.value for each in pair]
        )
        known[id(node)] = 1 + sum(_size(each, known) for each in parts)
    if known[id(node)] > LARGEST:
        raise yaml.MarkedYAMLError(problem="aliases make it too large", problem_mark=node.start_mark)
    return known[id(node)]


def read(path: Path) -> YamlNode:
    """Read a YAML file into a node that knows its place in the file.

    Raises:
        EdgepressError: there is no such file, it is not UTF-8 text, or it is no YAML.
    """
    try:
        return YamlNode(parse(path.read_text(encoding="utf-8")), str(path))
    except FileNotFoundError as error:
        known = [str(other) for other in path.parent.glob("*.yaml")]
        raise (
            unknown_name("recipe", str(path), known) if known else EdgepressError(f"no such recipe: {path}")
        ) from error
    except UnicodeDecodeError as error:
        raise EdgepressError(f"{path} is not UTF-8 text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise EdgepressError(
            f"{path}{line}: no YAML: {getattr(error, 'problem', None) or error}", "mend that line"
        ) from error


def substitute(value: Any, space: str, look_up: Callable[[str], Any]) -> Any:
    """Put values in the place of `${space.NAME}`, in all texts below `value`.

    A text that is one reference becomes the value as it is; within a longer text it is written out.
    """
    if isinstance(value, dict):
        return {key: substitute(entry, space, look_up) for key, entry in value.items()}
    if isinstance(value, list):
        return [substitute(entry, space, look_up) for entry in value]
    if not isinstance(value, str):
        return value
    whole = REFERENCE.fullmatch(value.strip())
    if whole and whole[1] == space:
        return look_up(whole[2])
    return REFERENCE.sub(lambda m: str(look_up(m[2])) if m[1] == space else m[0], value)


def references(value: Any, space: str) -> list[str]:
    """The names that texts below `value` refer to in a space."""
    found: list[str] = []

    def note(name: str) -> str:
        found.append(name)
        return ""

    substitute(value, space, note)
    return found
