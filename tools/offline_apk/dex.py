"""Reading a .dex: which classes it has."""

import struct

# Offsets in the header (https://source.android.com/docs/core/runtime/dex-format).
STRINGS, TYPES, CLASSES = 0x38, 0x40, 0x60
CLASS_ITEM_SIZE = 32


def class_names(dex: bytes) -> set[str]:
    """The classes that are defined in it, as Java writes them."""
    strings, types = _table(dex, STRINGS), _table(dex, TYPES)
    count, start = struct.unpack_from("<II", dex, CLASSES)
    numbers = [struct.unpack_from("<I", dex, start + CLASS_ITEM_SIZE * at)[0] for at in range(count)]
    return {_string(dex, strings[types[number]])[1:-1].replace("/", ".") for number in numbers}


def _table(dex: bytes, header: int) -> tuple[int, ...]:
    count, start = struct.unpack_from("<II", dex, header)
    return struct.unpack_from(f"<{count}I", dex, start)


def _string(dex: bytes, start: int) -> str:
    """A string behind its length (a LEB128 number), up to its 0; a class's name is plain ASCII here."""
    while dex[start] & 0x80:
        start += 1
    return dex[start + 1 : dex.index(0, start + 1)].decode()
