"""The process that runs one file on the CPU: answers one JSON line for each JSON line it is sent.

`python -m device_bench.cpu FILE THREADS VOCABULARY [MODE]` loads the file, answers with load times, and then
takes, until its input ends,

    {"batch": b, "sequence_length": s, "runs": n}       runs at one shape
    {"batch": b, "padding": p, "texts": file}           one pass over texts
    {"logits": file, "texts": file, "rows": [a, b]}     logits of texts a to b - 1, one by one, into a file

It imports no more than its runtime needs, so that its memory is the runtime's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from device_bench.texts import load, pass_batches, stacked
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.memory import peak_memory_bytes
from edgepress.core.process import prepare
from export.core.runner import Batch, Runner

# Ids of common word pieces in BERT's vocabulary; dense arithmetic does not care which.
TOKEN_IDS = (1000, 20000)
SMALLEST_VOCABULARY = 100


def make_batch(batch: int, sequence_length: int, vocabulary: int) -> dict[str, np.ndarray]:
    """Token ids drawn with a fixed seed, all of them attended to; (batch, sequence_length) int64."""
    low, high = TOKEN_IDS if vocabulary > TOKEN_IDS[1] else (0, min(vocabulary, SMALLEST_VOCABULARY))
    shape = (batch, sequence_length)
    ids = np.random.default_rng(0).integers(low, high, size=shape, dtype=np.int64)
    return {
        "input_ids": ids,
        "attention_mask": np.ones(shape, dtype=np.int64),
        "token_type_ids": np.zeros(shape, dtype=np.int64),
    }


def timed_ms(call: Callable[[], object]) -> float:
    """Wall time of one call [ms]."""
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


Clock = Callable[[Runner, Batch, int], list[float]]
Memory = Callable[[Runner], int]
Seconds = Callable[[], float]


def wall_clock(runner: Runner, batch: Batch, runs: int) -> list[float]:
    """Time so many runs [ms].

    Not by `timed_ms`: after a model's run a call of Python's is far from the caches, and takes 5 us.
    """
    samples = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        runner(batch)
        samples.append((time.perf_counter_ns() - start) / 1e6)
    return samples


def share_without_core(
    work: Callable[[], list[float]],
    wall: Seconds = time.perf_counter,
    cpu: Seconds = time.process_time,
) -> tuple[list[float], float]:
    """Do the work of one thread.

    Args:
        work: gives the times of its runs.
        wall: reads the time of day, in seconds.
        cpu: reads the CPU time of this process, in seconds.

    Returns:
        what the work gave, and the share of its time in which the process had no core, 0..1.
    """
    start, cpu_start = wall(), cpu()
    samples = work()
    used, spent = cpu() - cpu_start, wall() - start
    return samples, min(max(1 - used / spent, 0.0), 1.0) if spent > 0 else 0.0


def own_memory(_: Runner) -> int:
    """Peak memory of the process [bytes]: a runtime on the CPU has it all."""
    return peak_memory_bytes()


def serve(
    open_: Callable[[], Runner],
    vocabulary: int,
    clock: Clock = wall_clock,
    environment: Callable[[], dict[str, Any]] = dict,
    memory: Memory = own_memory,
    watch_core: bool = False,
) -> None:
    """Open the runner and answer requests until the input ends.

    Args:
        open_: gives the runner; how long that takes is its load time.
        vocabulary: ids to draw from.
        clock: times runs.
        environment: what its records are to say of the machine besides what the suite knows of it.
        memory: the most memory that the runner took so far; on a GPU, since it was last asked.
        watch_core: answer too how long a round's runs had no core, which the CPU time of one thread tells.
    """
    start = time.perf_counter_ns()
    with open_() as runner:
        load_ms = (time.perf_counter_ns() - start) / 1e6
        first_ms = timed_ms(lambda: runner(make_batch(1, 16, vocabulary)))
        times = {"load_ms": load_ms, "first_forward_ms": first_ms}
        _answer({"runtime": runner.runtime, **times, "environment": environment()})
        for line in sys.stdin:
            found = _run(runner, json.loads(line), vocabulary, clock, watch_core)
            _answer({**found, "peak_memory_bytes": memory(runner)})


def _run(
    runner: Runner, request: dict[str, Any], vocabulary: int, clock: Clock, watch_core: bool
) -> dict[str, Any]:
    if "logits" in request:
        texts = load(request["texts"])[slice(*request["rows"])]
        np.save(request["logits"], stacked([runner(batch)[0] for batch in texts]))
        return {}
    if "padding" in request:
        batches = _pass_batches(request["texts"], request["batch"], request["padding"])
        return _timed(lambda: [timed_ms(lambda: [runner(batch) for batch in batches])], watch_core)
    batch = _batch(request["batch"], request["sequence_length"], vocabulary)
    return _timed(lambda: clock(runner, batch, request["runs"]), watch_core)


def _timed(work: Callable[[], list[float]], watch_core: bool) -> dict[str, Any]:
    if not watch_core:
        return {"samples_ms": work()}
    samples, waited = share_without_core(work)
    return {"samples_ms": samples, "waited": waited}


_batch = cache(make_batch)  # drawing it takes as long as a small model's run


@cache
def _pass_batches(texts: Path, batch: int, padding: Any) -> list[Batch]:
    return pass_batches(load(texts), batch, padding)


def _answer(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


def answer_errors(work: Callable[[], None]) -> None:
    """Do a worker's work; what it raises becomes its last answer."""
    prepare()
    try:
        work()
    except EdgepressError as error:
        _answer({"error": str(error)})
        sys.exit(error.exit_code)
    except Exception as error:  # runtimes raise whatever they like
        _answer({"error": first_line(error)})
        sys.exit(EdgepressError.exit_code)


def open_target(path: Path, threads: int, mode: str = "") -> Runner:
    """The runner for a file, or for the weights beside it in one of `device_bench.plan.EAGER_MODES`."""
    if mode:
        from device_bench.eager import open_eager

        return open_eager(path, threads, mode)
    from export.core.registry import open_runner

    return open_runner(path, threads)


def main(path: str, threads: str, vocabulary: str, mode: str = "") -> None:
    """Serve a file on the CPU, as the command line says."""
    alone = int(threads) == 1
    serve(lambda: open_target(Path(path), int(threads), mode), int(vocabulary), watch_core=alone)


if __name__ == "__main__":
    answer_errors(lambda: main(*sys.argv[1:]))
