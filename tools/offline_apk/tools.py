"""The tools, each as a call; what they need of one another's jars and libraries is known here alone."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.offline_apk.errors import BuildError, ToolMissingError
from tools.offline_apk.fetch import fetch
from tools.offline_apk.project import ABI

LIBRARY_FOLDERS = (
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/android",
    "usr/lib",
)


@dataclass(frozen=True)
class Tools:
    """Tools and libraries that `fetch` downloaded."""

    folder: Path

    @property
    def debian(self) -> Path:
        return self.folder / "debian"

    @property
    def android_jar(self) -> Path:
        """The framework's classes, API 23."""
        return self.debian / "usr/lib/android-sdk/platforms/android-23/android.jar"

    @property
    def framework_resources(self) -> Path:
        """The framework's resources, API 29."""
        return self.debian / "usr/share/android-framework-res/framework-res.apk"

    @property
    def kotlin_stdlib(self) -> Path:
        return self.folder / "kotlin/package/lib/kotlin-stdlib.jar"

    @property
    def ort_classes(self) -> Path:
        """ONNX Runtime's Java API."""
        return self.folder / "onnxruntime/classes.jar"

    @property
    def ort_jvm_natives(self) -> Path:
        """Jar of ONNX Runtime's native libraries for a JVM on Linux."""
        return self.folder / "onnxruntime/natives.jar"

    @property
    def ort_android_libraries(self) -> list[Path]:
        """Native libraries of ONNX Runtime for a phone."""
        return sorted((self.folder / "onnxruntime/jni" / ABI).glob("*.so"))

    def native(self, name: str, *arguments: object) -> str:
        """A program of the Android SDK: aapt2, zipalign."""
        loader = next((self.debian / "lib/x86_64-linux-gnu").glob("ld-linux*.so.*"))
        libraries = ":".join(str(self.debian / folder) for folder in LIBRARY_FOLDERS)
        program = self.debian / "usr/lib/android-sdk/build-tools/debian" / name
        return run(loader, "--library-path", libraries, program, *arguments)

    def kotlinc(self, *arguments: object) -> str:
        jars = self.folder / "kotlin/package/lib"
        main = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
        return java(
            "-Xmx1g", "-cp", jars / "kotlin-compiler.jar", main, "-kotlin-home", jars.parent, *arguments
        )

    def proguard(self, *arguments: object) -> str:
        return java("-Xmx1g", "-cp", self._jar("proguard"), "proguard.ProGuard", *arguments)

    def dx(self, *arguments: object) -> str:
        return java(
            "-Xmx1g", "-cp", self._jar("com.android.dx"), "com.android.dx.command.Main", "--dex", *arguments
        )

    def apksigner(self, *arguments: object) -> str:
        jars = class_path((self._jar("apksigner"), self._jar("apksig")))
        return java("-cp", jars, "com.android.apksigner.ApkSignerTool", *arguments)

    def enjarify(self, apk: Path, target: Path) -> None:
        """The bytecode of an APK as a jar for a JVM."""
        packages = self.debian / "usr/lib/python3/dist-packages"
        program = Path(__file__).with_name("translate.py")
        run("env", f"PYTHONPATH={packages}", sys.executable, program, apk, target)

    def _jar(self, name: str) -> Path:
        return self.debian / "usr/share/java" / f"{name}.jar"


def bring_tools(folder: Path) -> Tools:
    """The tools, fetched the first time.

    Raises:
        ToolMissingError: one cannot be had here.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ToolMissingError(
            f"the tools are for Linux on x86_64, not {platform.system()} on {platform.machine()}"
        )
    for name in ("java", "javac", "keytool"):
        if shutil.which(name) is None:
            raise ToolMissingError(f"{name} is not installed: a JDK from 11 on is needed")
    fetch(folder)
    return Tools(folder.absolute())


def class_path(jars: Iterable[Path]) -> str:
    """Jars and folders in the order in which they are searched."""
    return ":".join(map(str, jars))


def java(*arguments: object) -> str:
    """One JVM: with the serial collector, for it runs beside others on few cores."""
    return run("java", "-XX:+UseSerialGC", *arguments)


def run(*command: object) -> str:
    """Run a program and return what it prints to stdout.

    Raises:
        BuildError: it fails; the message has all that it printed.
    """
    parts = [str(part) for part in command]
    done = subprocess.run(parts, capture_output=True, text=True, check=False)
    if done.returncode:
        name = next((Path(part).name for part in parts if "." in part and "=" not in part), parts[0])
        raise BuildError(f"{name} failed:\n{(done.stdout + done.stderr).strip()}")
    return done.stdout
