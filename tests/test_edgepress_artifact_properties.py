"""Manifests: whatever a command measured, what is opened is what was written, and every parser reads it."""

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepress.core.artifact import (
    MANIFEST,
    Artifact,
    Manifest,
    ModelRecord,
    Step,
    create_artifact,
    open_artifact,
)
from edgepress.core.errors import EdgepressError

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text(max_size=8)
UNDEFINED = st.sampled_from([math.nan, math.inf, -math.inf])


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings of whatever JSON can say."""
    inner = st.recursive(
        leaves,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=6), below, max_size=3),
        max_leaves=8,
    )
    return st.dictionaries(st.text(max_size=6), inner, max_size=4)


def steps(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    seconds = st.floats(0, 1e9)
    return st.builds(Step, st.text(max_size=8), trees(PLAIN), seconds, trees(leaves))


MODELS = st.builds(
    ModelRecord,
    name=st.text(max_size=12),
    architecture=st.sampled_from(["bert", "albert"]),
    parameters=st.integers(0, 10**12),
    weights=st.sampled_from(["hub", "local", "random"]),
    head_trained=st.booleans(),
    hub_id=st.none() | st.text(max_size=8),
)


def manifests(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Manifest]:
    return st.builds(
        Manifest,
        name=st.text(max_size=12),
        model=MODELS,
        task=st.none() | st.text(max_size=12),
        seed=st.integers(-(2**31), 2**31),
        steps=st.lists(steps(leaves), max_size=2).map(tuple),
        parent=st.none() | st.just("ab" * 32),
    )


def written(manifest: Manifest) -> tuple[Artifact, str]:
    """The manifest in an artifact with one file, as it is opened, and its text."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "out")
        with create_artifact(target, overwrite=False) as draft:
            (draft.folder / "model.safetensors").write_bytes(b"weights")
            draft.manifest = manifest
        return open_artifact(target), (target / MANIFEST).read_text(encoding="utf-8")


@given(manifests(PLAIN))
def test_what_is_opened_is_what_was_written(manifest: Manifest) -> None:
    found = written(manifest)[0].manifest
    assert [record.path for record in found.files] == ["model.safetensors"]
    assert replace(found, files=(), versions={}) == manifest


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


@given(manifests(PLAIN | UNDEFINED))
def test_every_parser_reads_it_and_what_is_undefined_is_null(manifest: Manifest) -> None:
    opened, text = written(manifest)
    json.loads(text, parse_constant=no_constant)
    assert [step.metrics for step in opened.manifest.steps] == [
        finite(step.metrics) for step in manifest.steps
    ]


def finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@given(manifests(PLAIN), st.data())
def test_any_other_type_is_refused_by_its_place(manifest: Manifest, data: st.DataObject) -> None:
    _, text = written(manifest)
    content = json.loads(text)
    places = [content, content["model"], content["files"][0], *content["steps"]]
    place = data.draw(st.sampled_from(places))
    names = [name for name, value in place.items() if value is not None]
    name = data.draw(st.sampled_from(names))
    # Neither text, number, flag, list nor mapping is any other of them.
    others = [other for other in ("word", 7.5, True, [7.5], {"a": 7.5}) if fits(place[name], other)]
    place[name] = data.draw(st.sampled_from(others))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, MANIFEST).write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(EdgepressError, match=f"unreadable manifest: .*{name} is"):
            open_artifact(Path(folder))


def fits(value: Any, other: Any) -> bool:
    """Whether `other` is surely of another type: whole numbers and others are both numbers to some fields."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and isinstance(other, float):
        return False
    return type(value) is not type(other)
