"""The app's core on this machine's JVM: its tools, compiled once, and what its tests ask of it."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.offline_apk.build import KOTLIN_FLAGS
from tools.offline_apk.errors import ToolMissingError
from tools.offline_apk.tools import Tools, class_path, java

pytest_plugins = ["android.tools"]  # the fixture `android_tools`

SOURCES = Path(__file__).parents[2] / "android_demo/core/src"
PACKAGES = ("junit4", "libhamcrest-java")
MODULE = ("-module-name", "core")


@dataclass(frozen=True)
class Core:
    """Compiled classes of `core` and of its tests."""

    tools: Tools
    main: Path
    tests: Path
    junit: tuple[Path, ...]

    def run(self, program: str, *arguments: object, properties: Mapping[str, object] | None = None) -> str:
        """What a class with a `main` prints."""
        given = [f"-D{name}={value}" for name, value in (properties or {}).items()]
        own = [self.main, SOURCES / "main/resources", self.tests, SOURCES / "test/resources", *self.junit]
        libraries = [self.tools.kotlin_stdlib, self.tools.ort_classes, self.tools.ort_jvm_natives]
        return java(*given, "-Xmx512m", "-cp", class_path([*own, *libraries]), program, *arguments)

    def ask(self, *arguments: object) -> Any:
        """What a command of `core`'s tests answers, which is JSON."""
        return json.loads(self.run("org.edgepress.core.CommandsKt", *arguments))

    def test_classes(self) -> list[str]:
        """Every JUnit class."""
        return sorted(
            path.relative_to(self.tests).with_suffix("").as_posix().replace("/", ".")
            for path in self.tests.rglob("*Test.class")
        )


def compile_core(tools: Tools, folder: Path, junit: Sequence[Path]) -> Core:
    """Compile `core` as the app does, and its tests against it."""
    core = Core(tools, folder / "main", folder / "tests", tuple(junit))
    libraries = [tools.kotlin_stdlib, tools.ort_classes]
    strict = ("-Werror", "-Xexplicit-api=strict")
    path = class_path([*libraries, tools.android_jar])
    tools.kotlinc(*KOTLIN_FLAGS, *MODULE, *strict, "-cp", path, "-d", core.main, SOURCES / "main/kotlin")
    path = class_path([core.main, *libraries, *junit])
    # Tests of a module see what is internal to it.
    friends = ("-jvm-target", "1.8", f"-Xfriend-paths={core.main}")
    tools.kotlinc(*friends, *MODULE, "-Werror", "-cp", path, "-d", core.tests, SOURCES / "test/kotlin")
    return core


def bring_junit(folder: Path) -> list[Path]:
    """JUnit's jars, from Debian.

    Raises:
        ToolMissingError: they cannot be had.
    """
    if not folder.exists():
        stage = folder.with_suffix(".partial")
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        _download(stage)
        stage.rename(folder)
    return [folder / "usr/share/java" / name for name in ("junit4.jar", "hamcrest.jar")]


def _download(stage: Path) -> None:
    try:
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=stage, capture_output=True, check=True)
        for package in stage.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, stage], capture_output=True, check=True)
    except FileNotFoundError as error:
        raise ToolMissingError(f"{error.filename} is not installed") from error
    except subprocess.CalledProcessError as error:
        raise ToolMissingError(f"no JUnit from Debian: {error.stderr.decode().strip()}") from error


@pytest.fixture(scope="session")
def core(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, android_tools: Tools
) -> Core:
    """Compiled anew for each run of the tests; JUnit is kept where pytest keeps anything."""
    cached = request.config.pluginmanager.hasplugin("cacheprovider")
    folder = request.config.cache.mkdir("android") if cached else tmp_path_factory.mktemp("android")
    try:
        junit = bring_junit(folder / "junit")
    except ToolMissingError as error:
        pytest.skip(str(error))
    return compile_core(android_tools, tmp_path_factory.mktemp("core"), junit)
