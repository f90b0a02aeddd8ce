"""Commands as processes: started anew, or forked from this one, which has paid for the imports already.

Only what is killed has to be a process of its own from its first instruction on. What merely runs to its end
is forked: importing torch and transformers takes longer than all that a tiny model needs.
"""

import os
import re
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import psutil

from benchmarks.faults.material import environment

PRELOADED = (
    "matplotlib.pyplot",
    "compress.finetune.pipeline",
    "compress.distill.pipeline",
    "compress.prune.pipeline",
    "compress.quantize.pipeline",
    "compress.recipe.pipeline",
    "device_bench.charts.pipeline",
    "device_bench.compare.pipeline",
    "device_bench.report.pipeline",
    "export.command.pipeline",
    "export.onnx_graph.exporting",
    "onnxruntime",
)
# The line of a traceback that names the exception.
RAISED = re.compile(r"[\w.]*(Error|Exception|Interrupt)\b")
POLL_S = 0.01
LONGEST_S = 600.0


@dataclass(frozen=True)
class Ended:
    """End of a command: exit code, output, duration and memory."""

    code: int
    """Exit code; below 0 the signal that ended it."""
    screen: str
    """Standard output and standard error together."""
    seconds: float
    memory: int = 0
    """Largest resident set beyond what the imports had taken [bytes]; of forked ones only."""
    hung: bool = False
    """Whether it was ended for taking too long."""

    @property
    def error(self) -> str:
        """The line that says what was wrong; empty where there is none."""
        return next((line for line in self.screen.splitlines() if line.startswith("error:")), "")

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.screen

    @property
    def raised(self) -> str:
        """Last line of a traceback, after the last two places of this suite in it."""
        lines = [line.strip() for line in self.screen.splitlines()]
        own = [line for line in lines if line.startswith('File "') and "lib/python" not in line]
        ends = [line for line in lines if RAISED.match(line)]
        return " | ".join([*own[-2:], *ends[-1:]])


def preload() -> None:
    """Import what the commands import."""
    for name in PRELOADED:
        import_module(name)


def start(typed: Sequence[str], home: Path, log: Path) -> "subprocess.Popen[bytes]":
    """`python -m TYPED` in a process group of its own; what it shows goes to `log`."""
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", *typed],
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def family(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """A process's descendants, whatever group they are in."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def kill(process: "subprocess.Popen[bytes]", orphans: bool) -> list[psutil.Process]:
    """`kill -9` of a process group.

    Args:
        process: leads its group.
        orphans: whether descendants with groups of their own go on: the step of a recipe that was killed.

    Returns:
        the descendants that may still be there.
    """
    below = family(process)
    if process.poll() is None:
        _end_group(process.pid)
        process.wait()
    if not orphans:
        end(below)
    return below


def end(processes: Sequence[psutil.Process]) -> None:
    """Kill those that are still there, and wait until they are gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def run(
    typed: Sequence[str],
    home: Path,
    log: Path,
    longest_s: float = LONGEST_S,
    memory: int = 0,
    watch: Callable[[], object] = lambda: None,
) -> Ended:
    """`python -m TYPED` in a fork of this process.

    Args:
        typed: module and arguments.
        home: for its caches and temporary files.
        log: where it shows what it shows.
        longest_s: it is ended after so long.
        memory: most address space that it may take beyond what this process has [bytes]; 0: any.
        watch: called every now and then while it runs.
    """
    before = psutil.Process().memory_info()
    started = time.monotonic()
    pid = os.fork()
    if not pid:
        _child(typed, home, log, before.vms + memory if memory else 0)
    try:
        code, peak, hung = _await(pid, started + longest_s, watch)
    except BaseException:  # Ctrl-C: nothing outlives the campaign
        _end_group(pid)
        raise
    seconds = time.monotonic() - started
    screen = log.read_text(encoding="utf-8", errors="replace")
    return Ended(code, screen, seconds, max(0, peak - before.rss), hung)


def _await(pid: int, deadline: float, watch: Callable[[], object]) -> tuple[int, int, bool]:
    """Exit code, largest resident set [bytes], and whether it had to be ended."""
    hung = False
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, hung
        if not hung and time.monotonic() > deadline:
            hung = True
            _end_group(pid)
        watch()
        time.sleep(POLL_S)


def _end_group(leader: int) -> None:
    """`kill -9` of a group whose leader may not have made it yet."""
    for kill_ in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill_(leader, signal.SIGKILL)


def _child(typed: Sequence[str], home: Path, log: Path, address_space: int) -> None:
    """Be the command; never returns."""
    code = 1
    try:
        os.setsid()
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as it lives
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        _take_environment(home)
        if address_space:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        sys.argv = list(typed)
        runpy.run_module(typed[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 0xFF)


def _take_environment(home: Path) -> None:
    """What libraries read from the environment as they were imported is read again."""
    import datasets

    os.environ.clear()
    os.environ.update(environment(home))
    tempfile.tempdir = None
    datasets.config.HF_DATASETS_CACHE = Path(os.environ["HF_HOME"]) / "datasets"
