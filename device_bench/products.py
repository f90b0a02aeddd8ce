"""The process that measures what the CPU can do: matrix products by each library, and copying memory.

`python -m device_bench.products THREADS ROWS IN,OUT [IN,OUT ...]` prints one JSON object:

    {"products": [{"precision": "fp32", "library": ..., "shape": [rows, in, out], "gops": ...}, ...],
     "copy_gb_s": ...}

A library that is not installed, or does not take a product, has no line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from edgepress.core.process import prepare

SECONDS, FEWEST = 0.25, 5
"""Time of the processor, and calls, of which the quickest counts: whatever else the machine does only slows a
product."""
COPIED_BYTES = 1 << 27
Operands = tuple[int, int, int]
Timed = Callable[[], object]
Maker = Callable[[np.ndarray, np.ndarray], Timed]
"""Takes activations (rows, in) and a weight (in, out) and gives what is to be timed."""


@dataclass(frozen=True)
class Product:
    """Fastest matrix product of one library at one shape."""

    precision: str
    library: str
    shape: Operands
    """Number of rows, and the sizes of the weight."""
    gops: float
    """Billions of multiplications and additions a second."""


def quickest_s(call: Timed) -> float:
    """The shortest of several calls [s], after one that is not timed."""
    call()
    times: list[float] = []
    begun = time.process_time()
    while len(times) < FEWEST or time.process_time() - begun < SECONDS:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _numpy(rows: np.ndarray, weight: np.ndarray) -> Timed:
    target = np.empty((len(rows), weight.shape[1]), dtype=np.float32)
    return partial(np.matmul, rows, weight, out=target)


def _torch_mm(rows: np.ndarray, weight: np.ndarray) -> Timed:
    import torch

    return partial(torch.mm, torch.from_numpy(rows), torch.from_numpy(weight))


def _torch_packed(rows: np.ndarray, weight: np.ndarray) -> Timed:
    """OneDNN, with the weight in its own layout."""
    import torch

    packed = torch.ops.mkldnn._reorder_linear_weight(torch.from_numpy(np.ascontiguousarray(weight.T)))
    own = torch.from_numpy(rows)
    return lambda: torch.ops.mkldnn._linear_pointwise(own, packed, None, "none", [], "")


def _torch_int8(rows: np.ndarray, weight: np.ndarray) -> Timed:
    """OneDNN's product of unsigned activations and signed weights, with the weight in its own layout."""
    import torch

    own, columns = torch.from_numpy(rows), weight.shape[1]
    packed = torch.ops.onednn.qlinear_prepack(torch.from_numpy(np.ascontiguousarray(weight.T)), None)
    scales, zeros = torch.ones(columns), torch.zeros(columns, dtype=torch.int64)
    quantized: tuple[object, ...] = (
        own,
        1.0,
        0,
        packed,
        scales,
        zeros,
        None,
        1.0,
        0,
        torch.float32,
        "none",
        [],
        "",
    )
    return lambda: torch.ops.onednn.qlinear_pointwise(*quantized)


def _onnxruntime(operator: str, threads: int) -> Maker:
    """ONNX Runtime, a graph of one operator whose weight is a constant."""

    def make(rows: np.ndarray, weight: np.ndarray) -> Timed:
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        kind = TensorProto.FLOAT if operator == "MatMul" else TensorProto.INT32
        given = helper.make_tensor_value_info("a", helper.np_dtype_to_tensor_dtype(rows.dtype), rows.shape)
        result = helper.make_tensor_value_info("c", kind, (len(rows), weight.shape[1]))
        node = helper.make_node(operator, ["a", "b"], ["c"])
        graph = helper.make_graph(
            [node], "product", [given], [result], [numpy_helper.from_array(weight, "b")]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        content = onnx.ModelProto.SerializeToString(model)
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"a": rows})

    return make


def _libraries(threads: int) -> Iterator[tuple[str, str, Maker]]:
    """Precision, name and version, maker of what is timed."""
    yield "fp32", f"numpy {np.__version__}", _numpy
    with suppress(ImportError):
        import torch

        torch.set_num_threads(threads)
        yield "fp32", f"torch {torch.__version__}", _torch_mm
        yield "fp32", f"oneDNN in torch {torch.__version__}", _torch_packed
        yield "int8", f"oneDNN in torch {torch.__version__}", _torch_int8
    with suppress(ImportError):
        import onnxruntime

        yield "fp32", f"onnxruntime {onnxruntime.__version__}", _onnxruntime("MatMul", threads)
        yield "int8", f"onnxruntime {onnxruntime.__version__}", _onnxruntime("MatMulInteger", threads)


def _operands(precision: str, shape: Operands) -> tuple[np.ndarray, np.ndarray]:
    rows, inner, columns = shape
    rng = np.random.default_rng(0)
    if precision == "int8":
        return (
            rng.integers(0, 255, (rows, inner), dtype=np.uint8),
            rng.integers(-127, 127, (inner, columns), dtype=np.int8),
        )
    return (
        rng.standard_normal((rows, inner), dtype=np.float32),
        rng.standard_normal((inner, columns), dtype=np.float32),
    )


def measure_products(threads: int, shapes: Sequence[Operands]) -> Iterator[Product]:
    """The speed of each library that is installed, at each shape."""
    for precision, library, maker in _libraries(threads):
        for shape in shapes:
            with suppress(Exception):  # a build without the operator, or a shape that it does not take
                seconds = quickest_s(maker(*_operands(precision, shape)))
                yield Product(precision, library, shape, 2 * float(np.prod(shape)) / seconds / 1e9)


def copy_gb_s() -> float:
    """Speed of copying memory that no cache holds, bytes read and bytes written [GB/s]."""
    source, target = np.ones(COPIED_BYTES, np.uint8), np.empty(COPIED_BYTES, np.uint8)
    return 2 * COPIED_BYTES / quickest_s(partial(np.copyto, target, source)) / 1e9


def main(threads: int, rows: int, matrices: Sequence[tuple[int, int]]) -> None:
    """Measure, and print what was found."""
    prepare()
    found = measure_products(threads, [(rows, *matrix) for matrix in matrices])
    print(json.dumps({"products": [asdict(own) for own in found], "copy_gb_s": copy_gb_s()}))


if __name__ == "__main__":
    parsed = [tuple(map(int, word.split(","))) for word in sys.argv[3:]]
    main(int(sys.argv[1]), int(sys.argv[2]), [(inner, columns) for inner, columns in parsed])
