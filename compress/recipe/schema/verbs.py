"""The verbs that a step may name, found by being there, and the check of a step's flags by their configs."""

import pkgutil
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import compress
from compress.recipe.schema.located import YamlNode, kind_name
from edgepress.core.console import Command
from export.command.config import FormatsConfig
from export.core.registry import formats

# What the recipe itself says to each step.
OWN_FLAGS = ("data", "output", "overwrite", "restart", "debug")
EXPORT_VERB = "export.onnx"


@dataclass(frozen=True)
class Verb:
    """A command, with the flags that a step may give it."""

    name: str
    module: str
    config: type[Command]

    @property
    def flags(self) -> dict[str, "Field[Any]"]:
        """The flags that a step may give."""
        return {entry.name: entry for entry in fields(self.config) if entry.name not in OWN_FLAGS}

    @property
    def trains(self) -> bool:
        """Whether it trains, and notes a score of what came out; others write files."""
        return self.has("epochs")

    def has(self, flag: str) -> bool:
        """Whether it has a flag, the recipe's own among them."""
        return any(entry.name == flag for entry in fields(self.config))


def verbs() -> dict[str, Verb]:
    """The commands that a step may name: those that make an artifact."""
    return {name: verb for name, verb in commands().items() if verb.config.MAKES_ARTIFACT}


@cache
def commands() -> dict[str, Verb]:
    """Every command by name: those among the packages of `compress`, `export`, and its formats."""
    found = {"export": Verb("export", "export", FormatsConfig)}
    for name in _packages():
        found[name] = Verb(name, f"compress.{name}", _config(f"compress.{name}.config"))
    for name, format_ in formats().items():
        found[f"export.{name}"] = Verb(f"export.{name}", f"export.{name}", format_.config)
    return found


def _packages() -> Iterator[str]:
    """The packages of `compress` that are commands."""
    for entry in pkgutil.iter_modules(compress.__path__):
        if Path(compress.__path__[0], entry.name, "__main__.py").is_file():
            yield entry.name


def _config(name: str) -> type[Command]:
    """The config class that a module defines."""
    entries = vars(import_module(name)).values()
    own = (entry for entry in entries if isinstance(entry, type) and issubclass(entry, Command))
    return next(entry for entry in own if entry.__module__ == name)


def checked_flags(verb: Verb, node: YamlNode, values: Mapping[str, YamlNode]) -> dict[str, Any]:
    """A step's flags in the config's types.

    Args:
        verb: whose flags.
        node: where they stand together, for errors.
        values: flag -> value and place, all references resolved; names with - or with _.

    Raises:
        EdgepressError: an unknown flag, a value of another type, or a flag without default that is not there.
    """
    hints, known = get_type_hints(verb.config), verb.flags
    found = {}
    for name, value in values.items():
        flag = name.replace("-", "_")
        if flag in OWN_FLAGS:
            raise value.error(f"'{name}' is the recipe's own", "leave it away")
        if flag not in known:
            raise value.unknown(f"flag of {verb.name}", name, known)
        found[flag] = _typed(value, hints[flag])
    for flag, entry in known.items():
        if flag not in found and entry.default is MISSING and entry.default_factory is MISSING:
            raise node.error(f"{verb.name} needs '{flag}'")
    return found


def _typed(node: YamlNode, hint: Any) -> Any:
    """The value in the type of its flag; a number stays a number, a text that is a number becomes one."""
    value, origin = node.value, get_origin(hint)
    if origin in (Union, types.UnionType):
        return _one_of(node, get_args(hint))
    if origin is Literal:
        if value not in get_args(hint):
            raise node.unknown("value", str(value), map(str, get_args(hint)))
        return value
    if origin is tuple:
        items = value if isinstance(value, list) else [value]
        return tuple(_typed(node.at(i, item), get_args(hint)[0]) for i, item in enumerate(items))
    return _plain(node, hint)


def _one_of(node: YamlNode, hints: Sequence[Any]) -> Any:
    """The value of a flag that takes several types: null, else a list where it is one, else the first."""
    if node.value is None and type(None) in hints:
        return None
    real = [hint for hint in hints if hint is not type(None)]
    lists = [hint for hint in real if get_origin(hint) is tuple]
    single = [hint for hint in real if get_origin(hint) is not tuple]
    return _typed(node, (lists if lists and isinstance(node.value, list) else single)[0])


def _plain(node: YamlNode, kind: type) -> Any:
    value = node.value
    if kind in (str, Path):
        right = value is not None and not isinstance(value, bool | dict | list)
    else:
        allowed = (int, float) if kind is float else (kind,)
        right = isinstance(value, allowed) and (kind is bool or not isinstance(value, bool))
    if not right:
        raise node.error(f"{value!r} is not {kind_name(kind)}")
    return str(value) if kind in (str, Path) else kind(value)


def command_line(verb: Verb, flags: Mapping[str, Any]) -> list[str]:
    """The flags as they are typed."""
    defaults = {entry.name: entry.default for entry in fields(verb.config)}
    typed: list[str] = []
    for name, value in flags.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            if value != defaults[name]:
                typed.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, tuple):
            typed += [f"--{flag}", *map(str, value)]
        elif value is not None:
            typed += [f"--{flag}", str(value)]
    return typed
