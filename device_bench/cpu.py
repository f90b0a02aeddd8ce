"""The process that runs one file on the CPU: answers one JSON line for each JSON line it is sent.

`python -m device_bench.cpu FILE THREADS VOCABULARY` loads the file, answers with load times, and then takes
`{"batch": b, "sequence_length": s, "runs": n}` until its input ends. It imports no more than its
runtime needs, so that its memory is the runtime's.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from edgepress.errors import EdgepressError
from export.base.registry import open_runner
from export.base.runner import Batch, Runner

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


def peak_memory_bytes() -> int:
    """The largest resident set of this process so far; on macOS and Windows the present one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return int(psutil.Process().memory_info().rss)
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


def serve(path: Path, threads: int, vocabulary: int) -> None:
    """Load the file and answer requests until the input ends."""
    start = time.perf_counter_ns()
    with open_runner(path, threads) as runner:
        load_ms = (time.perf_counter_ns() - start) / 1e6
        first_ms = timed_ms(lambda: runner(make_batch(1, 16, vocabulary)))
        _answer({"runtime": runner.runtime, "load_ms": load_ms, "first_forward_ms": first_ms})
        for line in sys.stdin:
            _answer(_run(runner, json.loads(line), vocabulary))


def _run(runner: Runner, request: dict[str, int], vocabulary: int) -> dict[str, Any]:
    batch: Batch = make_batch(request["batch"], request["sequence_length"], vocabulary)
    samples = [timed_ms(lambda: runner(batch)) for _ in range(request["runs"])]
    return {"samples_ms": samples, "peak_memory_bytes": peak_memory_bytes()}


def _answer(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    try:
        serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    except EdgepressError as error:
        _answer({"error": str(error)})
        sys.exit(error.exit_code)
