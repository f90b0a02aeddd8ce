"""The search behind `--scheme auto`, on a real model and with known losses."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from compress.quantize.checks import FormatSchemes
from compress.quantize.search import (
    KEPT_LAYERS,
    LARGEST,
    Limits,
    Search,
    WrittenFormat,
    measure_sensitivity,
)
from edgepress.core.artifact import Draft
from edgepress.core.console import reporting
from edgepress.core.errors import EdgepressError, ExpectationError
from edgepress.core.loading import open_model
from export.command.session import ExportSession
from export.core.registry import size_bytes
from export.core.scheme import CPU_TARGETS, Options
from export.onnx import FORMAT, OnnxConfig
from export.onnx_graph.layers import weight_layers
from export.onnx_graph.schemes import SCHEMES

OPTIONS = Options(CPU_TARGETS["avx512_vnni"])
# Tried before layers are left in float where size decides: all but the largest, and int8-weights once more.
SMALL = (*(name for name in SCHEMES if name != LARGEST), "int8-weights, blocks of 32")


class Known(ExportSession):
    """Makes real files, and says of each that it loses what the next number is."""

    losses: list[float]

    def drop(self, file):  # noqa: ARG002
        return self.losses.pop(0)


@pytest.fixture(scope="module")
def session(model_folder, data_root, tmp_path_factory) -> Known:
    opened = open_model(str(model_folder), task="verdicts", data=data_root)
    return Known(opened, Draft(tmp_path_factory.mktemp("search")), 40, 16, 0)


@pytest.fixture(scope="module")
def whole(session):
    return session.write(FORMAT, OnnxConfig(model=session.opened.source.name))


@pytest.fixture(scope="module")
def written(session, whole):
    return WrittenFormat(FormatSchemes(FORMAT, tuple(SCHEMES.values())), whole, session.keep(whole))


@pytest.fixture
def ask(session, written):
    """The files that a search keeps, and the search."""

    def run(losses, max_drop=1.0, everything=False):
        session.losses = list(losses)
        search = Search(session, [written], OPTIONS, Limits(max_drop))
        return (search.every() if everything else search.smallest()), search

    return run


@pytest.fixture(autouse=True)
def _no_file_is_left(whole):
    yield
    for path in whole.path.parent.iterdir():
        if path != whole.path:
            path.unlink()


@pytest.fixture
def files(whole):
    """The quantized files that are there."""
    return lambda: {path.name for path in whole.path.parent.iterdir()} - {"model.onnx"}


def test_the_smallest_within_the_drop_is_kept_and_alone(ask, files, session, whole):
    sizes = {name: size_bytes(session.quantize(whole, own, OPTIONS).path) for name, own in SCHEMES.items()}
    (kept,), search = ask([7.0, 1.0])
    assert [name for name, _ in search.tried] == sorted(sizes, key=sizes.get)[:2]
    assert files() == {kept.path.name}
    assert search.sensitivities == []


def test_everything_within_the_drop_is_kept_for_timing(ask, files):
    kept, search = ask([0.5, 9.0, 0.5, 0.5, 9.0], everything=True)
    tried = [name for name, _ in search.tried]
    assert tried == list(SCHEMES)
    assert [file.name for file in kept] == [tried[at] for at in (0, 2, 3)]
    assert files() == {file.path.name for file in kept}


def test_a_file_that_computes_in_int8_is_among_them(ask):
    slow = [0.0 if "dynamic" not in name and "static" not in name else 9.0 for name in SCHEMES]
    kept, search = ask([*slow, 3.0, 0.5], everything=True)
    assert len(kept) == sum(loss == 0.0 for loss in slow) + 1
    assert set(kept[-1].kept_float) == {entry.layer for entry in search.sensitivities[:2]}


def test_sensitive_layers_are_left_in_float_before_fp16(ask):
    (kept,), search = ask([9.0] * len(SMALL) + [3.0, 0.5])
    assert kept.scheme.name == "int8-dynamic"
    assert set(kept.kept_float) == {entry.layer for entry in search.sensitivities[:2]}


@pytest.mark.slow
def test_the_last_resort_is_the_largest_scheme(ask, files):
    (kept,), _ = ask([9.0] * (len(SMALL) + len(KEPT_LAYERS)) + [0.0])
    assert kept.precision == LARGEST
    assert files() == {kept.path.name}


@pytest.mark.parametrize(
    ("everything", "files_tried"), [(False, 11), pytest.param(True, 10, marks=pytest.mark.slow)]
)
def test_nothing_within_the_drop_is_a_failed_expectation(ask, files, everything, files_tried):
    said = f"no scheme loses at most 1.0 points; the best of {files_tried} loses 2.00"
    with pytest.raises(ExpectationError, match=said):
        ask([9.0] * (files_tried - 1) + [2.0], everything=everything)
    assert files() == set()


def test_sensitivity_covers_every_layer_and_is_sorted(session, whole, files):
    found = measure_sensitivity(session, whole, SCHEMES["int8-dynamic"], OPTIONS)
    layers = weight_layers(onnx.load(str(whole.path)).graph)
    assert {entry.layer for entry in found} == set(layers)
    values = [entry.rms for entry in found]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0
    assert np.isfinite(values).all()
    assert files() == set()


def test_a_file_out_of_reach_is_passed_over_and_removed(session, written, files):
    said: list[str] = []
    session.losses = [0.0] * 10
    smallest = session.compare(session.quantize(written.whole, SCHEMES["int4-weights"], OPTIONS))
    reached = smallest.verdict.parity.max_abs
    strict = replace(written.whole, config=replace(written.whole.config, atol=0.999 * reached))
    with reporting(said.append):
        (kept,) = Search(session, [replace(written, whole=strict)], OPTIONS, Limits(100.0)).smallest()
    assert any(text.startswith("int4-weights: parity of model_q4.onnx failed") for text in said)
    assert files() == {kept.path.name}


def test_what_cannot_be_tried_at_all_is_the_error(session, written):
    options = replace(OPTIONS, keep_float=frozenset({"bert.nothing"}))
    with pytest.raises(EdgepressError, match=r"unknown layer 'bert\.nothing'"):
        Search(session, [written], options, Limits(1.0)).smallest()
