"""The settings of a recipe: defaults, their quick values, and what `--set` says instead."""

from collections.abc import Sequence
from typing import Any

import yaml

from compress.recipe.schema.located import YamlNode, kind_name, parse, references, substitute
from edgepress.core.errors import EdgepressError, unknown_name

SPACE, QUICK = "settings", "quick"


def resolve(root: YamlNode, quick: bool, said: Sequence[str]) -> tuple[YamlNode, dict[str, Any]]:
    """The recipe with its settings put in, and their values.

    Args:
        root: the whole file.
        quick: take the values under `quick`.
        said: NAME=VALUE, from the command line; the last word on a name counts.

    Raises:
        EdgepressError: an unknown name, a value of another type than the default, a setting without use.
    """
    entries = root.entries()
    defaults = entries[SPACE].entries() if SPACE in entries else {}
    values = {name: node.value for name, node in defaults.items()}
    short = entries[QUICK].entries() if QUICK in entries else {}
    for name, node in short.items():
        if name not in defaults:
            raise entries[QUICK].unknown("setting", name, defaults)
        value = _alike(node.value, defaults[name].value, node)
        values[name] = value if quick else values[name]
    for word in said:
        name, value = _said(word, defaults)
        values[name] = value
    body = {key: node.value for key, node in entries.items() if key not in (SPACE, QUICK)}
    filled = {key: _fill(root.at(key, value), values) for key, value in body.items()}
    for name, node in defaults.items():
        if name not in references(body, SPACE):
            raise node.error("no step refers to this setting", f"write ${{settings.{name}}}, or drop it")
    return YamlNode(filled, root.file), values


def _said(word: str, defaults: dict[str, YamlNode]) -> tuple[str, Any]:
    """Name and value of one `--set`."""
    name, equals, text = word.partition("=")
    if not equals:
        raise EdgepressError(f"--set {word}: no value", "type --set NAME=VALUE")
    if name not in defaults:
        error = unknown_name("setting", name, defaults)
        raise EdgepressError(f"--set {word}: {error}", error.hint)
    default = defaults[name].value
    try:
        value = parse(text)
    except yaml.YAMLError as error:
        raise EdgepressError(f"--set {word}: {text!r} is no YAML value") from error
    if isinstance(default, list) and not isinstance(value, list):
        value = [value]
    if isinstance(default, str) and not isinstance(value, str):
        value = text
    return name, _alike(value, default, YamlNode(value, f"--set {word}"))


def _alike(value: Any, default: Any, node: YamlNode) -> Any:
    """The value, where it is of the default's type; a default without value takes any."""
    if default is None or default == []:
        return value
    if isinstance(default, list):
        if not isinstance(value, list) or not value:
            return _wrong(node, list)
        return [_alike(item, default[0], YamlNode(item, node.file, node.path)) for item in value]
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value if type(value) is type(default) else _wrong(node, type(default))


def _wrong(node: YamlNode, kind: type) -> Any:
    raise node.error(f"{node.value!r} is not {kind_name(kind)}", "the default says its type")


def _fill(node: YamlNode, values: dict[str, Any]) -> Any:
    """What stands at a node with the settings in it; an error names the deepest place."""
    if isinstance(node.value, dict):
        return {key: _fill(node.at(key, value), values) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [_fill(node.at(index, value), values) for index, value in enumerate(node.value)]

    def look_up(name: str) -> Any:
        if name not in values:
            raise node.unknown("setting", name, values)
        return values[name]

    return substitute(node.value, SPACE, look_up)
