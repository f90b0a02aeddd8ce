"""Arrays that take long to compute, kept on disk under a digest of all that they are made from."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from edgepress.core import console
from edgepress.core.caches import SUITE, cache_root
from edgepress.core.causes import cause
from edgepress.core.errors import first_line


def cached_array(
    kind: str, key: str, rows: int, called: str, compute: Callable[[], np.ndarray]
) -> np.ndarray:
    """The array of this key: as it was computed before, or computed now and kept.

    One in a damaged file is computed anew, with a warning; one that cannot be kept is warned of.

    Args:
        kind: its folder in the suite's cache, and its name in the file.
        key: digest of all that the array is made from.
        rows: its length.
        called: its name in messages, a plural: the teacher's logits.
        compute: gives it.
    """
    kept = read_array(kind, key, rows, called)
    if kept is not None:
        console.step(f"{called} of {rows} rows: as computed before")
        return kept
    values = compute()
    keep_array(kind, key, values, called)
    return values


def _path(kind: str, key: str) -> Path:
    return cache_root() / kind / f"{key}.safetensors"


def read_array(kind: str, key: str, rows: int, called: str) -> np.ndarray | None:
    """Read the array of this key; None where none is kept, or only a damaged one, with a warning."""
    path = _path(kind, key)
    if not os.path.exists(path):  # False, too, where the folder may not be looked into
        return None
    try:
        with safe_open(path, "numpy") as stream:
            values, digest = stream.get_tensor(path.parent.name), stream.metadata()["sha256"]
        if len(values) == rows and hashlib.sha256(values.tobytes()).hexdigest() == digest:
            return values
    except (SafetensorError, OSError, KeyError, TypeError):
        pass
    console.warn(f"{path}: damaged; {called} are computed anew")
    return None


def keep_array(kind: str, key: str, values: np.ndarray, called: str) -> None:
    """Keep an array under this key; one that cannot be kept is warned of."""
    path = _path(kind, key)
    partial = path.with_suffix(f".{os.getpid()}.partial")  # processes of one launch write the same
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {path.parent.name: values}, partial, {"sha256": hashlib.sha256(values.tobytes()).hexdigest()}
        )
        partial.replace(path)
    except (SafetensorError, OSError) as error:  # the next run computes them again
        reason = cause(error, path.parent) or first_line(error)
        console.warn(f"{called} are not kept in {path.parent}: {reason}; {SUITE}=FOLDER moves it")
        with suppress(OSError):
            partial.unlink()
