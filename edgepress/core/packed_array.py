"""Arrays as a line of text, for records: 872 texts that are right or wrong take some 150 characters."""

from __future__ import annotations

import math
import zlib
from base64 import b64decode, b64encode
from binascii import Error as Base64Error

import numpy as np

TYPES = ("bool", "int8", "int16", "int32", "float32", "float64")
MOST_CHARACTERS = 1 << 16
"""Characters of a packed array at most: a record is written for each shape."""
MOST_BYTES = 1 << 26
"""Bytes that a packed array may unpack to: one that asks for more was made to."""


def pack(own: np.ndarray) -> str:
    """Write an array as text: type, shape, and its bytes, deflated, in base64.

    Empty where that would be longer than `MOST_CHARACTERS`.
    """
    with np.errstate(all="ignore"):  # a type that cannot hold it is passed over
        kind = next(kind for kind in TYPES if np.array_equal(own.astype(kind), own))
    narrow = own.astype(kind)
    raw = np.packbits(narrow) if kind == "bool" else narrow.astype(narrow.dtype.newbyteorder("<"))
    content = b64encode(zlib.compress(raw.tobytes(), 9)).decode()
    text = f"{kind} {'x'.join(map(str, own.shape))} {content}"
    return text if len(text) <= MOST_CHARACTERS else ""


def unpack(text: str) -> np.ndarray:
    """Read what `pack` wrote.

    Raises:
        ValueError: it is something else, damaged, or too large.
    """
    kind, sizes, content = text.split(" ")  # ValueError where there are not three
    shape = tuple(int(size) for size in sizes.split("x"))
    count = math.prod(shape)
    if kind not in TYPES or min(shape) < 0:
        raise ValueError(f"{kind} {sizes} is no packed array")
    size = -(-count // 8) if kind == "bool" else count * np.dtype(kind).itemsize
    if size > MOST_BYTES:
        raise ValueError(f"an array of {sizes} is more than {MOST_BYTES >> 20} MiB")
    try:
        raw = zlib.decompressobj().decompress(b64decode(content, validate=True), size + 1)
    except (Base64Error, zlib.error) as error:
        raise ValueError(f"it cannot be unpacked: {error}") from error
    if len(raw) != size:
        raise ValueError(f"its content is not of the shape {sizes}")
    if kind == "bool":
        return np.unpackbits(np.frombuffer(raw, np.uint8), count=count).reshape(shape).astype(bool)
    own: np.ndarray = np.frombuffer(raw, np.dtype(kind).newbyteorder("<")).reshape(shape).astype(kind)
    if not np.isfinite(own).all():
        raise ValueError("a number in it is not finite")
    return own
