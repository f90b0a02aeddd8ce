"""The stages of a build: resources, classes, dex, package, signature."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

from tools.offline_apk.project import ABI, Project
from tools.offline_apk.tools import Tools, class_path, run

STUBS = Path(__file__).with_name("stubs")
# dx knows no invokedynamic and no method in an interface; ProGuard's backport takes what these leave.
KOTLIN_FLAGS = (
    *("-jvm-target", "1.8", "-no-reflect", "-no-stdlib", "-no-jdk", "-jvm-default=disable"),
    *("-Xlambdas=class", "-Xsam-conversions=class", "-Xstring-concat=inline"),
)
BACKPORT = (
    *("-target", "1.7", "-dontshrink", "-dontoptimize", "-dontobfuscate"),
    *("-dontnote", "**", "-dontwarn", "**", "-ignorewarnings"),
)
NOT_FOR_ANDROID = "(!META-INF/**,!module-info.class)"
# aapt2's flag -> its number in the version catalog.
NUMBERS = {
    "--min-sdk-version": "minSdk",
    "--target-sdk-version": "targetSdk",
    "--version-code": "versionCode",
    "--version-name": "versionName",
}
KEY_PASSWORD = "android"  # that of every debug key: it protects nothing


@dataclass(frozen=True)
class Build:
    """One build in a folder of its own."""

    project: Project
    tools: Tools
    folder: Path

    def resources(self, assets: Path | None) -> Path:
        """`base.apk` with manifest, resources and assets; R.java beside it in `generated`."""
        compiled, base = self.folder / "resources.zip", self.folder / "base.apk"
        self.tools.native("aapt2", "compile", "--dir", self.project.app / "res", "-o", compiled)
        numbers = [part for flag, name in NUMBERS.items() for part in (flag, self.project.version(name))]
        manifest = self.project.manifest(self.folder / "AndroidManifest.xml")
        into = ["--java", self.folder / "generated", "-o", base, "-0", ".onnx"]
        given = ["-A", assets] if assets else []
        framework = self.tools.framework_resources
        self.tools.native(
            "aapt2", "link", "-I", framework, "--manifest", manifest, *numbers, *into, *given, compiled
        )
        return base

    def classes(self) -> list[Path]:
        """The folders of compiled classes: core's, the app's, R."""
        tools = self.tools
        stubs, core, app, r = (self.folder / name for name in ("stubs", "core", "app", "r"))
        self._javac(sorted(STUBS.rglob("*.java")), stubs, [tools.android_jar])
        self._javac(sorted((self.folder / "generated").rglob("*.java")), r, [tools.android_jar])
        libraries = [tools.kotlin_stdlib, tools.ort_classes]
        self._kotlinc("core", self.project.core, core, [*libraries, tools.android_jar])
        self._kotlinc(
            "app", self.project.app / "kotlin", app, [core, r, stubs, *libraries, tools.android_jar]
        )
        return [core, app, r]

    def dex(self, classes: list[Path]) -> Path:
        """`classes.dex` of the classes, Kotlin's library and ONNX Runtime's Java API."""
        jar, dex = self.folder / "classes.jar", self.folder / "classes.dex"
        inputs = [*classes, self.tools.kotlin_stdlib, self.tools.ort_classes]
        given = [part for path in inputs for part in ("-injars", f"{path}{NOT_FOR_ANDROID}")]
        self.tools.proguard(*BACKPORT, *given, "-outjars", jar, "-libraryjars", self.tools.android_jar)
        self.tools.dx(f"--min-sdk-version={self.project.version('minSdk')}", f"--output={dex}", jar)
        return dex

    def package(self, base: Path, dex: Path, target: Path) -> None:
        """Add classes, resources and libraries to `base`, and write the signed APK."""
        loose, aligned = self.folder / "loose.apk", self.folder / "aligned.apk"
        loose.write_bytes(base.read_bytes())
        with zipfile.ZipFile(loose, "a", zipfile.ZIP_DEFLATED) as apk:
            apk.write(dex, "classes.dex")
            for name, path in self.project.java_resources.items():
                apk.write(path, name)
            for library in self.tools.ort_android_libraries:
                apk.write(library, f"lib/{ABI}/{library.name}")
        self.tools.native("zipalign", "-f", "-p", "4", loose, aligned)
        key = ["--ks", self._key(), "--ks-pass", f"pass:{KEY_PASSWORD}"]
        # From Android 7 on, all that runs the app checks the newer schemes.
        self.tools.apksigner("sign", *key, "--v1-signing-enabled", "false", "--out", target, aligned)

    def _key(self) -> Path:
        """A debug key, kept: Android updates an app only with the key that it came with."""
        key = self.tools.folder / "debug.keystore"
        if not key.exists():
            who = ("-dname", "CN=Android Debug", "-alias", "debug", "-validity", "10000")
            algorithm = ("-keyalg", "RSA", "-keysize", "2048", "-storetype", "PKCS12")
            run("keytool", "-genkeypair", "-keystore", key, "-storepass", KEY_PASSWORD, *who, *algorithm)
        return key

    def _javac(self, sources: list[Path], target: Path, libraries: list[Path]) -> None:
        flags = ("-nowarn", "-Xlint:-options", "--release", "8", "-proc:none")
        run("javac", *flags, "-cp", class_path(libraries), "-d", target, *sources)

    def _kotlinc(self, name: str, sources: Path, target: Path, libraries: list[Path]) -> None:
        flags = [*KOTLIN_FLAGS, "-module-name", name, "-Werror"]
        self.tools.kotlinc(*flags, "-cp", class_path(libraries), "-d", target, sources)


def build(project: Project, tools: Tools, folder: Path, target: Path, assets: Path | None) -> None:
    """Make the signed APK `target`.

    Args:
        folder: an empty folder to work in.
        assets: what lies in the APK's assets; None: nothing.

    Raises:
        BuildError: a tool refuses the sources.
    """
    made = Build(project, tools, folder)
    base = made.resources(assets)
    made.package(base, made.dex(made.classes()), target)
