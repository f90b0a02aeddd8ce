"""An arm64 Python with ONNX Runtime or LiteRT under qemu: what files answer on a phone's instruction set.

Its answers are ARM's; its times are an emulator's and mean nothing.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
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
# Reads batches and keeps logits, as files know no torch; `answer` is the runtime's.
PROGRAM = """
import sys, numpy
batches = numpy.load(sys.argv[2])
rows = range(len({name.rpartition("/")[0] for name in batches}))
found = []
for row in rows:
    found.append(answer({name: batches[f"{row}/{name}"] for name in names}))
numpy.save(sys.argv[3], numpy.concatenate(found))
"""


@dataclass(frozen=True)
class Runtime:
    """A runtime that an arm64 Python brings."""

    package: str
    """Name of its package; a folder of the cache is of one version."""
    wheels: tuple[str, ...]
    """Packages that it needs to run a file."""
    opens: str
    """Python that opens the file, with `names` of inputs and a function `answer` of a batch."""


ONNX_RUNTIME = Runtime(
    "onnxruntime",
    ("onnxruntime", "numpy", "flatbuffers"),
    """
import sys, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
names = [each.name for each in session.get_inputs()]
answer = lambda batch: session.run(None, batch)[0]
""",
)
LITERT = Runtime(
    "ai-edge-litert",
    ("ai-edge-litert", "numpy"),
    """
import sys, numpy
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1])
lengths = sorted(int(name.removeprefix("tokens_")) for name in model.get_signature_list())
names = list(model.get_signature_runner(f"tokens_{lengths[0]}").get_input_details())
def answer(batch):
    given = batch[names[0]].shape[1]
    longer = next(length for length in lengths if length >= given)
    pad = lambda values: numpy.pad(values.astype("int32"), ((0, 0), (0, longer - given)))
    run = model.get_signature_runner(f"tokens_{longer}")
    return run(**{name: pad(values) for name, values in batch.items()})["logits"]
""",
)
RUNTIMES = {own.package: own for own in (ONNX_RUNTIME, LITERT)}


@dataclass(frozen=True)
class Arm:
    """Runs files as an arm64 machine does."""

    folder: Path
    runtime: Runtime

    def logits(self, model: Path, batches: list[dict[str, np.ndarray]], scratch: Path) -> np.ndarray:
        """Of all batches, one behind the other."""
        asked, told = scratch / "batches.npz", scratch / "logits.npy"
        named = {f"{row}/{name}": values for row, own in enumerate(batches) for name, values in own.items()}
        np.savez(asked, **named)
        system = self.folder / "system"
        command = [self.folder / "emulator/usr/bin/qemu-aarch64", "-L", system]
        command += [
            system / "usr/bin" / f"python{PYTHON}",
            "-c",
            self.runtime.opens + PROGRAM,
            model,
            asked,
            told,
        ]
        places = {"PYTHONHOME": str(system / "usr"), "PYTHONPATH": str(self.folder / "wheels")}
        subprocess.run(command, env={**os.environ, **places}, capture_output=True, check=True)
        found: np.ndarray = np.load(told)
        return found


def bring_arm(folder: Path, runtime: Runtime) -> Arm:
    """Unpack what is not there yet: the emulator, the system, the wheels of this very version of the runtime.

    Raises:
        ToolMissingError: one of them cannot be had.
    """
    pieces = {
        "emulator": lambda stage: _unpack(stage, EMULATOR_SUITE, "amd64", EMULATOR),
        "system": lambda stage: _unpack(stage, SYSTEM_SUITE, "arm64", SYSTEM),
        "wheels": lambda stage: _wheels(stage, runtime.wheels),
    }
    for name, bring in pieces.items():
        if not (folder / name).exists():
            stage = folder / f"{name}.partial"
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir(parents=True)
            bring(stage)
            stage.rename(folder / name)
    return Arm(folder, runtime)


def _unpack(stage: Path, suite: str, architecture: str, packages: tuple[str, ...]) -> None:
    """Debian's packages, and only them."""
    archive = stage / "archive"
    wanted = ("--variant=minbase", "--no-resolve-deps", f"--arch={architecture}")
    _run("debootstrap", "--download-only", *wanted, f"--include={','.join(packages)}", suite, archive)
    for package in archive.glob("var/cache/apt/archives/*.deb"):
        if package.name.split("_")[0] in packages:
            _run("dpkg-deb", "-x", package, stage)
    shutil.rmtree(archive)


def _wheels(stage: Path, names: tuple[str, ...]) -> None:
    platforms = [flag for platform in PLATFORMS for flag in ("--platform", platform)]
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
    wanted = [f"{name}=={version(name)}" for name in names]
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
def arm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Arm]:
    """Brings an arm64 Python with a runtime, by its package's name.

    It is kept where pytest keeps anything, in one folder for each version of the runtime.
    """

    @cache
    def bring(package: str) -> Arm:
        name = f"arm-{package}-{version(package)}"
        cached = request.config.pluginmanager.hasplugin("cacheprovider")
        folder = request.config.cache.mkdir(name) if cached else tmp_path_factory.mktemp(name)
        try:
            return bring_arm(folder, RUNTIMES[package])
        except ToolMissingError as error:
            pytest.skip(str(error))

    return bring
