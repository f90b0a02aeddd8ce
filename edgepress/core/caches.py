"""Cache folders of the suite and of libraries; all of them can be moved."""

import getpass
import os
from functools import cache
from pathlib import Path
from tempfile import gettempdir, mkdtemp

SUITE = "EDGEPRESS_CACHE"
HUB = "HF_HOME"


def cache_root() -> Path:
    """The suite's own: `EDGEPRESS_CACHE`, or ~/.cache/edgepress, or a temporary one where that cannot be."""
    if named := os.environ.get(SUITE):
        return Path(os.path.expanduser(named))
    own = Path(os.path.expanduser("~/.cache/edgepress"))
    return own if _usable(own) else _temporary() / "edgepress"


def hub_root() -> Path:
    """The Hugging Face Hub's: `HF_HOME`, or `huggingface` in the user's cache."""
    return Path(os.path.expanduser(os.environ.get(HUB) or _users_cache() / "huggingface"))


def cache_hint(error: OSError) -> str:
    """Name the variable that moves the cache that an error is about; empty if it is about none."""
    for path in (error.filename, error.filename2):
        for variable, folder in ((SUITE, cache_root()), (HUB, hub_root())):
            if isinstance(path, str | os.PathLike) and Path(path).is_relative_to(folder):
                return f"{variable}=FOLDER moves this cache"
    return ""


def move_unusable() -> None:
    """Give libraries a temporary cache where their usual one below the home folder cannot be made.

    To be called before they are imported. What a variable names is left as it is, and so is a cache that can
    only be read: it may hold what is needed.
    """
    hub = hub_root()
    _default(HUB, "huggingface", hub.is_absolute() and (os.path.isdir(hub) or _usable(hub)))
    config = Path(os.path.expanduser(os.environ.get("XDG_CONFIG_HOME") or "~/.config"))
    _default("MPLCONFIGDIR", "matplotlib", _usable(config) and _usable(_users_cache()))
    _default("TORCHINDUCTOR_CACHE_DIR", "torchinductor", _has_name())


def _users_cache() -> Path:
    return Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache"))


def _default(variable: str, name: str, fine: bool) -> None:
    if not fine and not os.environ.get(variable):
        os.environ[variable] = str(_temporary() / name)


def _has_name() -> bool:
    """Whether this user has one: torch asks for it to name its cache."""
    try:
        return bool(getpass.getuser())
    except (KeyError, OSError, ImportError):  # a container's user without an entry in passwd
        return False


def _usable(folder: Path) -> bool:
    """Whether the folder is there, or can be made, and can be written. Without a home it begins with ~."""
    if not folder.is_absolute():
        return False
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)


@cache
def _temporary() -> Path:
    """A folder of this user's alone, the same for each of his commands."""
    try:
        folder = (
            Path(gettempdir()) / f"edgepress-{os.getuid() if hasattr(os, 'getuid') else getpass.getuser()}"
        )
    except OSError:  # no place at all can be written: whoever needs one says so
        return Path(os.environ.get("TMPDIR") or "/tmp") / "edgepress"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
            return Path(mkdtemp(prefix="edgepress-"))
    except OSError:  # a file of somebody's in its place
        return Path(mkdtemp(prefix="edgepress-"))
    return folder
