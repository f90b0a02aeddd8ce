"""Brings the build's tools into a folder: Debian's packages, npm's Kotlin compiler, PyPI's ONNX Runtime.

Each piece is unpacked beside its place and renamed, so a killed run leaves no half of one.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from android_demo.offline.errors import ToolMissingError

DEBIAN_SUITE = "bullseye"  # the last with dx and the Android framework's classes
DEBIAN_PACKAGES = (
    *("aapt", "zipalign", "apksigner", "libapksig-java", "dalvik-exchange", "proguard-cli", "enjarify"),
    *("libproguard-java", "libandroid-23-java", "android-framework-res"),
    # aapt2 and zipalign run with the libraries that they were built with, whatever this machine has.
    *(
        "android-libandroidfw",
        "android-libutils",
        "android-libbase",
        "android-libziparchive",
        "android-liblog",
    ),
    *("android-libcutils", "android-libbacktrace", "android-libunwind", "p7zip-full", "libpng16-16"),
    *("libprotobuf-lite23", "libexpat1", "libstdc++6", "libgcc-s1", "libc6", "zlib1g", "libzopfli1"),
)
KOTLIN = "kotlin-compiler@2.4.20"
ORT_JAVA = "pyserini==0.40.0"  # its fat jar holds ONNX Runtime 1.17.0's Java API, with natives for the JVM
ORT_ANDROID = "sherpa-onnx-core==2.0.1"
ORT_ANDROID_PLATFORM = "android_24_arm64_v8a"
DOWNLOAD_S = 600


def fetch_debian(stage: Path) -> None:
    """Unpack the packages, and only them: debootstrap brings a base system that nobody needs here."""
    packages = stage / "packages"
    wanted = [
        "--variant=minbase",
        "--no-resolve-deps",
        "--arch=amd64",
        f"--include={','.join(DEBIAN_PACKAGES)}",
    ]
    _run("debootstrap", "--download-only", *wanted, DEBIAN_SUITE, str(packages))
    for package in packages.glob("var/cache/apt/archives/*.deb"):
        if package.name.split("_")[0] in DEBIAN_PACKAGES:
            _run("dpkg-deb", "-x", str(package), str(stage))
    shutil.rmtree(packages)


def fetch_kotlin(stage: Path) -> None:
    """kotlinc's jars."""
    name = _run("npm", "pack", "--silent", KOTLIN, cwd=stage).strip().splitlines()[-1]
    shutil.unpack_archive(stage / name, stage)
    (stage / name).unlink()


def fetch_ort_java(stage: Path) -> None:
    """ONNX Runtime's Java classes (`classes.jar`), and its natives for a JVM on Linux (`natives.jar`)."""
    wheel = _wheel(stage, ORT_JAVA)
    with zipfile.ZipFile(wheel) as content:
        name = next(name for name in content.namelist() if name.endswith("fatjar.jar"))
        fat = Path(content.extract(name, stage))
    with zipfile.ZipFile(fat) as content:
        own = [name for name in content.namelist() if name.startswith("ai/onnxruntime/")]
        _copy(content, [name for name in own if name.endswith(".class")], stage / "classes.jar")
        _copy(
            content,
            [name for name in own if "/linux-" in name and name.endswith(".so")],
            stage / "natives.jar",
        )
    shutil.rmtree(stage / "pyserini")
    wheel.unlink()


def fetch_ort_android(stage: Path) -> None:
    """`libonnxruntime.so` for arm64 phones."""
    platform = ("--only-binary=:all:", "--platform", ORT_ANDROID_PLATFORM)
    wheel = _wheel(stage, ORT_ANDROID, *platform)
    with zipfile.ZipFile(wheel) as content:
        name = next(name for name in content.namelist() if name.endswith("/libonnxruntime.so"))
        (stage / "libonnxruntime.so").write_bytes(content.read(name))
    wheel.unlink()


PIECES: dict[str, Callable[[Path], None]] = {
    "debian": fetch_debian,
    "kotlin": fetch_kotlin,
    "ort-java": fetch_ort_java,
    "ort-android": fetch_ort_android,
}


def fetch(folder: Path) -> None:
    """Bring every piece that is not there yet into `folder`.

    Raises:
        ToolMissingError: one cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, bring in PIECES.items():
        if (folder / name).exists():
            continue
        print(f"fetching {name}", file=sys.stderr)
        stage = folder / f"{name}.{os.getpid()}"
        stage.mkdir()
        try:
            bring(stage)
            stage.rename(folder / name)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def _wheel(stage: Path, requirement: str, *flags: str) -> Path:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *flags)
    _run(*pip, "--dest", str(stage), requirement)
    return next(stage.glob("*.whl"))


def _copy(source: zipfile.ZipFile, names: list[str], target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as content:
        for name in names:
            content.writestr(name, source.read(name))


def _run(*command: str, cwd: Path | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise ToolMissingError(f"{command[0]} is not installed")
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=DOWNLOAD_S, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise ToolMissingError(f"{command[0]} brought nothing within {DOWNLOAD_S} s") from error
    except subprocess.CalledProcessError as error:
        lines = (error.stdout + error.stderr).strip().splitlines() or [""]
        raise ToolMissingError(f"{' '.join(command[:3])} failed: {lines[-1]}") from error
    return done.stdout
