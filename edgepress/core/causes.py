"""Why a library failed, where its own words hide it: no space, no memory, a part that is missing."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

from edgepress.core.errors import first_line

# A file system with less room than this is full [bytes]: some libraries take back what they began to write.
FULL = 1 << 20
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ROOM = "no space left on the disk"
# How libraries in C++ and Rust word what Python has an exception for.
WORDS = {
    NO_ROOM: (
        r"no space left|os error 28\b|errno 28\b|disk quota exceeded|disk full"
        r"|unexpected pos \d+ vs \d+"  # torch.save, whose writer counts less than it was given
    ),
    "not enough memory": (
        r"out of memory|n[o']t (?:enough|allocate) memory|cannot allocate memory|bad_alloc|bad allocation"
        r"|failed to allocate memory"
    ),
    "a shared library is missing": r"cannot open shared object file|dll load failed|library not loaded",
}


def cause(error: BaseException, *folders: Path) -> str:
    """Return the state of the machine that caused an exception; empty if nothing says that one did.

    Args:
        error: that a library raised, with the exceptions that it was raised from.
        folders: that the library was writing to, besides the folder for temporary files.
    """
    found, place = said_cause(error), _full_place(folders)
    if not found:
        return f"{NO_ROOM}: {place}" if place else ""
    return f"{found}: {place}" if place and found == NO_ROOM else found


def said_cause(error: BaseException) -> str:
    """The same, from the exception and what it was raised from alone: no folder is looked at."""
    return next(filter(None, map(_known, _chain(error))), "")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _known(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return NO_ROOM
    if isinstance(error, ModuleNotFoundError) and error.name:  # transformers' own name none
        return f"the package '{error.name}' is missing"
    line = first_line(error)
    for words, pattern in WORDS.items():
        if re.search(pattern, str(error), re.IGNORECASE):
            return f"{words}: {line}" if isinstance(error, ImportError) else words
    return ""


def _full_place(folders: tuple[Path, ...]) -> str:
    for name, folder in _places(folders):
        if _free_bytes(folder) < FULL:
            return f"{name} is full"
    return ""


def _places(folders: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    yield from ((str(folder), folder) for folder in folders)
    # Python passes over a folder that is full when it begins; other libraries take the variable's word.
    named = os.environ.get("TMPDIR")
    for folder in dict.fromkeys([*([named] if named else []), *_temporary()]):
        yield f"{folder}, where temporary files go and which TMPDIR=FOLDER changes,", Path(folder)


def _temporary() -> list[str]:
    try:
        return [gettempdir()]
    except OSError:  # none of the usual places can be written
        return []


def _free_bytes(folder: Path) -> int:
    existing = next((path for path in (folder, *folder.absolute().parents) if os.path.exists(path)), None)
    try:
        return shutil.disk_usage(existing).free if existing else FULL
    except OSError:
        return FULL
