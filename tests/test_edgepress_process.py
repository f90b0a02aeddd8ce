"""What commands do to their own process, and what an import does to nobody's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers.utils import logging as transformers_logging

from edgepress.core.loading import open_model, save_model

SESSION = """
import sys, time
from pathlib import Path
from export.core.registry import open_runner
open_runner(Path(sys.argv[1]))
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
    program = "import os; from edgepress.core import process as own; own.prepare()"
    script = f"{program}; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    command = [sys.executable, "-c", script]
    said = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    assert subprocess.run(command, env=said, check=True, capture_output=True, text=True).stdout == "0\n"


UNTOUCHED = """
import logging, os, pkgutil, sys
from importlib import import_module

import datasets, matplotlib, nncf, onnxruntime.quantization, torch, torch.utils._pytree, transformers
import onnxruntime.quantization.matmul_nbits_quantizer
logging.root.setLevel(logging.WARNING)


def process():
    loggers = {name: logging.getLogger(name).level for name in ("", *QUIET, "datasets", "transformers")}
    bars = datasets.are_progress_bars_disabled(), transformers.utils.logging.is_progress_bar_enabled()
    # transformers sets one of TensorFlow's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    handlers, backend = list(logging.root.handlers), matplotlib.rcParams["backend"]
    return loggers, bars, handlers, environment, backend, torch.get_num_threads()


from edgepress.core.process import QUIET
before = process()
for package in ("edgepress", "export", "device_bench", "compress"):
    whole = import_module(package)
    for entry in pkgutil.walk_packages(whole.__path__, f"{package}."):
        if not entry.name.endswith(("__main__", ".preload")):  # what is run, and what a server imports
            import_module(entry.name)
assert process() == before, [(a, b) for a, b in zip(before, process()) if a != b]
"""


def test_transformers_is_as_it_was_after_a_model_is_opened_and_written(
    model_folder: Path, data_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    try:
        transformers_logging.set_verbosity_info()
        transformers_logging.enable_progress_bar()
        save_model(open_model(str(model_folder), task="verdicts", data=data_root), tmp_path)
        assert transformers_logging.get_verbosity() == transformers_logging.INFO
        assert transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.set_verbosity(before[0])
        (
            transformers_logging.enable_progress_bar
            if before[1]
            else transformers_logging.disable_progress_bar
        )()
    assert "it/s" not in capfd.readouterr().err  # of "Writing model shards"


@pytest.mark.slow
def test_no_import_changes_the_process_of_the_user() -> None:
    subprocess.run([sys.executable, "-c", UNTOUCHED], check=True, timeout=240)
