"""Whether an APK is what it has to be. Android would refuse some of it only when it is installed."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.offline_apk.dex import class_names
from tools.offline_apk.elf import Library
from tools.offline_apk.errors import BuildError
from tools.offline_apk.fetch import ORT_LIBRARIES
from tools.offline_apk.manifest import ApkManifest, read_manifest
from tools.offline_apk.project import ABI, PACKAGE, Project
from tools.offline_apk.tools import Tools

MOST_BYTES = 25_000_000  # without models
# Reached by name: from outside, or from ONNX Runtime's native code.
NEEDED_CLASSES = (
    "org.edgepress.core.Bench",
    "ai.onnxruntime.OrtSession",
    "ai.onnxruntime.OnnxTensor",
    "kotlin.Unit",
)
NAMED_IN_MANIFEST = ("application", "activity", "instrumentation")
# What Android lets apps link to; another of their own they bring along.
ANDROIDS_LIBRARIES = {"libandroid.so", "libc.so", "libdl.so", "liblog.so", "libm.so"}
LARGEST_PAGE_BYTES = 16_384  # on phones from Android 15 on


@dataclass(frozen=True)
class Apk:
    """Contents of an APK: manifest, entries, classes, native libraries."""

    path: Path
    manifest: ApkManifest
    entries: tuple[zipfile.ZipInfo, ...]
    classes: frozenset[str]
    abis: frozenset[str]
    own_bytes: int
    """Size of the APK without the assets [bytes]."""

    @property
    def permissions(self) -> list[str]:
        return [element.attributes["name"] for element in self.manifest.all("uses-permission")]


def read_apk(tools: Tools, path: Path) -> Apk:
    """Open an APK and read all of that."""
    with zipfile.ZipFile(path) as content:
        entries = tuple(content.infolist())
        dex = [content.read(entry) for entry in entries if re.fullmatch(r"classes\d*\.dex", entry.filename)]
    assets = sum(entry.compress_size for entry in entries if entry.filename.startswith("assets/"))
    found = (re.match(r"lib/([^/]+)/", entry.filename) for entry in entries)
    classes = frozenset(name for one in dex for name in class_names(one))
    abis = frozenset(match[1] for match in found if match)
    return Apk(path, read_manifest(tools, path), entries, classes, abis, path.stat().st_size - assets)


def verify(project: Project, tools: Tools, path: Path) -> Apk:
    """The APK, where nothing is wrong with it.

    Raises:
        BuildError: all that is wrong, a line each.
    """
    tools.apksigner("verify", "--min-sdk-version", project.version("minSdk"), path)
    tools.native("zipalign", "-c", "-p", "4", path)
    apk = read_apk(tools, path)
    wrong = [*_wrong_manifest(project, apk), *_wrong_classes(apk), *wrong_files(project, apk)]
    if wrong:
        raise BuildError(f"{path.name} is not what it has to be:\n" + "\n".join(wrong))
    return apk


def _wrong_manifest(project: Project, apk: Apk) -> Iterator[str]:
    manifest = apk.manifest
    if apk.permissions:
        yield f"it asks for permissions, and needs none: {', '.join(apk.permissions)}"
    if manifest.one("manifest").get("package") != PACKAGE:
        yield f"its package is not {PACKAGE}"
    if manifest.one("instrumentation").get("targetPackage") != PACKAGE:
        yield "it has no instrumentation of itself: device_bench could not start it"
    if manifest.one("application").get("debuggable", "false") != "false":
        yield "it can be debugged: its times would be those of unoptimized code"
    for attribute, name in (("minSdkVersion", "minSdk"), ("targetSdkVersion", "targetSdk")):
        if manifest.one("uses-sdk").get(attribute) != project.version(name):
            yield f"its {attribute} is not the version catalog's {name}"


def _wrong_classes(apk: Apk) -> Iterator[str]:
    named = [element.attributes["name"] for kind in NAMED_IN_MANIFEST for element in apk.manifest.all(kind)]
    for name in (*(PACKAGE + name if name.startswith(".") else name for name in named), *NEEDED_CLASSES):
        if name not in apk.classes:
            yield f"the class {name} is missing"
    for name in apk.classes:
        if name.startswith(("android.", "java.")):
            yield f"{name} is the phone's own, and must not be in an app"


def wrong_files(project: Project, apk: Apk) -> Iterator[str]:
    for name in project.java_resources.keys() - {entry.filename for entry in apk.entries}:
        yield f"{name} is missing, which core reads"
    if apk.abis != {ABI}:
        yield f"it is for {', '.join(apk.abis) or 'no ABI'}, not {ABI}"
    own = {entry.filename.split("/")[-1] for entry in apk.entries if entry.filename.startswith("lib/")}
    for name in set(ORT_LIBRARIES) - own:
        yield f"{name} is missing: no model could be run"
    with zipfile.ZipFile(apk.path) as content:
        for entry in apk.entries:
            if entry.filename.startswith("lib/"):
                yield from wrong_library(entry.filename, content.read(entry), own)
            stored = entry.compress_type == zipfile.ZIP_STORED
            if entry.filename == "resources.arsc" and not stored:
                yield "resources.arsc is compressed: Android 11 and newer refuse that"
    if apk.own_bytes > MOST_BYTES:
        yield f"it has {apk.own_bytes} bytes without models, more than {MOST_BYTES}"


def wrong_library(name: str, content: bytes, own: set[str]) -> Iterator[str]:
    try:
        library = Library(content)
    except ValueError:
        yield f"{name} is no library for {ABI}"
        return
    if not library.is_aarch64:
        yield f"{name} is no library for {ABI}"
    if missing := library.needed - own - ANDROIDS_LIBRARIES:
        yield f"{name} needs {', '.join(sorted(missing))}, which a phone has not"
    if library.page_bytes < LARGEST_PAGE_BYTES:
        yield f"{name} cannot be loaded in pages of {LARGEST_PAGE_BYTES} bytes"
