"""The search behind `--scheme auto`, on a real model and on a ladder of known losses."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from compress.quantize.search import LARGEST, SMALLEST_FIRST, Limits, measure_sensitivity, search
from edgepress.core.artifact import Draft
from edgepress.core.console import reporting
from edgepress.core.errors import ExpectationError
from edgepress.core.loading import open_model
from export.command.session import ExportSession
from export.core.scheme import CPU_TARGETS, Options
from export.onnx import FORMAT, OnnxConfig
from export.onnx_graph.layers import weight_layers
from export.onnx_graph.schemes import SCHEMES

OPTIONS = Options(CPU_TARGETS["avx512_vnni"])


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


@pytest.fixture
def ask(session, whole):
    def run(losses, max_drop=1.0):
        session.losses = list(losses)
        return search(session, whole, SCHEMES, OPTIONS, Limits(max_drop))

    return run


@pytest.fixture
def files(whole):
    """The quantized files that are there."""
    return lambda: {path.name for path in whole.path.parent.iterdir()} - {"model.onnx"}


def test_the_first_within_the_drop_is_kept_and_alone(ask, files):
    found = ask([7.0, 1.0])
    assert [name for name, _ in found.tried] == list(SMALLEST_FIRST[:2])
    assert files() == {found.kept[0].path.name}
    assert found.sensitivities == ()
    found.kept[0].path.unlink()


def test_sensitive_layers_are_left_in_float_before_fp16(ask):
    found = ask([9.0] * len(SMALLEST_FIRST) + [3.0, 0.5])
    kept = found.kept[0]
    assert kept.scheme.name == "int8-dynamic"
    assert set(kept.kept_float) == {entry.layer for entry in found.sensitivities[:2]}
    kept.path.unlink()


def test_the_last_resort_is_the_largest_scheme(ask):
    found = ask([9.0] * 9 + [0.0])
    assert found.kept[0].scheme.name == LARGEST
    found.kept[0].path.unlink()


def test_nothing_within_the_drop_is_a_failed_expectation(ask, files):
    with pytest.raises(
        ExpectationError, match=r"no scheme loses at most 1.0 points; the best of 10 loses 2.00"
    ):
        ask([9.0] * 9 + [2.0])
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


def test_a_file_out_of_reach_is_passed_over_and_removed(session, whole, files):
    said: list[str] = []
    session.losses = [0.0] * 10
    smallest = session.quantize(whole, SCHEMES["int4-weights"], OPTIONS)
    reached = smallest.verdict.parity.max_abs
    strict = replace(whole, config=replace(whole.config, atol=0.999 * reached))
    with reporting(said.append):
        found = search(session, strict, SCHEMES, OPTIONS, Limits(100.0))
    assert any(text.startswith("int4-weights: parity of model_q4.onnx failed") for text in said)
    assert files() == {found.kept[0].path.name}
    found.kept[0].path.unlink()
