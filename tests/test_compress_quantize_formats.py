"""`compress.quantize` in one format or several: their files beside each other, and what is left out."""

import sys

import numpy as np
import pytest
from conftest import run_well, skip_without
from quantizing import TIMED, UNTIMED, asked, flat

from device_bench import records
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from export.core.registry import formats
from export.onnx_graph.schemes import SCHEMES


@pytest.mark.slow
def test_formats_stand_beside_each_other(quantize, tmp_path):
    result = quantize("--format", "onnx", "torchscript", *TIMED, "--max-drop", 5)
    assert result.code == 0, result.err
    names = ["onnx fp32", "onnx int8-dynamic", "torchscript fp32", "torchscript int8-dynamic"]
    measured = records.read(tmp_path / "out" / "measurements.jsonl")
    assert {own.name for own in measured} == set(names)
    assert len({own.run for own in measured}) == 1
    assert all(own.runtime_bytes > 10e6 for own in measured)
    for part in (*names, "runtime MB", "memory MB", "start ms", "MB of runtime on disk"):
        assert part in flat(result)
    step = open_artifact(tmp_path / "out").manifest.steps[-1]
    assert [own["format"] for own in step.metrics["variants"]] == ["onnx", "torchscript"]
    best = min(measured, key=lambda own: np.median(own.all_samples_ms))
    assert f"Ship {best.name}: of 4 files the fastest" in flat(result)
    assert asked(result).name == best.file
    answered = run_well("export.predict", tmp_path / "out", "--text", "the film is a quiet delight")
    assert f"{asked(result)}, " in " ".join(answered.err.split())
    assert best.file in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_a_scheme_that_one_format_lacks_is_left_out_there(quantize, tmp_path):
    result = quantize("--format", "onnx", "torchscript", "--scheme", "int8", "int8-weights")
    assert result.code == 0, result.err
    assert "left out: TorchScript has no int8-weights" in " ".join(result.err.split())
    variants = open_artifact(tmp_path / "out").manifest.steps[-1].metrics["variants"]
    found = [(own["format"], own["scheme"]) for own in variants]
    assert found == [("onnx", "int8-dynamic"), ("onnx", "int8-weights"), ("torchscript", "int8-dynamic")]


@pytest.mark.slow
def test_a_format_that_fails_is_named_and_the_others_go_on(quantize, tmp_path, monkeypatch):
    def fail(*_):
        raise EdgepressError("the tracer lost its way", "try another")

    monkeypatch.setattr("export.torchscript.TorchScriptFormat.write", fail)
    result = quantize("--format", "torchscript", "onnx")
    assert result.code == 0, result.err
    assert "TorchScript is left out: the tracer lost its way; try another" in " ".join(result.err.split())
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert folders == {"onnx"}
    alone = quantize("--format", "torchscript", output=tmp_path / "none")
    assert (alone.code, "the tracer lost its way" in alone.error) == (2, True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_formats_that_are_installed(quantize, tmp_path):
    result = quantize("--format", "all", "--eval-samples", 8, "--calibration-samples", 8)
    assert result.code == 0, result.err
    variants = open_artifact(tmp_path / "out").manifest.steps[-1].metrics["variants"]
    wanted = {name for name, own in formats().items() if own.schemes() and name not in left_out(result)}
    assert {own["format"] for own in variants} == wanted >= {"onnx", "torchscript"}
    assert "Size decides: --time-budget 0" in flat(result)


def left_out(result):
    """Names of the formats that the command did without."""
    titles = {own.title: name for name, own in formats().items()}
    said = " ".join(result.err.split())
    return {name for title, name in titles.items() if f"left out: {title} needs" in said}


@pytest.mark.slow
def test_a_file_slower_than_its_parent_is_never_the_fastest(quantize, tmp_path):
    result = quantize("--scheme", "auto", "--max-drop", 100, *TIMED)
    assert result.code == 0, result.err
    measured = records.read(tmp_path / "out" / "measurements.jsonl")
    assert {own.name for own in measured} == {"fp32", *SCHEMES}
    best = min(measured, key=lambda own: np.median(own.all_samples_ms))
    assert asked(result).name == best.file
    left = {path.name for path in (tmp_path / "out" / "onnx").iterdir()}
    assert left == {"model.onnx", best.file}


@pytest.mark.long  # TorchScript stands beside ONNX above
def test_format_has_its_own_quantizer(quantize, tmp_path):
    result = quantize("--format", "torchscript", *TIMED)
    assert result.code == 0, result.err
    artifact = open_artifact(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out" / "torchscript").iterdir()}
    assert names == {"model.pt", "model_int8.pt"}
    assert artifact.file("int8", "torchscript").name == "model_int8.pt"
    assert artifact.manifest.steps[-1].config["format"] == ["torchscript"]
    assert artifact.manifest.steps[-1].config["scheme"] == ["int8-dynamic"]
    assert {one.runtime.split(",")[0] for one in records.read(tmp_path / "out" / "measurements.jsonl")} == {
        "torchscript"
    }
    assert "torch.jit.load" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML itself is here, and is timed")
def test_format_whose_runtime_is_elsewhere_is_judged_and_not_timed(quantize, tmp_path):
    pytest.importorskip("coremltools")
    result = quantize("--format", "coreml", "--scheme", "int8-weights", "palette4", *TIMED)
    assert result.code == 0, result.err
    assert "not timed" in result.out
    assert "ms at" not in result.out
    packages = {path.name for path in (tmp_path / "out" / "coreml").iterdir()}
    assert packages == {"model.mlpackage", "model_w8.mlpackage", "model_p4.mlpackage"}
    assert not (tmp_path / "out" / "chart.png").exists()
    assert not (tmp_path / "out" / "measurements.jsonl").exists()
    step = open_artifact(tmp_path / "out").manifest.steps[-1]
    assert all(variant["score"] is not None for variant in step.metrics["variants"])


# ExecuTorch's is among those that are all made at once.
@pytest.mark.slow
@pytest.mark.parametrize(
    "format_", ["openvino", pytest.param("executorch", marks=pytest.mark.long), "litert"]
)
def test_formats_that_are_extras(quantize, tmp_path, format_):
    skip_without(format_)
    timed = {"openvino": "openvino", "litert": "ai-edge-litert"}.get(
        format_
    )  # executorch starts for ten seconds
    result = quantize("--format", format_, *(TIMED if timed else UNTIMED))
    assert result.code == 0, result.err
    artifact = open_artifact(tmp_path / "out")
    file = next(r for r in artifact.manifest.files if r.parity and r.precision == "int8")
    assert file.path.startswith(f"{format_}/")
    if timed:
        measured = records.read(tmp_path / "out" / "measurements.jsonl")
        assert {one.runtime.split()[0] for one in measured} == {timed}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--format", "onxx"), "unknown format 'onxx'"),
        (("--format", "torch_export"), "torch.export has no quantizer of its own"),
        (("--format", "torchscript", "--scheme", "int4-weights"), "unknown scheme 'int4-weights'"),
        (("--format", "all", "onnx"), "--format all is every format"),
        (("--scheme", "auto", "fp16"), "--scheme auto chooses the scheme itself"),
        (("--format", "torchscript", "--keep-float", "bert.nothing"), "unknown layer 'bert.nothing'"),
    ],
)
def test_formats_that_cannot_be(quantize, tmp_path, flags, message):
    result = quantize(*flags)
    assert result.code == 2
    assert message in result.error
    assert not (tmp_path / "out").exists()
