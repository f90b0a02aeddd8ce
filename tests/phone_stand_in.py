"""A phone to test against: a real adbd in namespaces of its own, with shims for what only Android has.

Everything of it lives in network, mount and process namespaces that `unshare` makes: when that process ends,
no mount, process or interface of it is left. adb's server runs in there as well and is reached through a
socket file, so that neither a port of this machine nor a phone that is plugged in is touched.
"""

import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from device_bench.plan import Target

FOLDER = Path(__file__).parent / "phone"
RELEASE = "trixie"  # the first Debian that has adbd
DOWNLOAD_S = 120
TOOLS = ("adb", "debootstrap", "dpkg-deb", "unshare", "nsenter", "setpriv", "ip", "chroot")
SHIMS = ("getprop", "dumpsys", "settings", "svc", "input", "wm", "pm", "am", "logcat")
SERVER_VARIABLES = ("ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_PORT", "ANDROID_SERIAL")

STATE = {
    "properties": """[ro.build.fingerprint]: [edgepress/stand-in/test:14/1/1:user/release-keys]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.edgepress.emulated]: [1]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
[ro.product.manufacturer]: [Edgepress]
[ro.product.model]: [Stand-in]
[ro.soc.manufacturer]: [None]
[ro.soc.model]: [SoC 1]
""",
    "battery": """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  status: 2
  level: 87
  scale: 100
  temperature: 251
""",
    "thermalservice": """IsStatusOverride: false
ThermalStatusListeners:
\tcallbacks: 1
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=31.5, mType=3, mName=skin, mStatus=0}
HAL Ready: true
""",
    "wakefulness": "Asleep\n",
    "idle-light": "1\n",
    "idle-deep": "0\n",
    "setting-stay_on_while_plugged_in": "2\n",
    "crash-log": "",
    "calls": "",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1804800\n",
    "sys/devices/system/cpu/cpu4/cpufreq/scaling_max_freq": "2841600\n",
}


def require_tools() -> None:
    """Skip, with the reason, where no such phone can be made."""
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("namespaces and mounts need root")
    probe = ["unshare", "--net", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")


def adbd_libraries(cache: Path) -> Path:
    """The folder of libraries beside Debian's adbd, unpacked into `cache` the first time."""
    root = cache / RELEASE
    if not root.exists():
        stage = cache / f"{RELEASE}.{os.getpid()}"
        try:
            _unpack(stage)
            stage.rename(root)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            shutil.rmtree(_packages(stage), ignore_errors=True)
    return next(root.glob("usr/lib/*/android")).parent


def _packages(stage: Path) -> Path:
    return stage.with_name(f"{stage.name}.packages")


def _unpack(stage: Path) -> None:
    """Only adbd's files are wanted: what would have to be configured as a system stays a package."""
    options = ["--download-only", "--variant=minbase", "--include=adbd"]
    command = ["debootstrap", *options, RELEASE, str(_packages(stage))]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_S, check=True)
    except subprocess.TimeoutExpired:
        pytest.skip(f"no adbd from Debian within {DOWNLOAD_S} s")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no adbd from Debian: {(error.stdout + error.stderr).strip().splitlines()[-1]}")
    for package in sorted(_packages(stage).glob("var/cache/apt/archives/*.deb")):
        if package.name.startswith(("adbd_", "android-", "lib")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(stage)], check=True)


