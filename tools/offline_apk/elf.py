"""Reading and loosening 64-bit libraries (https://gabi.xinuos.com, and https://refspecs.linuxfoundation.org/lsb.shtml)."""

import struct
from collections.abc import Iterator

HEADER = b"\x7fELF\x02\x01"
AARCH64 = 183
LOAD, DYNAMIC = 1, 2  # kinds of segments
NEEDED, STRINGS, SYMBOLS = 1, 5, 6  # tags of the dynamic section
VERSIONS = (0x6FFFFFF0, 0x6FFFFFFE, 0x6FFFFFFF)
IGNORED = 0x6000000D  # a tag that no loader asks for
WEAK = 2
SYMBOL_SIZE = 24


class Library:
    """A shared library's content."""

    def __init__(self, content: bytes) -> None:
        """Read the tables of an ELF file.

        Raises:
            ValueError: it is no 64-bit library.
        """
        if content[:6] != HEADER:
            raise ValueError("no 64-bit library")
        self.content = bytearray(content)
        start, count = self._number("Q", 32), self._number("H", 56)
        self.segments = [struct.unpack_from("<IIQQQQQQ", content, start + 56 * at) for at in range(count)]
        self.entries = list(self._entries())
        self._first = {tag: value for _, tag, value in reversed(self.entries)}

    @property
    def is_aarch64(self) -> bool:
        return self._number("H", 18) == AARCH64

    @property
    def needed(self) -> set[str]:
        """The libraries that have to be there as well."""
        return {self._string(value) for _, tag, value in self.entries if tag == NEEDED}

    @property
    def page_bytes(self) -> int:
        """The largest memory page with which it can be loaded."""
        return min(segment[7] for segment in self.segments if segment[0] == LOAD)

    def loosened(self, libraries: set[str], symbol: str) -> bytes:
        """The library without these that it needs and symbols' versions; this symbol may be missing."""
        for at, tag, value in self.entries:
            if tag in VERSIONS or (tag == NEEDED and self._string(value) in libraries):
                struct.pack_into("<Q", self.content, at, IGNORED)
        at = self._place(self._first[SYMBOLS]) + SYMBOL_SIZE
        while self._string(self._number("I", at)) != symbol:
            at += SYMBOL_SIZE
        self.content[at + 4] = WEAK << 4 | self.content[at + 4] & 0xF
        return bytes(self.content)

    def _entries(self) -> Iterator[tuple[int, int, int]]:
        """Place, tag and value of each entry of the dynamic section."""
        at = next(segment[2] for segment in self.segments if segment[0] == DYNAMIC)
        while tag := self._number("Q", at):
            yield at, tag, self._number("Q", at + 8)
            at += 16

    def _string(self, start: int) -> str:
        at = self._place(self._first[STRINGS]) + start
        return self.content[at : self.content.index(0, at)].decode()

    def _place(self, address: int) -> int:
        """Place in the file that an address in memory comes from."""
        for kind, _, offset, start, _, size, *_ in self.segments:
            if kind == LOAD and start <= address < start + size:
                return int(offset + address - start)
        raise ValueError("the library is damaged")

    def _number(self, kind: str, at: int) -> int:
        return int(struct.unpack_from(f"<{kind}", self.content, at)[0])
