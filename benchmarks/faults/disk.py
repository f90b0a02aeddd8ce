"""File systems of a given size, in memory; mounting them needs root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from edgepress.core.errors import EdgepressError

AMPLE = 512 << 20
"""More than any tiny command needs [bytes]."""


@contextmanager
def mounted(folder: Path, size: int = AMPLE) -> Iterator[Path]:
    """A file system of `size` bytes at `folder`, gone with all that is in it when the block ends.

    Raises:
        EdgepressError: it cannot be mounted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)


def resize(folder: Path, size: int = AMPLE) -> None:
    """Give a mounted file system another size [bytes]."""
    _mount("-o", f"remount,size={size}", str(folder))


def used(folder: Path) -> int:
    """Return the used space of the folder's file system [bytes]."""
    return int(psutil.disk_usage(str(folder)).used)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EdgepressError(f"no small file system: {done.stderr.strip()}", "mounting one needs root")


def can_mount(scratch: Path) -> bool:
    """Whether this process may mount."""
    try:
        with mounted(scratch / "mounted", 1 << 20):
            return True
    except (EdgepressError, OSError):
        return False
