"""The contents of a .tflite file: whether it is whole, its metadata, its matrices."""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgepress.core.errors import EdgepressError, first_line

if TYPE_CHECKING:  # the process that measures a file needs neither torch nor transformers
    from transformers import PreTrainedModel

METADATA = "edgepress"
IDENTIFIER = b"TFL3"
BUFFERS, OFFSET, SIZE = 12, 6, 8
"""Places in the tables of a .tflite file: a model's buffers, and where a buffer outside of its table lies."""
WEIGHTED = ("FULLY_CONNECTED", "EMBEDDING_LOOKUP")
ROWS = 8  # Rows of a matrix that it is known by.
ALIKE = 0.5  # Least cosine of matrices that are one; of two layers it is about 0.
PRODUCTS = ("FULLY_CONNECTED", "BATCH_MATMUL")


def require_whole(path: Path) -> None:
    """Raise for a file without its end: the interpreter does not look, and reads past it.

    Raises:
        EdgepressError: it is no .tflite file, or a buffer of it lies beyond its end.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            whole = data[4:8] == IDENTIFIER and all(end <= len(data) for end in _ends(data))
    except (OSError, ValueError, IndexError, TypeError, struct.error) as error:
        raise EdgepressError(f"{path}: LiteRT cannot open it: {first_line(error)}") from error
    if not whole:
        raise EdgepressError(f"{path}: LiteRT cannot open it: it is truncated, or no .tflite file")


def _ends(data: mmap.mmap) -> Iterator[int]:
    """Ends of the buffers that lie outside of the tables [bytes]."""
    from flatbuffers import encode
    from flatbuffers.number_types import Uint64Flags, UOffsetTFlags
    from flatbuffers.table import Table

    model = Table(data, encode.Get(UOffsetTFlags.packer_type, data, 0))
    at = model.Offset(BUFFERS)
    for number in range(model.VectorLen(at) if at else 0):
        entry = Table(data, model.Indirect(model.Vector(at) + 4 * number))
        places = [entry.Offset(field) for field in (OFFSET, SIZE)]
        yield sum(entry.Get(Uint64Flags, place + entry.Pos) for place in places if place)


def describe(path: Path, facts: Mapping[str, str]) -> None:
    """Write facts into a file's metadata."""
    from ai_edge_litert.tools import flatbuffer_utils

    model, schema = flatbuffer_utils.read_model(str(path)), flatbuffer_utils.schema_fb
    content, entry = schema.BufferT(), schema.MetadataT()
    content.data = np.frombuffer(json.dumps(dict(facts)).encode(), dtype=np.uint8)
    entry.name, entry.buffer = METADATA.encode(), len(model.buffers)
    model.buffers.append(content)
    model.metadata = [*(model.metadata or []), entry]
    flatbuffer_utils.write_model(model, str(path))


def coverage(path: Path) -> str:
    """Count the matrix products of a signature with int8 (or int4) weights, "38/50"."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    kinds, graph = flatbuffer_utils.schema_fb.TensorType, model.subgraphs[0]
    integers, quantized, total = {kinds.INT8, kinds.INT4}, 0, 0
    sources: dict[int, int] = {}  # what is made a float at each run -> what is stored
    for operator in graph.operators:
        name = flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
        if name == "DEQUANTIZE":
            sources[int(operator.outputs[0])] = int(operator.inputs[0])
        elif name in PRODUCTS:
            weights = int(operator.inputs[1])
            total += 1
            quantized += graph.tensors[sources.get(weights, weights)].type in integers
    return f"{quantized}/{total}"


class Weighted(NamedTuple):
    """An operator of a file that has a matrix."""

    scope: str
    """Name by which ai-edge-quantizer finds it."""
    shape: tuple[int, ...]
    """Rows and columns of its matrix."""
    rows: np.ndarray
    """Last rows of its matrix, in a file in fp32, one behind the other."""


def weighted(path: Path) -> Iterator[Weighted]:
    """The operators of all signatures that multiply by, or look up in, a matrix."""
    from ai_edge_litert.tools import flatbuffer_utils
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import get_op_scope

    file = flatbuffer_utils.read_model(str(path))
    for graph in file.subgraphs:
        for operator in graph.operators:
            if flatbuffer_utils.opcode_to_name(file, operator.opcodeIndex) in WEIGHTED:
                matrix = graph.tensors[operator.inputs[1]]
                shape = tuple(map(int, matrix.shape))
                rows = np.asarray(file.buffers[matrix.buffer].data, np.uint8)[-4 * ROWS * shape[-1] :]
                yield Weighted(get_op_scope(operator, graph.tensors), shape, rows.view(np.float32))


def weight_layers(path: Path, model: PreTrainedModel) -> dict[str, list[str]]:
    """Layer name (the torch module's path) -> the scopes of its operators, in a file in fp32.

    An operator is of the layer whose weights point most nearly where its own do: the converter names it after
    all that it was fused from, and lets its weights take up the LayerNorm's before it.
    """
    modules = {name: getattr(own, "weight", None) for name, own in model.named_modules()}
    known = {name: own.detach().numpy() for name, own in modules.items() if own is not None}
    layers: dict[str, list[str]] = {}
    for operator in weighted(path):
        alike = {
            name: _cosine(weight[-ROWS:].ravel(), operator.rows)
            for name, weight in known.items()
            if weight.shape == operator.shape
        }
        nearest = max(alike, key=lambda name: alike[name], default="")
        if alike.get(nearest, 0.0) > ALIKE:
            layers.setdefault(nearest, []).append(operator.scope)
    return layers


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size else 0.0
