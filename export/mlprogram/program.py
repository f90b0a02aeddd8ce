"""The interpreter: a saved ML Program, operation by operation, in numpy.

It stands in for the runtime where there is none, so that parity of the package as saved can be measured.
Emulated: the weights as stored (halves, int8, palettes, zeros left out) decompressed by coremltools' own
code; every value that the program declares to be fp16 is rounded to it when it is stored, so overflow to
infinity and what follows from it show as they would on a device. Not emulated: the order and width of the
sums inside one operation, which are single precision here and each device's own there; and any fusion.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgepress.core.errors import EdgepressError
from export.mlprogram import elementwise, layers, recurrent, tensors, windows
from export.mlprogram.elementwise import DTYPES, Array, Operation
from export.mlprogram.package import load_program

OPERATIONS: dict[str, Operation] = {
    **elementwise.OPERATIONS,
    **tensors.OPERATIONS,
    **layers.OPERATIONS,
    **windows.OPERATIONS,
    **recurrent.OPERATIONS,
}
# What changes no value of a valid program.
WITHOUT_MEANING = {"name", "validate_indices"}


@dataclass(frozen=True)
class Reference:
    """A value that is computed at each run."""

    name: str


@dataclass(frozen=True)
class Output:
    """The result of an operation: its name and the element type that the program declares."""

    name: str
    dtype: np.dtype[Any] | type
    half: bool
    """Whether it is to be rounded to half precision."""

    def store(self, value: Any) -> Array:
        """The value as the program would hold it."""
        if not self.half:
            return np.asarray(value).astype(self.dtype, copy=False)
        with np.errstate(over="ignore"):
            return np.asarray(value).astype(np.float16).astype(np.float32)


@dataclass(frozen=True)
class Instruction:
    """An operation with its arguments, its outputs, and the values that nobody reads after it."""

    kind: str
    arguments: Mapping[str, Any]
    outputs: tuple[Output, ...]
    spent: tuple[str, ...]

    def run(self, values: dict[str, Array]) -> None:
        """Add the outputs to `values`."""
        arguments = {name: _read(argument, values) for name, argument in self.arguments.items()}
        results = OPERATIONS[self.kind](**arguments)
        for output, result in zip(
            self.outputs, results if isinstance(results, tuple) else (results,), strict=True
        ):
            values[output.name] = output.store(result)
        for name in self.spent:
            del values[name]


def _read(argument: Any, values: Mapping[str, Array]) -> Any:
    if isinstance(argument, Reference):
        return values[argument.name]
    if isinstance(argument, tuple):
        return [_read(part, values) for part in argument]
    return argument


class Program:
    """A saved package's program, ready to run; weights are decompressed once."""

    def __init__(self, path: Path, spec: Any, outputs: Sequence[str]) -> None:
        self._outputs = outputs
        self._instructions = _Reader(path).instructions(load_program(path, spec), outputs)

    def __call__(self, inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs for inputs of the element types that the program declares."""
        values = dict(inputs)
        with np.errstate(all="ignore"):  # infinities are the program's: the comparison sees them
            for instruction in self._instructions:
                instruction.run(values)
        return [values[name] for name in self._outputs]


class _Reader:
    """Translate pymil's operations to instructions."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._constants: dict[str, Any] = {}

    def instructions(self, function: Any, outputs: Sequence[str]) -> list[Instruction]:
        """The operations that the outputs hang on, in order."""
        needed = {*outputs}
        found: list[Instruction] = []
        for operation in reversed(function.operations):
            if needed.isdisjoint(var.name for var in operation.outputs) or _is_constant(operation):
                continue
            instruction = self._instruction(operation, needed)
            needed |= set(instruction.spent)
            found.append(instruction)
        return found[::-1]

    def _instruction(self, operation: Any, read_later: set[str]) -> Instruction:
        arguments = {
            name: self._argument(value)
            for name, value in operation.inputs.items()
            if value is not None and name not in WITHOUT_MEANING
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        self._require_known(operation.op_type, arguments)
        read = {part.name for value in arguments.values() for part in _references(value)}
        outputs = tuple(_output(var, operation.op_type) for var in operation.outputs)
        unread = {output.name for output in outputs} - read_later
        return Instruction(operation.op_type, arguments, outputs, tuple(sorted((read - read_later) | unread)))

    def _require_known(self, kind: str, arguments: Mapping[str, Any]) -> None:
        try:
            inspect.signature(OPERATIONS[kind]).bind(**arguments)
        except (KeyError, TypeError) as error:
            what = f"operation {kind}" if isinstance(error, KeyError) else f"{kind}: {error}"
            raise EdgepressError(
                f"{self._path}: the interpreter does not know MIL's {what}", "only macOS can run this package"
            ) from error

    def _argument(self, var: Any) -> Any:
        if isinstance(var, list | tuple):
            return tuple(self._argument(part) for part in var)
        if var.op is None or not _is_constant(var.op):
            return Reference(var.name)
        if var.name not in self._constants:
            self._constants[var.name] = _constant(var)
        return self._constants[var.name]


def _references(argument: Any) -> list[Reference]:
    if isinstance(argument, tuple):
        return [found for part in argument for found in _references(part)]
    return [argument] if isinstance(argument, Reference) else []


def _is_constant(operation: Any) -> bool:
    return operation.op_type == "const" or operation.op_type.startswith("constexpr_")


def _constant(var: Any) -> Any:
    value = var.val if var.op.op_type == "const" else var.op.materialized_val_inference()
    if getattr(value, "dtype", None) == np.float16:
        return value.astype(np.float32)
    return value


def _output(var: Any, operation: str) -> Output:
    from coremltools.converters.mil.mil import types

    kind = types.builtin_to_string(var.dtype)
    return Output(var.name, DTYPES[kind], half=kind == "fp16" and operation not in tensors.MOVES)
