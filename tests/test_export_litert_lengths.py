"""Signatures of LiteRT files: which lengths pad the texts of a task least, which flags are refused."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from conftest import Result, skip_without, small_bert
from hypothesis import given
from hypothesis import strategies as st

from edgepress.core.errors import EdgepressError
from export.core.registry import find_format
from export.core.shapes import Shapes
from export.litert import FORMAT
from export.tflite.config import MOST_SIGNATURES, STEP, LiteRtConfig, best_lengths, usual_lengths


def padded(texts: list[int], lengths: tuple[int, ...]) -> float:
    return float(np.mean([min(own for own in lengths if own >= text) for text in texts]))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(33, 60))
def test_no_other_lengths_pad_less(texts: list[int], longest: int) -> None:
    cut = [min(text, longest) for text in texts]
    found = best_lengths(texts, longest)
    assert found[-1] == longest
    assert list(found) == sorted(set(found))
    assert len(found) <= MOST_SIGNATURES
    others = combinations(range(STEP, longest, STEP), len(found) - 1)
    assert padded(cut, found) == min(padded(cut, (*own, longest)) for own in others)


def test_texts_of_one_length_take_two_signatures() -> None:
    assert best_lengths([13] * 50, 128) == (16, 128)
    assert best_lengths([128] * 50, 128) == (128,)
    assert best_lengths([5], 4) == (4,)


def test_a_signature_that_saves_little_is_left_out() -> None:
    assert best_lengths([100] * 999 + [30], 104) == (104,)


def test_without_texts_lengths_double() -> None:
    model = small_bert(300)  # of 64 positions
    assert usual_lengths(model) == (16, 32, 64)
    assert usual_lengths(model, 30) == (16, 30)
    model.config.max_position_embeddings = 50
    assert usual_lengths(model) == (16, 32, 50)


def test_shapes_end_with_the_longest_signature() -> None:
    assert LiteRtConfig(model="x", signatures=(32, 16)).shapes == Shapes(most=32)
    assert LiteRtConfig(model="x", sequence_length=24, batch_size=2).shapes == Shapes(2, (24,))
    assert LiteRtConfig(model="x", max_length=24).shapes == Shapes(most=24)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"signatures": (16, 0)}, "--signatures"),
        ({"signatures": (16,), "sequence_length": 16}, "--signatures and --sequence-length exclude"),
        ({"signatures": (16,), "max_length": 16}, "--signatures and --max-length exclude"),
    ],
)
def test_flags_that_cannot_be(flags: dict, said: str) -> None:
    with pytest.raises(EdgepressError, match=said):
        FORMAT.check(LiteRtConfig(model="x", **flags))


def test_running_needs_less_than_converting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(FORMAT), "modules", ("json", "surely_not_installed"))
    monkeypatch.setattr(type(FORMAT), "runtime_modules", ("json",))
    assert find_format("litert", to_run=True) is FORMAT
    assert FORMAT.runs_here
    with pytest.raises(EdgepressError, match="LiteRT needs surely_not_installed") as refused:
        find_format("litert")
    assert refused.value.hint == "pip install 'edgepress[litert]'"
    monkeypatch.setattr(type(FORMAT), "runtime_modules", ("nor_this",))
    with pytest.raises(EdgepressError, match="LiteRT needs nor_this") as refused:
        find_format("litert", to_run=True)
    assert refused.value.hint == "pip install 'edgepress[litert-runtime]'"
    assert not FORMAT.runs_here


def test_a_scheme_that_measurement_rejects_says_why(cli: Callable[..., Result], tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=r"LiteRT has no int8-static: 95\.6 % agreement") as refused:
        FORMAT.scheme("int8-static")
    assert refused.value.hint == "known: fp32, int8, int4, fp16, int8-dynamic, int8-weights, int4-dynamic"
    skip_without("litert")
    flags = ("--model", "minilm", "--scheme", "int8-static", "--output", tmp_path / "out")
    for command in (("export.litert",), ("compress.quantize", "--format", "litert")):
        result = cli(*command, *flags)
        assert result.code == 2
        assert "LiteRT has no int8-static: 95.6 % agreement" in result.error
    assert list(tmp_path.iterdir()) == []
