"""An arm64 Python with ONNX Runtime under qemu: what exported files answer on a phone's instruction set.

Its answers are ARM's; its times are an emulator's and mean nothing.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from tools.offline_apk.errors import ToolMissingError

# Debian 13's qemu: what runs here has instructions that Debian 12's does not know.
EMULATOR_SUITE, EMULATOR = "trixie", ("qemu-user",)
SYSTEM_SUITE = "bookworm"
SYSTEM = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1"),
    *("libstdc++6", "zlib1g", "libexpat1", "libssl3", "libffi8", "liblzma5", "libbz2-1.0"),
)
PYTHON = "3.11"
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
WHEELS = ("onnxruntime", "numpy", "flatbuffers")
PROGRAM = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
names = [each.name for each in session.get_inputs()]
batches = numpy.load(sys.argv[2])
rows = range(len({name.rpartition("/")[0] for name in batches}))
found = [session.run(None, {name: batches[f"{row}/{name}"] for name in names})[0] for row in rows]
numpy.save(sys.argv[3], numpy.concatenate(found))
"""


@dataclass(frozen=True)
class Arm:
    """Runs ONNX files as an arm64 machine does."""

    folder: Path

    def logits(self, model: Path, batches: list[dict[str, np.ndarray]], scratch: Path) -> np.ndarray:
        """Of all batches, one behind the other."""
        asked, told = scratch / "batches.npz", scratch / "logits.npy"
        named = {f"{row}/{name}": values for row, own in enumerate(batches) for name, values in own.items()}
        np.savez(asked, **named)
        system = self.folder / "system"
        command = [self.folder / "emulator/usr/bin/qemu-aarch64", "-L", system]
        command += [system / "usr/bin" / f"python{PYTHON}", "-c", PROGRAM, model, asked, told]
        places = {"PYTHONHOME": str(system / "usr"), "PYTHONPATH": str(self.folder / "wheels")}
        subprocess.run(command, env={**os.environ, **places}, capture_output=True, check=True)
        found: np.ndarray = np.load(told)
        return found


def bring_arm(folder: Path) -> Arm:
    """Unpack what is not there yet: the emulator, the system, the wheels of this very ONNX Runtime.

    Raises:
        ToolMissingError: one of them cannot be had.
    """
    pieces = {
        "emulator": lambda stage: _unpack(stage, EMULATOR_SUITE, "amd64", EMULATOR),
        "system": lambda stage: _unpack(stage, SYSTEM_SUITE, "arm64", SYSTEM),
        "wheels": _wheels,
    }
    for name, bring in pieces.items():
        if not (folder / name).exists():
            stage = folder / f"{name}.partial"
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir(parents=True)
            bring(stage)
            stage.rename(folder / name)
    return Arm(folder)


def _unpack(stage: Path, suite: str, architecture: str, packages: tuple[str, ...]) -> None:
    """Debian's packages, and only them."""
    archive = stage / "archive"
    wanted = ("--variant=minbase", "--no-resolve-deps", f"--arch={architecture}")
    _run("debootstrap", "--download-only", *wanted, f"--include={','.join(packages)}", suite, archive)
    for package in archive.glob("var/cache/apt/archives/*.deb"):
        if package.name.split("_")[0] in packages:
            _run("dpkg-deb", "-x", package, stage)
    shutil.rmtree(archive)


def _wheels(stage: Path) -> None:
    platforms = [flag for platform in PLATFORMS for flag in ("--platform", platform)]
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
    wanted = [f"{name}=={version(name)}" for name in WHEELS]
    _run(*pip, *platforms, "--python-version", PYTHON, "--dest", stage, *wanted)
    for wheel in list(stage.glob("*.whl")):
        with zipfile.ZipFile(wheel) as content:
            content.extractall(stage)
        wheel.unlink()


def _run(*command: str | Path) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ToolMissingError(f"{error.filename} is not installed") from error
    except subprocess.CalledProcessError as error:
        lines = (error.stdout + error.stderr).strip().splitlines() or [""]
        raise ToolMissingError(f"{command[0]} failed: {lines[-1]}") from error


@pytest.fixture(scope="session")
def arm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Arm:
    """Kept where pytest keeps anything; one folder for each ONNX Runtime."""
    name = f"arm-{version('onnxruntime')}"
    cached = request.config.pluginmanager.hasplugin("cacheprovider")
    folder = request.config.cache.mkdir(name) if cached else tmp_path_factory.mktemp(name)
    try:
        return bring_arm(folder)
    except ToolMissingError as error:
        pytest.skip(str(error))
