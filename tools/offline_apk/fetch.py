"""Brings the build's tools into a folder: Debian's packages, npm's Kotlin compiler and ONNX Runtime.

Each piece is unpacked beside its place and renamed, so a killed run leaves no half of one. Builds that begin
at once wait for the one that fetches.
"""

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.offline_apk.classfile import lowered
from tools.offline_apk.elf import Library
from tools.offline_apk.errors import BuildError, ToolMissingError
from tools.offline_apk.project import ABI

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
# Holds the very file that Maven has as onnxruntime-android 1.26.0, and the runtime for Linux on x86_64.
ORT = "com.github.asus4.onnxruntime@0.4.8"
ORT_VERSION = "1.26.0"
ORT_HASHES = {
    "Plugins/Android/onnxruntime.aar": "09c0780ae8d734ef2774bdf498b624729a855e6f9a8e488a0e7398a4e7396032",
    "Plugins/Linux/x64/libonnxruntime.so": "5bd5bedf736fc501692435d0ec4f6e8b2bdf48cd30af8e6d00d61b3ddc9a7ab8",
}
ORT_LIBRARIES = ("libonnxruntime.so", "libonnxruntime4j_jni.so")
DOWNLOAD_S = 900


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
    """Download the jars of kotlinc."""
    name = _run("npm", "pack", "--silent", KOTLIN, cwd=stage).strip().splitlines()[-1]
    unpack(stage / name, stage)
    (stage / name).unlink()


def unpack(package: Path, folder: Path) -> None:
    """Unpack a package of npm, of which nothing may reach out of `folder`: no `..`, no link, no device.

    Raises:
        BuildError: something in it would, or it is no archive.
        ToolMissingError: this Python cannot tell.
    """
    if not hasattr(tarfile, "data_filter"):
        raise ToolMissingError("unpacking needs Python 3.10.12, 3.11.4 or a newer one")
    try:
        with tarfile.open(package) as content:
            content.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BuildError(f"{package.name} is not unpacked: {error}") from error


def fetch_ort(stage: Path) -> None:
    """ONNX Runtime's Java classes, its libraries for phones, and what the classes load on a JVM on Linux."""
    package = stage / _run("npm", "pack", "--silent", ORT, cwd=stage).strip().splitlines()[-1]
    with tarfile.open(package) as content:
        aar, linux = (checked_file(content, name) for name in ORT_HASHES)
    package.unlink()
    with zipfile.ZipFile(io.BytesIO(aar)) as content:
        for name in ORT_LIBRARIES:
            content.extract(f"jni/{ABI}/{name}", stage)
        jni = content.read(f"jni/x86_64/{ORT_LIBRARIES[1]}")
        classes = zipfile.ZipFile(io.BytesIO(content.read("classes.jar")))
    own = [name for name in classes.namelist() if name.endswith(".class")]
    _pack(stage / "classes.jar", {name: lowered(classes.read(name)) for name in own})
    both = dict(zip(ORT_LIBRARIES, jvm_natives(linux, jni), strict=True))
    _pack(stage / "natives.jar", {f"ai/onnxruntime/native/linux-x64/{name}": both[name] for name in both})


def jvm_natives(linux: bytes, jni: bytes) -> tuple[bytes, bytes]:
    """The runtime for Linux, and Android's layer between it and Java in a form that Linux loads.

    That layer calls nothing that Linux has not, but names Android's libraries, of which Linux has others that
    are there already, and NNAPI, which is Android's alone: never ask for that on a JVM.
    """
    named = b"libonnxruntime.so.1\0"
    linux = linux.replace(named, b"libonnxruntime.so".ljust(len(named), b"\0"))
    android = {"libc.so", "libm.so", "libdl.so"}
    return linux, Library(jni).loosened(android, "OrtSessionOptionsAppendExecutionProvider_Nnapi")


PIECES: dict[str, Callable[[Path], None]] = {
    "debian": fetch_debian,
    "kotlin": fetch_kotlin,
    "onnxruntime": fetch_ort,
}


def fetch(folder: Path) -> None:
    """Bring every piece that is not there yet into `folder`.

    Raises:
        ToolMissingError: one cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, bring in PIECES.items():
        if not (folder / name).exists():
            with _alone(folder):
                _fetch_piece(folder / name, bring)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is in the block with this folder; a killed one is in none."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_piece(place: Path, bring: Callable[[Path], None]) -> None:
    if place.exists():  # another process brought it meanwhile
        return
    print(f"fetching {place.name}", file=sys.stderr)
    stage = place.with_name(f"{place.name}.{os.getpid()}")
    stage.mkdir()
    try:
        bring(stage)
        stage.rename(place)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def checked_file(package: tarfile.TarFile, name: str) -> bytes:
    """A file of ONNX Runtime's package, which is the one that is expected."""
    file = package.extractfile(f"package/{name}")
    content = file.read() if file else b""
    if hashlib.sha256(content).hexdigest() != ORT_HASHES[name]:
        raise BuildError(f"{ORT} has another {name} than it had: see what changed before you use it")
    return content


def _pack(target: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as content:
        for name, data in files.items():
            content.writestr(name, data)


def _run(*command: str, cwd: Path | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise ToolMissingError(f"{command[0]} is not installed: apt install {command[0]}")
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