class Phone:
    """One or more stand-ins behind one adb server."""

    def __init__(self, folder: Path, libraries: Path, ports: tuple[int, ...] = (15555,)) -> None:
        self.serials = [f"127.0.0.1:{port}" for port in ports]
        self.state = folder / "state"
        self._write_state()
        self._root = folder / "root"
        self._root.mkdir()
        socket = folder / "adb.socket"
        own = {"ADB_SERVER_SOCKET": f"localfilesystem:{socket}", "EDGEPRESS_CACHE": str(folder / "cache")}
        self.environment = {**os.environ, **own}
        isolated = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        boot = [str(FOLDER / "boot.sh"), *map(str, (self._root, self.state, libraries, socket, *ports))]
        # Nothing may outlive the tests, not even where they are killed.
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *isolated, "sh", *boot])
        try:
            self._connect(socket)
        except BaseException:
            self.close()
            raise

    def _write_state(self) -> None:
        for name, content in STATE.items():
            self.write(name, content)
        self.write("python", sys.executable)
        shutil.copytree(FOLDER / "bin", self.state / "bin")
        for name in SHIMS:
            (self.state / "bin" / name).symlink_to("shim")

    def _connect(self, socket: Path) -> None:
        until = time.monotonic() + 20
        while not socket.exists() and time.monotonic() < until:
            time.sleep(0.05)
        for serial in self.serials:
            while "connected" not in self.adb("connect", serial) and time.monotonic() < until:
                time.sleep(0.1)

    def adb(self, *arguments: str) -> str:
        """What adb prints."""
        command = ["adb", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    def write(self, name: str, content: str) -> None:
        """Set one of the things that the shims answer."""
        path = self.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def read(self, name: str) -> str:
        """What one of them holds now; "" where it is not there."""
        path = self.state / name
        return path.read_text().strip() if path.exists() else ""

    @property
    def calls(self) -> list[str]:
        """What the shims were called with."""
        return self.read("calls").splitlines()

    @property
    def changes(self) -> dict[str, str]:
        """Everything that a measurement changes on the device."""
        names = ("setting-stay_on_while_plugged_in", "idle-light", "idle-deep", "wakefulness", "installed")
        folders = ("/data/local/tmp", "/sdcard/Android/media/org.edgepress.demo/edgepress")
        listed = {folder: self.adb("-s", self.serials[0], "shell", f"ls {folder}") for folder in folders}
        kept = {name: self.read(name) for name in names if (self.state / name).exists()}
        return {**kept, **{folder: "" if "No such file" in text else text for folder, text in listed.items()}}

    def daemon(self, port: int = 15555) -> psutil.Process:
        """The adbd of one of them."""
        inside = psutil.Process(self._process.pid).children(recursive=True)
        return next(
            one
            for one in inside
            if any(part.endswith("/adbd") for part in one.cmdline())
            and one.environ()["ADBD_PORT"] == str(port)
        )

    def beside(self, program: str, *arguments: object) -> subprocess.Popen[bytes]:
        """Run a Python program of `phone/` in its network."""
        network = f"--net=/proc/{self.daemon().pid}/ns/net"
        command = [sys.executable, str(FOLDER / program), *map(str, arguments)]
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "nsenter", network, *command])

    def close(self) -> None:
        """End it, and everything in its namespaces with it."""
        self._process.kill()
        self._process.wait()
        self._root.rmdir()  # fails where a mount would be left


@pytest.fixture(scope="session")
def libraries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """adbd's libraries; kept from one run to the next where pytest keeps anything."""
    require_tools()
    cached = request.config.pluginmanager.hasplugin("cacheprovider")
    return adbd_libraries(request.config.cache.mkdir("adbd") if cached else tmp_path_factory.mktemp("adbd"))


@pytest.fixture(scope="module")
def boot(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Phone]]:
    """Boot a phone; all are gone after the module's tests, and nothing of them is left."""
    phones: list[Phone] = []

    def start(*ports: int) -> Phone:
        phones.append(Phone(tmp_path_factory.mktemp("phone"), libraries, ports or (15555,)))
        return phones[-1]

    yield start
    for phone in phones:
        phone.close()
    mounted = Path("/proc/mounts").read_text()
    assert not any(str(phone.state.parent) in mounted for phone in phones)
    assert not any("adbd" in " ".join(child.cmdline()) for child in psutil.Process().children(recursive=True))


def use(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> Phone:
    for name in SERVER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("ADB_SERVER_SOCKET", "EDGEPRESS_CACHE"):  # others have a phone of this serial, too
        monkeypatch.setenv(name, phone.environment[name])
    return phone


@pytest.fixture
def bare(boot: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch) -> Phone:
    """A phone of this test's own, without the app."""
    return use(boot(), monkeypatch)


@pytest.fixture
def phone(bare: Phone) -> Phone:
    """The same with the app."""
    bare.write("installed", "")
    return bare


@pytest.fixture(scope="module")
def phone_folder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained classifier as an ONNX file, with its tokenizer beside it."""
    from transformers import BertForSequenceClassification

    from export.onnx import export

    target = tmp_path_factory.mktemp("phone-models") / "small-bert"
    shutil.copytree(model_folder, target)
    export(BertForSequenceClassification.from_pretrained(model_folder).eval(), target / "model.onnx")
    return target


@pytest.fixture(scope="module")
def phone_targets(phone_folder: Path) -> list[Target]:
    from export.core.scheme import CPU_TARGETS, Options
    from export.onnx_graph.schemes import SCHEMES

    smaller = phone_folder / "model_quantized.onnx"
    SCHEMES["int8-dynamic"].quantize(phone_folder / "model.onnx", smaller, Options(CPU_TARGETS["avx2"]))
    return [Target("fp32", phone_folder / "model.onnx"), Target("int8", smaller)]


@pytest.fixture
def broken_target(tmp_path: Path, phone_targets: list[Target]) -> Target:
    path = tmp_path / "broken.onnx"
    path.write_bytes(phone_targets[0].path.read_bytes()[:3000])
    return Target("broken", path)


@pytest.fixture
def stand_in_apk(tmp_path: Path) -> Path:
    """As much of an APK as is looked at on this side: a zip with native code of one ABI."""
    path = tmp_path / "demo.apk"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("lib/arm64-v8a/libonnxruntime.so", b"\x7fELF")
    return path
