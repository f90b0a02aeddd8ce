"""The formats, found by being modules of `export`, and which of them opens a file."""

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

import export
from edgepress.core.errors import EdgepressError, unknown_name
from edgepress.core.files import stored_bytes
from export.core.format import Format
from export.core.runner import Runner


@cache
def formats() -> dict[str, Format]:
    """Every format by name."""
    modules = [
        entry.name
        for entry in pkgutil.iter_modules(export.__path__)
        if not entry.ispkg and entry.name != "__main__"
    ]
    return {name: import_module(f"export.{name}").FORMAT for name in modules}


def quantizers() -> list[str]:
    """Names of the formats that have a quantizer of their own."""
    return [name for name, own in formats().items() if own.quantizes]


def find_format(name: str, to_run: bool = False) -> Format:
    """The format of this name.

    Args:
        name: of the format.
        to_run: whether its files are only opened.

    Raises:
        EdgepressError: there is none, or what it needs is not installed.
    """
    if name not in formats():
        raise unknown_name("format", name, formats())
    found = formats()[name]
    found.require_modules(to_run)
    return found


def format_of(path: Path) -> Format:
    """The format of a file, by its ending.

    Raises:
        EdgepressError: no format has this ending, or what it needs is not installed.
    """
    for candidate in formats().values():
        if candidate.suffix == path.suffix:
            return find_format(candidate.name, to_run=True)
    known = ", ".join(candidate.suffix for candidate in formats().values())
    raise EdgepressError(f"no runtime here reads {path.name}", f"known: {known}")


def open_runner(path: Path, threads: int = 1) -> Runner:
    """The runner for a file, by its ending.

    Raises:
        EdgepressError: no runtime reads this file, or it is damaged.
    """
    return format_of(path).open(path, threads)


def size_bytes(path: Path) -> int:
    """Return the size on disk of a file of any format, with all its parts [bytes]."""
    return sum(stored_bytes(part) for part in format_of(path).parts(path))
