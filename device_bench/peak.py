"""Peak of the CPU at a model's matrix products, and the share of it that a file reaches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_bench.plan import Plan, Target
from device_bench.records import Measurement
from edgepress.core import console
from edgepress.core.environment import environment
from edgepress.core.errors import EdgepressError

INT8, FP32 = "int8", "fp32"
WITHOUT_AMX = "int8 without AMX"
COPY = "copy_gb_s"
AMX = "amx_int8"
DOT_PRODUCTS_ALONE = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}
"""Environment in which oneDNN uses no tiles; other libraries have no such switch."""
ONEDNN = "oneDNN"


def with_peak(targets: Sequence[Target], plan: Plan, folders: Mapping[Target, Path | None]) -> list[Target]:
    """The targets with the machine's peak at their models' products, and with their operations.

    Args:
        targets: the files.
        plan: lengths and threads; the products have as many rows as its longest length.
        folders: the artifact of each file; what is in none has neither.

    Raises:
        EdgepressError: no file lies in an artifact, or no library could be measured.
    """
    from device_bench.operations import count_operations, model_of, product_shapes

    operations: dict[Path, dict[int, int]] = {}
    shapes: dict[tuple[int, int], None] = {}
    for folder in dict.fromkeys(own for own in folders.values() if own is not None):
        model = model_of(folder)
        operations[folder] = count_operations(model, plan.sequence_lengths)
        shapes |= dict.fromkeys(product_shapes(model))
    if not shapes:
        raise EdgepressError(
            "--peak counts the operations of models, and none of these files lies in an artifact",
            "name the folders that export or quantize wrote",
        )
    console.step(f"measuring what {plan.threads} thread{'s' * (plan.threads > 1)} can do here")
    peak = measure_peak(plan.threads, max(plan.sequence_lengths), list(shapes))
    console.step(in_words(peak))
    return [
        replace(
            own, known={**own.known, "peak": peak, "operations": operations.get(folders[own] or Path(), {})}
        )
        for own in targets
    ]


def measure_peak(threads: int, rows: int, matrices: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """The best of all libraries that are installed, for each precision, as records keep it.

    Args:
        threads: of each library.
        rows: of the activations.
        matrices: shapes (in, out) of the weights.

    Raises:
        EdgepressError: none could be measured.
    """
    found = _ask(threads, rows, matrices, {})
    peak: dict[str, Any] = {COPY: found[COPY]}
    for precision in (FP32, INT8):
        peak |= _best(precision, (own for own in found["products"] if own["precision"] == precision))
    if AMX in environment().flags:
        plain = _ask(threads, rows, matrices, DOT_PRODUCTS_ALONE)["products"]
        own = (one for one in plain if one["precision"] == INT8 and one["library"].startswith(ONEDNN))
        peak |= _best(WITHOUT_AMX, own)
    return peak


def _best(name: str, found: Iterable[dict[str, Any]]) -> dict[str, Any]:
    best = max(found, key=lambda own: own["gops"], default=None)
    return {} if best is None else {name: {key: best[key] for key in ("gops", "library", "shape")}}


def _ask(
    threads: int, rows: int, matrices: Sequence[tuple[int, int]], settings: Mapping[str, str]
) -> dict[str, Any]:
    """Measure in a process of its own, whose libraries start as many threads."""
    command = [sys.executable, "-m", "device_bench.products", str(threads), str(rows)]
    command += [f"{inner},{columns}" for inner, columns in matrices]
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    own = {**os.environ, **counts, **settings}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["its process was killed"])[-1]
        raise EdgepressError(f"the machine's peak cannot be measured: {last}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def in_words(peak: Mapping[str, Any]) -> str:
    """The peaks, each with its library and shape."""
    parts = [
        f"{name} {own['gops']:.0f} {'GFLOP' if name == FP32 else 'GOP'}/s "
        f"({own['library']}, {' x '.join(map(str, own['shape']))})"
        for name, own in peak.items()
        if name != COPY
    ]
    return f"peak: {', '.join(parts)}; copying {peak[COPY]:.1f} GB/s"


def peak_name(record: Measurement) -> str:
    """Name of the peak that a file's share is of: int8 for int8 files, fp32 for all others."""
    return INT8 if record.precision == INT8 else FP32


def shares_of_peak(record: Measurement) -> dict[str, float]:
    """Share, 0..1, of each peak of the file's precision; none where nothing was counted or measured.

    It is of the file's quickest run, as a peak is of the quickest product: on a machine that others use, too,
    a median would say more of them than of the file. Where the CPU has AMX there is a share of each peak of
    int8, with it and without.
    """
    if not record.operations or not record.all_samples_ms:
        return {}
    gops = record.operations / min(record.all_samples_ms) / 1e6
    name = peak_name(record)
    wanted = (name, WITHOUT_AMX) if name == INT8 else (name,)
    return {each: gops / record.peak[each]["gops"] for each in wanted if each in record.peak}


def share_in_words(record: Measurement) -> str:
    """The shares of a file: "61 % of int8"; empty where there are none."""
    return ", ".join(f"{100 * share:.0f} % of {name}" for name, share in shares_of_peak(record).items())
