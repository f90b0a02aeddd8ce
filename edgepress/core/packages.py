"""Installed packages: how much room a runtime and all that it requires take on disk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
OPTIONAL = re.compile(r";.*\bextra\s*==")


def installed_bytes(names: Sequence[str]) -> int:
    """Size on disk of packages and of all that they require, without their extras [bytes].

    What a requirement's marker leaves out on this machine counts where it is installed all the same.

    Args:
        names: of distributions, as pip calls them; those that are not installed count nothing.
    """
    found: dict[str, int] = {}
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name not in found:
            found[name], required = _look_at(name)
            waiting += required
    return sum(found.values())


@lru_cache
def _look_at(name: str) -> tuple[int, tuple[str, ...]]:
    """Size of a distribution [bytes], and what it requires."""
    try:
        own = distribution(name)
    except PackageNotFoundError:
        return 0, ()
    required = (NAME.match(line) for line in own.requires or () if not OPTIONAL.search(line))
    return _size(own), tuple(match[0] for match in required if match)


def _size(own: Distribution) -> int:
    paths = (Path(str(file.locate())) for file in own.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())
