"""Files on disk: hashes, JSON, and folders that appear whole or not at all."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import psutil

from edgepress.core.errors import EdgepressError


def to_json(content: Any, indent: int | None = None) -> str:
    """The content as JSON that every parser reads: a number that is not finite is null."""
    return json.dumps(_finite(content), indent=indent, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    return [_finite(value) for value in content] if isinstance(content, list | tuple) else content


def sha256(path: Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits; of a folder, that of its files' names and SHA-256."""
    digest = hashlib.sha256()
    if path.is_dir():
        for name, file in _files_of(path):
            digest.update(f"{name} {sha256(file)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def stored_bytes(path: Path) -> int:
    """The size of a file, or of all files of a folder [bytes]."""
    if path.is_dir():
        return sum(file.stat().st_size for _, file in _files_of(path))
    return path.stat().st_size


def _files_of(folder: Path) -> list[tuple[str, Path]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted((path.relative_to(folder).as_posix(), path) for path in files)


def require_inside(name: str) -> None:
    """Raise for a relative path, of a manifest or an archive, that would lead out of its folder.

    Raises:
        ValueError: it is absolute, has `..`, or is written as on Windows.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or set(name) & set("\\:\0"):
        raise ValueError(f"{name!r} leads out of the folder")


def refuse_links_outside(folder: Path) -> None:
    """Raise if a link below `folder` leads out of it, but for those that the Hub's cache is made of.

    Raises:
        EdgepressError: names the link.
    """
    inside = [folder.resolve()]
    if inside[0].parent.name == "snapshots":
        inside.append(inside[0].parent.parent / "blobs")
    for path in folder.rglob("*"):
        target = path.resolve() if path.is_symlink() else None
        if target and not any(target.is_relative_to(root) for root in inside):
            raise EdgepressError(
                f"{path} is a link to {target}, outside of the folder", "put the file itself there"
            )


def write_whole(path: Path, text: str) -> None:
    """Write a small text file whole or not at all; its folder is there."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def remove(path: Path) -> None:
    """Delete a file or a folder, whichever it is."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def staged_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """A working folder beside `target` that takes its place when the block ends without an error.

    A run that fails, is interrupted or is killed leaves `target` as it was. What a killed run left
    beside it is cleared by the next one.

    Raises:
        EdgepressError: `target` exists and `overwrite` is false, or its parent cannot be written; or
            somebody else wrote `target` meanwhile: what was made is kept beside it then.
    """
    restore(target)
    refuse_existing(target, overwrite)
    stage = _fresh_stage(target)
    try:
        yield stage
        if target.exists() and not overwrite:
            _keep_beside(target, stage)
        _replace(target, stage)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Raise if `target` exists and may not be replaced."""
    if target.exists() and not target.is_dir():
        raise EdgepressError(f"{target} is a file", "name another --output")
    if target.exists() and not overwrite:
        raise EdgepressError(f"{target} exists", "add --overwrite, or name another --output")
    if target.exists() and Path.cwd().is_relative_to(target.resolve()):
        raise EdgepressError(f"{target} is the folder that you are in, or holds it", "name another --output")


def restore(target: Path) -> None:
    """Put back the folder that a run killed between the two renames of `_replace` had moved aside."""
    previous = _previous(target)
    if not previous.exists():
        return
    if target.exists():
        shutil.rmtree(previous)
    else:
        previous.rename(target)


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


def _fresh_stage(target: Path) -> Path:
    _clear_abandoned(target)
    return writable_folder(target.with_name(f".{target.name}.{os.getpid()}.partial"))


def writable_folder(folder: Path) -> Path:
    """Make a folder with its parents, if it is not there.

    Raises:
        EdgepressError: it cannot be made (read-only or full file system, no permission).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgepressError(
            f"cannot write to {folder.parent}: {error.strerror}", "name another --output"
        ) from error
    return folder


def _clear_abandoned(target: Path) -> None:
    for folder in target.parent.glob(f".{target.name}.*.partial"):
        pid = folder.name.split(".")[-2]
        # Our own number: in a container every run has the same.
        if not pid.isdigit() or int(pid) == os.getpid() or not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _keep_beside(target: Path, stage: Path) -> NoReturn:
    """Move the folder to the next free name, and raise: two commands wrote to one place.

    Raises:
        EdgepressError: always.
    """
    free = next(
        place for number in count(2) if not (place := target.with_name(f"{target.name}-{number}")).exists()
    )
    stage.rename(free)
    raise EdgepressError(
        f"another command wrote {target} meanwhile; what this one made is in {free}",
        "keep the one that you want, or run again with another --output",
    )


def _replace(target: Path, stage: Path) -> None:
    # No portable call swaps two folders at once; `restore` mends a kill between the renames.
    if target.exists():
        target.rename(_previous(target))
    stage.rename(target)
    shutil.rmtree(_previous(target), ignore_errors=True)
