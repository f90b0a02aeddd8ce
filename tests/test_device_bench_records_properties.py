"""Records: whichever byte a killed run ended at, whole lines are read and the cut one is told."""

import contextlib
import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_records import measured
from hypothesis import given
from hypothesis import strategies as st

from device_bench.records import Launch, Measurement, append, read
from edgepress.core.errors import EdgepressError
from edgepress.core.packed_array import pack

# U+2028 ends a line to str.splitlines, and none of JSON's; what is written unescaped may be cut inside.
TEXTS = st.text(alphabet=st.sampled_from('aü"\\\n\r\u2028\x85🦙'), max_size=5)
TIMES = st.floats(0, 1e6)
ROUNDS = st.lists(
    st.lists(st.floats(0, 1e6, exclude_min=True), min_size=1, max_size=3).map(tuple), max_size=3
).map(tuple)
LAUNCHES = st.lists(
    st.builds(
        Launch,
        rounds=st.integers(1, 3),
        load_ms=TIMES,
        first_forward_ms=TIMES,
        peak_memory_bytes=st.integers(0, 10**12),
        cores=st.lists(st.integers(0, 255), max_size=2).map(tuple),
    ),
    max_size=2,
).map(tuple)


@st.composite
def records(draw: st.DrawFn) -> Measurement:
    return replace(
        measured(draw(TEXTS), 1.0),
        samples_ms=draw(ROUNDS),
        launches=draw(LAUNCHES),
        score=draw(st.none() | st.floats(-1, 1)),
        outcomes=draw(st.sampled_from(["", pack(np.arange(9) % 2), pack(np.arange(9) / 8)])),
        energy_j=draw(st.none() | TIMES),
        waited=tuple(draw(st.lists(st.floats(0, 1), max_size=3))),
        error=draw(TEXTS),
        state=draw(st.dictionaries(TEXTS, TEXTS, max_size=2)),
    )


def lines(found: Sequence[Measurement], escaped: bool) -> list[bytes]:
    """Each record's line, as `append` writes it, or as other programs do: characters as they are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "records.jsonl")
        append(path, found)
        own = path.read_bytes().split(b"\n")[:-1]
    if escaped:
        return own
    return [json.dumps(json.loads(line), ensure_ascii=False).encode() for line in own]


def told(content: bytes) -> tuple[list[Measurement], str, bytes]:
    """What is read of a file, what is said of it, and what is in it once another record was appended."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(said):
        path = Path(folder, "records.jsonl")
        path.write_bytes(content)
        found = read(path)
        append(path, [measured("next", 1.0)])
        return found, said.getvalue(), path.read_bytes()


@given(st.lists(records(), min_size=1, max_size=3), st.booleans(), st.data())
def test_any_prefix_gives_its_whole_lines_and_says_what_was_cut(
    found: list[Measurement], escaped: bool, data: st.DataObject
) -> None:
    whole = b"".join(line + b"\n" for line in lines(found, escaped))
    end = data.draw(st.integers(0, len(whole)))
    content = whole[:end]
    complete = content.count(b"\n")
    last = content.rpartition(b"\n")[2]
    unended = bool(last) and whole[end : end + 1] == b"\n"  # all but the end of the line was written
    read_back, said, after = told(content)
    assert read_back == found[: complete + unended]
    assert (f"line {complete + 1}: cut, and left out" in said) == bool(last and not unended)
    assert after.count(b"\n") == complete + unended + 1
    assert after.startswith(content[: len(content) - len(last) * (not unended)])


@given(st.lists(records(), min_size=2, max_size=3), st.data())
def test_a_broken_line_that_was_ended_is_refused_by_its_number(
    found: list[Measurement], data: st.DataObject
) -> None:
    rows = lines(found, escaped=True)
    row = data.draw(st.integers(0, len(rows) - 1))
    rows[row] = rows[row][: data.draw(st.integers(1, len(rows[row]) - 1))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "records.jsonl")
        path.write_bytes(b"".join(line + b"\n" for line in rows))
        with pytest.raises(EdgepressError, match=f"line {row + 1}: no record"):
            read(path)
