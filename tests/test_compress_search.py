"""The search behind `--scheme auto`, on a real model and on a ladder of known losses."""

import numpy as np
import onnx
import pytest
from conftest import SENTENCES, small_bert

from compress.quantize.search import LARGEST, SMALLEST_FIRST, measure_sensitivity, search
from compress.quantize.variants import Builder
from edgepress.errors import ExpectationError
from edgepress.pretrained import encode
from export.base.cpu import CPU_TARGETS
from export.base.scheme import Options
from export.check.judge import Judge, Sentences
from export.onnx import FORMAT, OnnxRunner, export
from export.onnx_graph.layers import weight_layers
from export.onnx_graph.schemes import SCHEMES


@pytest.fixture(scope="module")
def builder(tokenizer, tmp_path_factory) -> Builder:
    """A builder over the small model, judged by agreement."""
    path = tmp_path_factory.mktemp("search") / "onnx" / "model.onnx"
    export(small_bert(len(tokenizer)), path)
    batches = encode(tokenizer, [(text,) for text, _ in SENTENCES], 32)
    with OnnxRunner(path) as runner:
        judge = Judge(runner, Sentences(batches, None, True, "single_label_classification", "accuracy"))
    options = Options(CPU_TARGETS["avx512_vnni"], calibration_batches=batches[:16])
    return Builder(FORMAT, path, judge, options, atol=None)


class Known(Builder):
    """Makes real files, and says of each that it loses what the next number is."""

    def __init__(self, builder: Builder, losses: list[float]) -> None:
        super().__init__(builder.format, builder.parent, builder.judge, builder.options, builder.atol)
        object.__setattr__(self, "losses", iter(losses))

    def drop(self, variant):  # noqa: ARG002
        return next(self.losses)


def ask(builder, losses, max_drop=1.0):
    return search(Known(builder, losses), SCHEMES, max_drop, lambda _: None)


def files(builder: Builder) -> set[str]:
    return {path.name for path in builder.parent.parent.iterdir()} - {"model.onnx"}


def test_the_first_within_the_drop_is_kept_and_alone(builder):
    found = ask(builder, [7.0, 1.0])
    assert [name for name, _ in found.tried] == list(SMALLEST_FIRST[:2])
    assert files(builder) == {found.kept[0].path.name}
    assert found.sensitivities == ()
    found.kept[0].path.unlink()


def test_sensitive_layers_are_left_in_float_before_fp16(builder):
    found = ask(builder, [9.0] * len(SMALLEST_FIRST) + [3.0, 0.5])
    kept = found.kept[0]
    assert kept.scheme.name == "int8-dynamic"
    assert set(kept.kept_float) == {entry.layer for entry in found.sensitivities[:2]}
    kept.path.unlink()


def test_the_last_resort_is_the_largest_scheme(builder):
    found = ask(builder, [9.0] * 9 + [0.0])
    assert found.kept[0].scheme.name == LARGEST
    found.kept[0].path.unlink()


def test_nothing_within_the_drop_is_a_failed_expectation(builder):
    with pytest.raises(
        ExpectationError, match=r"no scheme loses at most 1.0 points; the best of 10 loses 2.00"
    ):
        ask(builder, [9.0] * 9 + [2.0])
    assert files(builder) == set()


def test_sensitivity_covers_every_layer_and_is_sorted(builder):
    found = measure_sensitivity(builder, SCHEMES["int8-dynamic"])
    layers = weight_layers(onnx.load(str(builder.parent)).graph)
    assert {entry.layer for entry in found} == set(layers)
    values = [entry.rms for entry in found]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0
    assert np.isfinite(values).all()
    assert [p.name for p in builder.parent.parent.iterdir()] == ["model.onnx"]


def test_a_file_out_of_reach_is_passed_over_and_removed(builder):
    said: list[str] = []
    strict = Builder(FORMAT, builder.parent, builder.judge, builder.options, atol=1e-6)
    found = search(strict, SCHEMES, 100.0, said.append)
    assert any(text.startswith("int4-weights: parity of model_q4.onnx failed") for text in said)
    assert files(builder) == {found.kept[0].path.name}
    found.kept[0].path.unlink()
