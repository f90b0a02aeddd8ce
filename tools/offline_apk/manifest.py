"""Reader of an APK's binary manifest, by aapt2's dump of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.offline_apk.tools import Tools

ELEMENT = re.compile(r"^(?P<indent> *)E: (?P<name>[\w-]+)")
ATTRIBUTE = re.compile(r'^ *A: (?:\S*:)?(?P<name>\w+)(?:\(0x[0-9a-f]+\))?="?(?P<value>[^"(]*)')


@dataclass(frozen=True)
class Element:
    """One element, with its attributes by their names without a namespace."""

    name: str
    depth: int
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ApkManifest:
    """Elements of a manifest, in their order."""

    elements: tuple[Element, ...]

    def all(self, name: str) -> list[Element]:
        """The elements of this name."""
        return [element for element in self.elements if element.name == name]

    def one(self, name: str) -> dict[str, str]:
        """The attributes of the first element of this name; none where there is no such element."""
        return next((element.attributes for element in self.all(name)), {})


def read_manifest(tools: Tools, apk: Path) -> ApkManifest:
    """The manifest of an APK."""
    dump = tools.native("aapt2", "dump", "xmltree", apk, "--file", "AndroidManifest.xml")
    return ApkManifest(tuple(_elements(dump)))


def _elements(dump: str) -> Iterator[Element]:
    current: Element | None = None
    for line in dump.splitlines():
        if found := ELEMENT.match(line):
            if current:
                yield current
            current = Element(found["name"], len(found["indent"]))
        elif current and (found := ATTRIBUTE.match(line)):
            current.attributes[found["name"]] = found["value"].strip()
    if current:
        yield current
