"""ONNX Runtime's reports to its makers: off, unless the user says otherwise."""

import os
import subprocess
import sys
from pathlib import Path

SESSION = """
import sys, time
import edgepress
import onnxruntime
onnxruntime.InferenceSession(sys.argv[1])
time.sleep(1)
"""


def kept(home: Path, onnx_file: Path, **said: str) -> list[str]:
    """The files that a session leaves in a new home; CI, where ONNX Runtime is silent, does not count."""
    home.mkdir()
    own = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    homes = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    command = [sys.executable, "-c", SESSION, str(onnx_file)]
    subprocess.run(command, env={**own, **homes, **said}, check=True, timeout=120)
    return [path.name for path in home.rglob("*") if "onnxruntime" in str(path.relative_to(home))]


def test_a_session_leaves_no_identifier(tmp_path: Path, onnx_file: Path) -> None:
    assert kept(tmp_path / "home", onnx_file) == []


def test_what_the_user_says_stays(tmp_path: Path) -> None:
    script = "import os, edgepress; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    command = [sys.executable, "-c", script]
    said = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    assert subprocess.run(command, env=said, check=True, capture_output=True, text=True).stdout == "0\n"
