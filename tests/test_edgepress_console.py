"""The end of a command: one line and an exit code, whatever was raised; and where its output goes."""

import errno
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgepress.core import console
from edgepress.core.caches import cache_root
from edgepress.core.causes import said_cause
from edgepress.core.errors import EdgepressError, ExpectationError

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Flags(console.Command):
    output: Path = Path("out")


def end_of(error: BaseException, capsys: pytest.CaptureFixture[str], *typed: str) -> tuple[int, str]:
    """Exit code and stderr of a command that says a step and raises."""

    def verb(_: Flags) -> None:
        console.step("weighing the model")
        raise error

    old, sys.argv = sys.argv, ["weigh", *typed]
    try:
        with pytest.raises(SystemExit) as stop:
            console.run(Flags, verb, "weigh")
    finally:
        sys.argv = old
    return int(stop.value.code or 0), capsys.readouterr().err


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "PYTHONPATH": str(ROOT), "PY": sys.executable, **environment}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=known)


@pytest.mark.parametrize(
    "error", [KeyError("x"), RuntimeError("a\nb"), ValueError(), AssertionError(), RecursionError("deep")]
)
def test_unforeseen_is_one_line_with_the_step(capsys, error):
    code, err = end_of(error, capsys)
    assert code == 70
    _step, line, hint = err.splitlines()
    assert line.startswith("error: unforeseen, at the step 'weighing the model': " + type(error).__name__)
    assert "report" in hint
    assert "--debug" in hint


def test_debug_shows_where(capsys):
    code, err = end_of(KeyError("x"), capsys, "--debug")
    assert code == 70
    assert "Traceback" in err


def test_a_failed_expectation_alone_ends_with_1(capsys):
    assert end_of(ExpectationError("too far"), capsys)[0] == 1
    assert end_of(EdgepressError("bad"), capsys)[0] == 2
    assert end_of(KeyboardInterrupt(), capsys)[0] == 130


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "not enough memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 99 bytes"),
            "not enough memory",
        ),
        (
            RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
            "not enough memory",
        ),
        (RuntimeError("std::bad_alloc"), "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "not enough memory"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "no space left on the disk"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), "no space left on the disk"),
        (RuntimeError("[enforce fail at x.cc:672] . unexpected pos 960 vs 848"), "no space left on the disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no space left on the disk"),
        (ModuleNotFoundError("No module named 'onnx'", name="onnx"), "the package 'onnx' is missing"),
        (ImportError("libfoo.so.1: cannot open shared object file"), "libfoo.so.1: cannot open"),
    ],
)
def test_a_known_cause(capsys, error, says):
    code, err = end_of(error, capsys)
    assert code == 2
    assert says in err
    assert "report" not in err


@pytest.mark.parametrize(
    "error",
    [
        KeyError("memory"),
        ImportError("cannot import name 'x' from 'edgepress'"),
        ModuleNotFoundError("Could not import module 'PreTrainedModel'"),  # as transformers says it
    ],
)
def test_what_has_no_known_cause(error):
    assert said_cause(error) == ""


def test_the_cause_stands_behind_an_error_that_repeats_a_library(capsys):
    error = EdgepressError("coremltools cannot convert bert: error writing")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "cannot convert bert: error writing (no space left on the disk)" in end_of(error, capsys)[1]


def test_a_full_disk_is_found_where_a_library_hides_it(capsys, small_disk):
    disk = small_disk(100_000)
    with pytest.raises(OSError, match="No space"):
        (disk / "filling").write_bytes(b"x" * 200_000)
    code, err = end_of(RuntimeError("unexpected pos 64 vs 0"), capsys, "--output", str(disk / "out"))
    assert code == 2
    assert f"no space left on the disk: {disk} is full" in err.replace("\n", " ")


def test_a_cache_names_its_variable(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path))
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "phones" / "x"))
    code, err = end_of(error, capsys)
    assert code == 2
    assert "EDGEPRESS_CACHE=FOLDER moves" in err


@pytest.mark.parametrize("home", ["/dev/null", "relative"])
def test_a_home_that_is_none_has_a_temporary_cache(monkeypatch, home):
    monkeypatch.delenv("EDGEPRESS_CACHE", raising=False)
    monkeypatch.setenv("HOME", home)
    assert cache_root().is_absolute()
    assert os.access(cache_root().parent, os.W_OK)
    assert cache_root().parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "command", ["-m compress", "-m compress --help", "-m compress finetune --help", "-m export.onnx --help"]
)
def test_a_reader_that_leaves_gets_no_traceback(command):
    done = shell(f"$PY {command} | true; echo ${{PIPESTATUS[0]}}")
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


def test_output_that_cannot_be_written_is_said():
    done = shell("$PY -m compress --help > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed(closed):
    assert shell(f"$PY -m compress finetune --help {closed}").returncode == 0
    assert shell(f"$PY -m compress nonsense {closed}").returncode == 2


@pytest.mark.parametrize("lost", ["2>/dev/full", ">/dev/full 2>/dev/full", ">&- 2>/dev/full"])
def test_a_log_that_cannot_be_written_changes_no_exit_code(lost):
    assert shell(f"$PY -m compress nonsense {lost}").returncode == 2


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyError("x"), 70, "error: unforeseen: KeyError: 'x'"),
        (ImportError("libx.so: cannot open shared object file"), 2, "a shared library is missing"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 2, "error: /x/y: Permission denied"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
    ],
)
def test_what_is_raised_before_the_flags_are_read(capsys, error, code, says):
    console.warn_anew()
    with pytest.raises(SystemExit) as stop, console.whole_output():
        raise error
    assert stop.value.code == code
    err = capsys.readouterr().err
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize("code", [0, 1, "text", None])
def test_a_library_that_ends_the_process(capsys, code):
    assert end_of(SystemExit(code), capsys)[0] == 70
