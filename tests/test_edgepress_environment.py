"""The machine that figures come from."""

import json
import platform
import sys
from dataclasses import replace
from pathlib import Path

import onnxruntime
import psutil
import pytest

from edgepress.core.environment import RELEVANT_FLAGS, environment


def test_it_describes_this_machine() -> None:
    own = environment()
    assert own.cpu
    assert own.machine == platform.machine()
    assert 1 <= own.cores <= (psutil.cpu_count() or 1)
    assert own.memory_bytes == psutil.virtual_memory().total
    assert own.system.startswith(platform.system())


def test_versions_are_those_in_use() -> None:
    versions = environment().versions
    assert versions["onnxruntime"] == onnxruntime.__version__
    assert versions["python"] == platform.python_version()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_flags_are_the_relevant_ones_of_the_kernels_list() -> None:
    words = set(Path("/proc/cpuinfo").read_text().split())
    assert list(environment().flags) == [flag for flag in RELEVANT_FLAGS if flag in words]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), None),
        (("avx2", "avx512f"), False),
        (("avx2", "avx512f", "avx512_vnni"), True),
        (("avx2", "avx_vnni"), True),
        (("asimd",), False),
        (("asimd", "asimddp"), True),
    ],
)
def test_int8_dot_products(flags: tuple[str, ...], expected: bool | None) -> None:
    assert replace(environment(), flags=flags).vnni is expected


@pytest.mark.parametrize(
    ("machine", "expected"), [("x86_64", False), ("AMD64", False), ("aarch64", True), ("ARM64", True)]
)
def test_arm(machine: str, expected: bool) -> None:
    assert replace(environment(), machine=machine).is_arm is expected


def test_it_can_be_written_as_json() -> None:
    content = json.loads(json.dumps(environment().to_dict()))
    assert content["cpu"] == environment().cpu
    assert content["cores"] == environment().cores


def test_it_is_looked_up_once() -> None:
    assert environment() is environment()
