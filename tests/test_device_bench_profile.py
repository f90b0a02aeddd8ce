"""Time by operator in each runtime, on real files of one trained model."""

import contextlib
import io
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from device_bench.plan import EAGER, Plan, Target
from device_bench.profile import Profile, profile
from device_bench.run import report
from edgepress.core.errors import EdgepressError
from export.core.config import ExportConfig
from export.core.registry import find_format

PLAN = Plan((8,), vocabulary=100)
# One operator each that a BERT of two layers cannot do without, and how often it is called at least.
EXPECTED = {
    "onnx": ("MatMul", 12),
    "openvino": ("FullyConnected", 12),
    "executorch": ("Fully Connected (NC, F32) GEMM", 12),
    "torchscript": ("aten::addmm", 12),
}
MARKS = {"onnx": (), "executorch": pytest.mark.long}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, pytest.mark.slow)) for name in EXPECTED])
def profiled(
    request: pytest.FixtureRequest, trained_bert: torch.nn.Module, tmp_path: Path
) -> tuple[str, Profile]:
    if find_spec(request.param) is None and request.param != "torchscript":
        pytest.skip(f"the extra '{request.param}' is not installed")
    form = find_format(request.param)
    path = tmp_path / Path(form.file).name
    form.write(trained_bert, path, ExportConfig(model="x"))
    return request.param, profile(Target("x", path), PLAN)


def test_operators_are_named_and_timed(profiled: tuple[str, Profile]) -> None:
    runtime, found = profiled
    name, calls = EXPECTED[runtime]
    by_name = {operator.name: operator for operator in found.operators}
    assert by_name[name].calls >= calls
    assert by_name[name].milliseconds > 0
    times = [operator.milliseconds for operator in found.operators]
    assert times == sorted(times, reverse=True)
    assert found.total_ms == pytest.approx(sum(times))
    assert not any("CALL" in operator or "#" in operator for operator in by_name)


@pytest.mark.slow
def test_torch_eager_is_profiled(model_folder: Path) -> None:
    found = profile(Target("x", model_folder / "model.safetensors", EAGER), PLAN)
    assert "aten::addmm" in {operator.name for operator in found.operators}


def test_format_without_a_profiler_is_one_line(tmp_path: Path) -> None:
    package = Target("x", tmp_path / "model.mlpackage")
    with pytest.raises(EdgepressError, match=r"^x: the runtime of \.mlpackage files has no profiler here$"):
        profile(package, PLAN)
    with contextlib.redirect_stderr(io.StringIO()):
        report.show_profiles([package], PLAN)  # the other files go on
