"""Rewrites Java 17 classes so that tools which know Java 11 at most can lower them further.

ProGuard replaces what newer bytecode does otherwise (lambdas, joined strings), but not nests: from Java 11
on a nested class uses its neighbours' private members directly, and a class calls its own private methods as
virtual ones. Before, that is an error, which Android tells when the method runs. So private members become
visible in their package, and methods among them final: none may come to override another.
"""

import struct

NEWEST_OF_PROGUARD = 55  # Java 11's
PRIVATE, STATIC, FINAL, INTERFACE = 0x2, 0x8, 0x10, 0x200
UTF8 = 1
WIDE = (5, 6)  # long and double take two places in the pool of constants
# Tag -> bytes behind it (https://docs.oracle.com/javase/specs/jvms/se17/html/jvms-4.html#jvms-4.4).
SIZES = {
    tag: size
    for size, tags in {2: (7, 8, 16, 19, 20), 3: (15,), 4: (3, 4, 9, 10, 11, 12, 17, 18), 8: WIDE}.items()
    for tag in tags
}


def lowered(content: bytes) -> bytes:
    """The class as one of Java 11, with nothing private in it; one that is older stays as it is."""
    if struct.unpack_from(">H", content, 6)[0] <= NEWEST_OF_PROGUARD:
        return content
    made = bytearray(content)
    struct.pack_into(">HH", made, 4, 0, NEWEST_OF_PROGUARD)
    names, at = _constants(content)
    is_interface = bool(_u2(content, at) & INTERFACE)
    at += 6
    at += 2 + 2 * _u2(content, at)
    for are_methods in (False, True):
        count, at = _u2(content, at), at + 2
        for _ in range(count):
            final = are_methods and not is_interface and names[_u2(content, at + 2)] != b"<init>"
            struct.pack_into(">H", made, at, _opened(_u2(content, at), final=final))
            at = _behind_attributes(content, at + 6)
    return bytes(made)


def _opened(flags: int, *, final: bool) -> int:
    if not flags & PRIVATE:
        return flags
    return flags & ~PRIVATE | (FINAL if final and not flags & STATIC else 0)


def _constants(content: bytes) -> tuple[dict[int, bytes], int]:
    """The texts in the pool by their numbers, and where the class' own flags stand, behind the pool."""
    count, at, index = _u2(content, 8), 10, 1
    texts = {}
    while index < count:
        tag = content[at]
        if tag == UTF8:
            size = 2 + _u2(content, at + 1)
            texts[index] = content[at + 3 : at + 1 + size]
        else:
            size = SIZES[tag]
        at += 1 + size
        index += 2 if tag in WIDE else 1
    return texts, at


def _behind_attributes(content: bytes, at: int) -> int:
    count, at = _u2(content, at), at + 2
    for _ in range(count):
        at += 6 + struct.unpack_from(">I", content, at + 2)[0]
    return at


def _u2(content: bytes, at: int) -> int:
    return int(struct.unpack_from(">H", content, at)[0])
