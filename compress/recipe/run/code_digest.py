"""Digest of the suite's code that a verb runs; it changes whenever the verb's behaviour may have."""

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgepress.core.artifact import PACKAGES as RECORDED
from edgepress.core.identity import LIBRARIES

PACKAGES = ("compress", "device_bench", "export", "edgepress")
ROOT = Path(__file__).parents[3]
LISTED = re.compile(r"iter_modules\((?:(\w+)\.)?__path__\)")


@cache
def code_digest(module: str) -> str:
    """SHA-256 over the syntax trees of all modules of the suite that `module` imports, itself included.

    Comments, layout and docstrings do not count. What is found at run time by being in a folder (formats,
    schemes) counts with its folder.
    """
    digest = hashlib.sha256()
    for name in sorted(modules_behind(module)):
        path = _source(name)
        assert path is not None
        digest.update(f"{name} {_parsed(path).digest}\n".encode())
    return digest.hexdigest()


@cache
def libraries(module: str) -> tuple[str, ...]:
    """The libraries that decide what a file holds, of those that `module` or what it imports of the suite
    imports anywhere. Of the suite's own code its digest tells more than a version."""
    paths = (path for name in modules_behind(module) if (path := _source(name)))
    imported = {name.partition(".")[0] for path in paths for name in _parsed(path).imports}
    return tuple(sorted((imported & {*RECORDED, *LIBRARIES}) - {*PACKAGES}))


def modules_behind(module: str) -> set[str]:
    """Names of the suite's modules that a command is made of: what it imports, and what that imports."""
    found: set[str] = set()
    waiting = [module, f"{module}.__main__", f"{module}.pipeline"]  # the latter by `run_command`
    while waiting:
        name = waiting.pop()
        path = _source(name)
        if name in found or path is None:
            continue
        found.add(name)
        waiting += _parsed(path).imports
        waiting += _registered(name)
        waiting.append(name.rpartition(".")[0])
    return found


def _source(name: str) -> Path | None:
    """The file of a module of the suite; None for what is none. Found without importing anything."""
    if name.partition(".")[0] not in PACKAGES:
        return None
    path = ROOT.joinpath(*name.split("."))
    files = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((file for file in files if file.is_file()), None)


@dataclass(frozen=True)
class _Parsed:
    """What is asked of a source file."""

    imports: tuple[str, ...]
    """What it imports anywhere; `from a import b` may mean the module a.b."""
    digest: str
    """SHA-256 of its syntax tree without docstrings."""


def _parsed(path: Path) -> _Parsed:
    return _parse(path.read_text(encoding="utf-8"))


@cache
def _parse(source: str) -> _Parsed:
    """Parse a file once for all verbs that run it: a recipe of four verbs asks of each file twelve times."""
    tree = ast.parse(source)
    imports = tuple(_imports(tree))
    dumped = ast.dump(_without_docstrings(tree))
    return _Parsed(imports, hashlib.sha256(dumped.encode()).hexdigest())


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _registered(name: str) -> Iterator[str]:
    """The modules of a folder that a module lists with pkgutil: its own, or that of a package it names."""
    path = _source(name)
    if path is None or "pkgutil" not in _parsed(path).imports:
        return
    for listed in LISTED.findall(path.read_text(encoding="utf-8")):
        root = _source(listed or name)
        if root is not None:
            yield from (f"{listed or name}.{file.stem}" for file in root.parent.glob("*.py"))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [entry for entry in node.body if not _is_text(entry)]
    return tree


def _is_text(entry: ast.stmt) -> bool:
    """A text that stands alone: a docstring, or one behind a field."""
    value = entry.value if isinstance(entry, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
