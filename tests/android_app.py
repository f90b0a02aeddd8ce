"""The demo app for tests: its APK, built once a session, and that APK's own bytecode on a JVM.

A plugin (`pytest_plugins`) of the modules that use it, so that all of them share one APK.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import run_well

from tools.offline_apk.build import build
from tools.offline_apk.project import Project
from tools.offline_apk.tools import Tools, class_path, run

pytest_plugins = ["android.tools"]  # the fixture `android_tools`

ROOT = Path(__file__).parents[1]
FRAMEWORK = Path(__file__).parent / "phone/framework"
PROJECT = Project(ROOT / "android_demo")
INSTRUMENTATION = "org.edgepress.demo/.Bench"


@pytest.fixture(scope="session")
def small_artifact(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, data_root: Path) -> Path:
    """The small trained model as fp32 and int8."""
    target = tmp_path_factory.mktemp("artifacts") / "small"
    flags = ("--scheme", "fp32", "int8", "--task", "verdicts", "--data", data_root)
    run_well("export.onnx", "--model", model_folder, *flags, "--output", target)
    return target


@pytest.fixture(scope="session")
def apk_assets(tmp_path_factory: pytest.TempPathFactory, small_artifact: Path) -> Path:
    """What `export.android` makes of it."""
    project = tmp_path_factory.mktemp("project")
    (project / "app/src/main").mkdir(parents=True)
    (project / "app/src/main/AndroidManifest.xml").write_text("<manifest/>")
    flags = ("--precisions", "fp32", "int8", "--app", project)
    run_well("export.android", "--artifacts", small_artifact, *flags)
    return project / "app/src/main/assets"


@pytest.fixture(scope="session")
def apk(tmp_path_factory: pytest.TempPathFactory, android_tools: Tools, apk_assets: Path) -> Path:
    """The app with these models."""
    folder = tmp_path_factory.mktemp("apk")
    target = folder / "demo.apk"
    build(PROJECT, android_tools, folder, target, apk_assets)
    return target


@dataclass(frozen=True)
class App:
    """The APK's bytecode, and a stand-in for as much of Android as its bench entry touches."""

    jars: str

    def instrument(self, state: Path, media: Path, extras: Mapping[str, object]) -> str:
        """What `am instrument` would print.

        Args:
            state: where the stand-in reads how the phone is.
            media: the app's folder on the shared storage.
        """
        places = (f"-Dstandin.state={state}", f"-Dstandin.media={media}")
        flags = [part for name, value in extras.items() for part in ("-e", name, str(value))]
        command = ["java", "-XX:+UseSerialGC", *places, "-cp", self.jars, "standin.AmInstrument"]
        command += ["-w", "-r", *flags, INSTRUMENTATION]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr

    def use(self, state: Path, assets: Path, storage: Path, *actions: str) -> list[dict[str, Any]]:
        """What is to be seen after the start and after each action (`phone/framework/standin/Demo.java`)."""
        command = ["java", "-XX:+UseSerialGC", f"-Dstandin.state={state}", "-cp", self.jars, "standin.Demo"]
        command += [str(assets), str(storage), *actions]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, android_tools: Tools, apk: Path) -> App:
    """The APK's dex code, translated back for a JVM: the very bytecode that a phone would get."""
    folder = tmp_path_factory.mktemp("app")
    android_tools.enjarify(apk, folder / "app.jar")
    framework = folder / "framework"
    beside = class_path((folder / "app.jar", android_tools.android_jar))
    flags = ("--release", "8", "-Xlint:-options", "-cp", beside, "-d", framework)
    run("javac", *flags, *sorted(FRAMEWORK.rglob("*.java")))
    # The APK itself, for what core reads from it.
    own = (framework, folder / "app.jar", apk)
    return App(class_path((*own, android_tools.ort_jvm_natives, android_tools.android_jar)))
