"""Facts of a file that records keep beside its measured figures: hash, size, and size packed in an app."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from device_bench.plan import Case, Target
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256
from edgepress.core.packages import installed_bytes
from export.core.registry import format_of, size_bytes

# What DEFLATE in app packages does by default.
ZLIB_LEVEL = 6
BLOCK_BYTES = 1 << 20
OF_PASSES = ("rows", "pass_sha256")


def with_facts(target: Target) -> Target:
    """The target with what is said of its file; one that is no file, or of no known format, has no size.

    For the moment before it is measured: deflating a large file takes seconds.
    """
    return replace(target, known={**_facts(target), **target.known})


def _facts(target: Target) -> dict[str, Any]:
    try:
        digest = target.known.get("file_sha256") or sha256(target.path)
        sizes = {"size_bytes": size_bytes(target.path), "compressed_bytes": _packed(target.path, digest)}
        runtime = installed_bytes(format_of(target.path).runtime)
        return {"file_sha256": digest, **sizes, "runtime_bytes": runtime}
    except (EdgepressError, OSError):
        return {"file_sha256": "", "size_bytes": 0}


def of_case(known: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """Select the facts for a record of one case: those about the texts of passes only where it is a pass."""
    counted = known.get("operations") or {}  # of one row, by length
    operations = {"operations": case.batch * counted.get(case.sequence_length, 0)} if counted else {}
    if case.kind == "pass":
        return {**known, **operations}
    return {name: value for name, value in known.items() if name not in OF_PASSES} | operations


@cache
def _packed(path: Path, _sha256: str) -> int:
    """A file deflated, with all its parts; once for all shapes that it is measured at."""
    return sum(deflated_bytes(part) for part in format_of(path).parts(path))


def deflated_bytes(path: Path) -> int:
    """Return the size of a file, or of all files of a folder, deflated by zlib [bytes]."""
    if path.is_dir():
        return sum(deflated_bytes(file) for file in path.rglob("*") if file.is_file())
    packer = zlib.compressobj(ZLIB_LEVEL)
    with path.open("rb") as stream:
        blocks = iter(partial(stream.read, BLOCK_BYTES), b"")
        return sum(len(packer.compress(block)) for block in blocks) + len(packer.flush())
