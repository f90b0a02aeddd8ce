"""What goes to the app and what comes back: the two JSON files of README.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgepress.errors import EdgepressError, first_line

SCHEMA_VERSION = 1


class AppFailedError(EdgepressError):
    """The app crashed, or says that it cannot measure this file: the other files go on."""


@dataclass(frozen=True)
class Request:
    """What the app is to do with one file in one launch."""

    inputs: Sequence[dict[str, list[list[int]]]]
    """One batch a shape to time: input_ids, attention_mask, token_type_ids, each (batch, sequence)."""
    texts: Sequence[Sequence[str]] = ()
    """To tokenize and classify one by one, a text or a pair each."""
    threads: int = 1
    warm_up_runs: int = 10
    runs: int = 50
    min_time_ms: float = 1000.0
    """Of each shape: runs go on until both their number and their time are reached."""

    def content(self) -> str:
        """What goes to the phone as a file: text and ids have no place on a command line."""
        return json.dumps(
            {"schema_version": SCHEMA_VERSION, "inputs": list(self.inputs), "texts": list(self.texts)}
        )


@dataclass(frozen=True)
class Shape:
    """What one launch found at one of the shapes."""

    samples_ms: tuple[float, ...]
    logits: list[list[float]]
    """Of the input itself, (batch, labels): compared with this computer's."""
    thermal_status: tuple[int, ...] = ()
    """At the end of each run."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the app wrote after one launch."""

    runtime: str
    load_ms: float
    first_forward_ms: float
    peak_memory_bytes: int
    shapes: tuple[Shape, ...]
    text_logits: tuple[tuple[float, ...], ...] = ()
    tokenize_ms: tuple[float, ...] = ()
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def parse(content: Any, request: Request) -> Result:
    """A result as the app wrote it.

    Raises:
        AppFailedError: it says an error, or is not what the contract says.
    """
    try:
        if content.get("error"):
            raise AppFailedError(f"the app says: {content['error']}")
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {content['schema_version']}, not {SCHEMA_VERSION}")
        return _parse(content, request)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise AppFailedError(f"the app's result cannot be read: {reason}", "install a newer --apk") from error


def _parse(content: dict[str, Any], request: Request) -> Result:
    texts = tuple(tuple(map(float, row)) for row in content.get("text_logits", ()))
    if len(texts) != len(request.texts):
        raise ValueError(f"{len(texts)} texts answered of {len(request.texts)}")
    pairs = zip(content["shapes"], request.inputs, strict=True)
    return Result(
        runtime=content["runtime"],
        load_ms=float(content["load_ms"]),
        first_forward_ms=float(content["first_forward_ms"]),
        peak_memory_bytes=int(content["peak_memory_bytes"]),
        shapes=tuple(_shape(one, len(asked["input_ids"])) for one, asked in pairs),
        text_logits=texts,
        tokenize_ms=tuple(map(float, content.get("tokenize_ms", ()))),
        before=content.get("before", {}),
        after=content.get("after", {}),
    )


def _shape(content: dict[str, Any], rows: int) -> Shape:
    samples = tuple(map(float, content["samples_ms"]))
    if not samples or min(samples) <= 0:
        raise ValueError("a time that is not above 0")
    if len(content["logits"]) != rows:
        raise ValueError(f"logits of {len(content['logits'])} rows, not {rows}")
    return Shape(samples, content["logits"], tuple(map(int, content.get("thermal_status", ()))))
