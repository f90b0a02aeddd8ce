"""Paths in the Gradle project, and the numbers in its version catalog."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tools.offline_apk.errors import BuildError

ANDROID = "http://schemas.android.com/apk/res/android"
PACKAGE = "org.edgepress.demo"
ABI = "arm64-v8a"


@dataclass(frozen=True)
class Project:
    """Folder of the demo app, `android_demo`."""

    folder: Path

    @property
    def app(self) -> Path:
        return self.folder / "app/src/main"

    @property
    def core(self) -> Path:
        return self.folder / "core/src/main/kotlin"

    @property
    def java_resources(self) -> dict[str, Path]:
        """Resources that core reads from the class path: name -> file."""
        folder = self.folder / "core/src/main/resources"
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path for path in files}

    def version(self, name: str) -> str:
        """A number of `gradle/libs.versions.toml`."""
        catalog = self.folder / "gradle/libs.versions.toml"
        found = re.search(rf'^{name} = "(.+?)"$', catalog.read_text(encoding="utf-8"), re.MULTILINE)
        if found is None:
            raise BuildError(f"{catalog} has no {name}")
        return found[1]

    def manifest(self, target: Path) -> Path:
        """Write the manifest with its package, which Gradle takes from the build file."""
        ElementTree.register_namespace("android", ANDROID)
        tree = ElementTree.parse(self.app / "AndroidManifest.xml")
        tree.getroot().set("package", PACKAGE)
        tree.write(target, encoding="utf-8", xml_declaration=True)
        return target
