"""Request to the app and result from it: the two JSON files that README.md describes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgepress.core.errors import EdgepressError, first_line

SCHEMA_VERSION = 1


class AppFailedError(EdgepressError):
    """The app crashed, or says that it cannot measure this file: the other files go on."""


@dataclass(frozen=True)
class Request:
    """Request to the app for one file and one launch."""

    inputs: Sequence[dict[str, list[list[int]]]]
    """The batches of one run, in order: the one of a shape, or all of a pass over texts. Each has
    input_ids, attention_mask and token_type_ids, (batch, sequence)."""
    texts: Sequence[Sequence[str]] = ()
    """Texts or pairs to tokenize and classify one by one."""
    threads: int = 1
    warm_up_batches: int = 10
    """Run before the first timed run, in order and from the first again."""
    runs: int = 50
    min_time_ms: float = 1000.0
    """Runs go on until both their number and their time are reached."""

    def content(self) -> str:
        """Return the JSON of texts and token ids, which go to the phone as a file and not by command line."""
        return json.dumps(
            {"schema_version": SCHEMA_VERSION, "inputs": list(self.inputs), "texts": list(self.texts)}
        )


@dataclass(frozen=True, kw_only=True)
class PhoneResult:
    """Result that the app wrote after one launch."""

    runtime: str
    load_ms: float
    first_forward_ms: float
    peak_memory_bytes: int
    samples_ms: tuple[float, ...]
    logits: list[list[float]]
    """Logits of the first input, (batch, labels): compared with this computer's."""
    thermal_status: tuple[int, ...] = ()
    """Thermal status at the end of each run."""
    text_logits: tuple[tuple[float, ...], ...] = ()
    tokenize_ms: tuple[float, ...] = ()
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def parse(content: Any, request: Request) -> PhoneResult:
    """A result as the app wrote it.

    Raises:
        AppFailedError: it says an error, or is not what the contract says.
    """
    try:
        if content.get("error"):
            raise AppFailedError(f"the app says: {content['error']}")
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {content['schema_version']}, not {SCHEMA_VERSION}")
        return _checked(_parse(content), request)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise AppFailedError(f"the app's result cannot be read: {reason}", "install a newer --apk") from error


def _parse(content: dict[str, Any]) -> PhoneResult:
    return PhoneResult(
        runtime=content["runtime"],
        load_ms=float(content["load_ms"]),
        first_forward_ms=float(content["first_forward_ms"]),
        peak_memory_bytes=int(content["peak_memory_bytes"]),
        samples_ms=tuple(map(float, content["samples_ms"])),
        logits=content["logits"],
        thermal_status=tuple(map(int, content.get("thermal_status", ()))),
        text_logits=tuple(tuple(map(float, row)) for row in content.get("text_logits", ())),
        tokenize_ms=tuple(map(float, content.get("tokenize_ms", ()))),
        before=content.get("before", {}),
        after=content.get("after", {}),
    )


def _checked(result: PhoneResult, request: Request) -> PhoneResult:
    rows = len(request.inputs[0]["input_ids"])
    if len(result.samples_ms) < request.runs or min(result.samples_ms) <= 0:
        raise ValueError(f"times of {len(result.samples_ms)} runs of {request.runs}, or one not above 0")
    if len(result.logits) != rows:
        raise ValueError(f"logits of {len(result.logits)} rows, not {rows}")
    if len(result.text_logits) != len(request.texts):
        raise ValueError(f"{len(result.text_logits)} texts answered of {len(request.texts)}")
    return result
