"""Ctrl-C and SIGTERM at chosen moments of a command's life: one line, an exit code, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import interruptible

ROOT = Path(__file__).parents[1]
# Python imports it before anything else; a real SIGINT comes when a module is looked for, or at the end.
AT_A_MOMENT = """
import atexit, os, signal, sys, threading, time

MOMENT = os.environ["MOMENT"]


def stop():
    os.kill(os.getpid(), signal.SIGINT)


class Finder:
    def find_spec(self, name, *_):
        if name == MOMENT:
            stop()


def after_the_main_thread():
    threading.main_thread().join()
    while True:  # Python does not see one that comes as it begins to wait
        stop()
        time.sleep(0.1)


if MOMENT == "atexit":
    atexit.register(stop)
elif MOMENT == "threads":
    threading.Thread(target=after_the_main_thread).start()
else:
    sys.meta_path.insert(0, Finder())
"""
# A command that begins something, meets a signal, and puts back what it began.
AT_WORK = """
import os, signal, sys, time
from dataclasses import dataclass
from pathlib import Path

from edgepress.core import console

HOW, BEGUN = sys.argv.pop(1), Path(sys.argv.pop(1))


@dataclass(frozen=True, kw_only=True)
class Flags(console.Command):
    pass


class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)


def work(_):
    try:
        BEGUN.touch()
        if HOW == "finalizer":
            Dying()
        elif HOW == "term":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("failed to import") from None
        time.sleep(60)
    finally:
        BEGUN.unlink()


console.run(Flags, work, "work")
"""


def ended(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=known,
        preexec_fn=interruptible,
        timeout=120,
        start_new_session=True,
    )


@pytest.fixture
def stopped_at(tmp_path: Path):
    def run(moment: str, *typed: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "sitecustomize.py").write_text(AT_A_MOMENT)
        return ended([sys.executable, *typed], PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}", MOMENT=moment)

    return run


@pytest.mark.parametrize(
    ("moment", "typed"),
    [
        ("tyro", "-m compress finetune --help"),
        ("atexit", "-m compress finetune --help"),
        ("threads", "-m compress nonsense"),
        *(
            pytest.param(*own, marks=pytest.mark.slow)
            for own in (
                ("edgepress.core.console", "-m compress.finetune --help"),
                ("compress.finetune.pipeline", "-m compress.finetune --model x --task x"),
                ("export.core.format", "-m export.onnx --help"),
                ("device_bench.compare.pipeline", "-m device_bench compare a b"),
            )
        ),
    ],
)
def test_ctrl_c_before_and_after_the_work_ends_at_once(stopped_at, moment, typed):
    done = stopped_at(moment, *typed.split())
    assert done.returncode == 130, done.stderr
    assert done.stderr.endswith("error: interrupted\n")
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr


def test_the_installed_command_too(stopped_at):
    done = stopped_at("rich.console", "-c", "from compress.verbs import main; main()", "--help")
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("finalizer", 130, "error: interrupted; the output is as it was\n"),
        ("term", 143, "error: ended by SIGTERM; the output is as it was\n"),
        ("another error", 130, "error: interrupted\n"),
    ],
)
def test_a_command_at_work_puts_back_what_it_began(tmp_path, how, code, said):
    script, begun = tmp_path / "work.py", tmp_path / "begun"
    script.write_text(AT_WORK)
    done = ended([sys.executable, str(script), how, str(begun)], PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr) == (code, said)
    assert not begun.exists()


def test_whoever_imports_the_suite_keeps_their_ctrl_c():
    program = (
        "import compress, device_bench, export, signal\n"
        "from edgepress.core import console\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    done = ended([sys.executable, "-c", program], PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
