"""The GPU's worker: what it says without one, and on one where there is one."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from conftest import Result, small_bert
from transformers import PreTrainedModel

from device_bench.cpu import make_batch, serve
from device_bench.gpu import (
    MODES,
    OnnxGpuRunner,
    TorchGpuRunner,
    device_memory,
    has_provider,
    modes,
    open_on_gpu,
)
from device_bench.process import of_each
from device_bench.records import read
from device_bench.scoring import ArtifactTexts, TextsRequest
from edgepress.core.architectures import CnnConfig, CnnForSequenceClassification
from edgepress.core.architectures.head import put_head
from edgepress.core.architectures.pruned import record_shapes
from edgepress.core.errors import EdgepressError
from edgepress.core.splits import load_split
from edgepress.core.task_discovery import find_task

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


@without_gpu
def test_without_a_gpu_it_is_one_line(cli: Callable[..., Result], onnx_file: Path) -> None:
    result = cli("device_bench.run", "--artifacts", onnx_file, "--device", "gpu")
    assert result.code == 2
    assert result.error == "error: no GPU: torch sees none on this machine"


@without_gpu
@pytest.mark.parametrize("mode", MODES)
def test_no_mode_runs_on_the_cpu_in_secret(model_folder: Path, mode: str) -> None:
    with pytest.raises(EdgepressError, match="no GPU"):
        open_on_gpu(model_folder / "model.safetensors", mode)


def test_only_the_modes_that_are_asked_for() -> None:
    assert modes(()) == MODES
    assert list(modes(("graph", "fp32"))) == ["graph", "fp32"]
    with pytest.raises(EdgepressError, match="unknown mode 'fp61'"):
        modes(("fp61",))


def test_a_gpus_files_are_opened_side_by_side(tmp_path: Path) -> None:
    """Each waits for the others, so that one after another they would wait for ever."""
    gate = Barrier(3, timeout=60)
    assert of_each(lambda item: (gate.wait(), item)[1], "abc", "gpu") == ["a", "b", "c"]
    order: list[str] = []
    of_each(order.append, "abc", "cpu")
    assert order == ["a", "b", "c"]


@pytest.mark.skipif(has_provider(), reason="ONNX Runtime has its CUDA provider here")
def test_onnx_without_the_provider_is_one_line(onnx_file: Path) -> None:
    with pytest.raises(EdgepressError, match="no CUDAExecutionProvider"):
        OnnxGpuRunner(onnx_file)


def test_it_loads_nothing_of_what_makes_models() -> None:
    script = "import sys, device_bench.gpu; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "onnx", "optimum", "datasets", "tyro"} & set(done.stdout.split())


IMPORTS = """
import sys
from pathlib import Path
from device_bench.gpu import MODES
from device_bench.run import pipeline
from device_bench.scoring import TextsRequest, ArtifactTexts
from device_bench.targets import Selection, find_targets
folder, data, work = map(Path, sys.argv[1:])
find_targets([folder], Selection(("none",), modes=MODES))
ArtifactTexts(folder, TextsRequest(work, data, scored=10))
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


@pytest.mark.slow
def test_scoring_loads_no_runtime_and_no_exporter(artifact: Path, data_root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORTS, *map(str, (artifact, data_root, tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    others = {"onnx", "onnxruntime", "optimum", "openvino", "executorch", "coremltools", "nncf"}
    assert not others & set(done.stdout.split())


@pytest.fixture
def artifact(cli: Callable[..., Result], model_folder: Path, data_root: Path, tmp_path: Path) -> Path:
    target = tmp_path / "small-onnx"
    flags = ("--task", "verdicts", "--data", data_root, "--scheme", "fp32", "--output", target)
    assert cli("export.onnx", "--model", model_folder, *flags).code == 0
    return target


@pytest.mark.parametrize(("mode", "tolerance"), [("fp32", 1e-5), ("tf32", 1e-5), ("bf16", 0.2)])
def test_the_gpus_runner_gives_the_models_logits_on_any_device(
    model_folder: Path, trained_bert: torch.nn.Module, mode: str, tolerance: float
) -> None:
    batch = make_batch(2, 6, 100)
    with torch.inference_mode():
        expected = trained_bert(**{name: torch.from_numpy(rows) for name, rows in batch.items()}).logits
    with TorchGpuRunner(model_folder, mode, device="cpu") as runner:
        found = runner(batch)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=tolerance)


def with_own_shapes() -> PreTrainedModel:
    model = small_bert(100)
    layer = model.bert.encoder.layer[0]
    layer.intermediate.dense, layer.output.dense = torch.nn.Linear(64, 24), torch.nn.Linear(24, 64)
    record_shapes(model)
    return model


def with_own_head() -> PreTrainedModel:
    model = small_bert(100)
    put_head(model, seed=0)
    return model


OWN = {
    "shapes": with_own_shapes,
    "head": with_own_head,
    "architecture": lambda: CnnForSequenceClassification(CnnConfig(vocab_size=100)).eval(),
}


@pytest.mark.parametrize("what", OWN)
def test_what_stock_classes_cannot_load(tmp_path: Path, what: str) -> None:
    model, batch = OWN[what](), make_batch(2, 6, 100)
    model.save_pretrained(tmp_path)
    with TorchGpuRunner(tmp_path, "fp32", device="cpu") as runner, torch.inference_mode():
        found, own = runner(batch), runner.to_device(batch)
        np.testing.assert_allclose(found, model(**own).logits, atol=1e-5)


def test_inputs_that_the_model_does_not_take_are_left_out(model_folder: Path) -> None:
    with TorchGpuRunner(model_folder, "fp32", device="cpu") as runner:
        taken = runner.to_device({**make_batch(1, 4, 100), "pixel_values": np.ones((1, 4))})
    assert set(taken) == {"input_ids", "attention_mask", "token_type_ids"}


def test_the_workers_logits_are_scored(model_folder: Path, artifact: Path, data_root: Path) -> None:
    """What `Process` asks of a worker, of this runner; every sentence is decided as it was trained."""
    request = TextsRequest(artifact, data_root, scored=1000)
    texts = ArtifactTexts(artifact, request)
    saved = str(artifact / "small-onnx-scored.npz")
    request = {"logits": str(artifact / "logits.npy"), "texts": saved, "rows": [0, None]}
    lines = StringIO(json.dumps(request) + "\n")
    answers = StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(answers):
        patch.setattr(sys, "stdin", lines)
        serve(lambda: TorchGpuRunner(model_folder, "bf16", device="cpu"), 100, memory=lambda _: 7)
    loaded, found = map(json.loads, answers.getvalue().splitlines())
    assert loaded["runtime"].startswith(f"torch {torch.__version__}, bf16")
    assert found["peak_memory_bytes"] == 7
    decided = np.load(artifact / "logits.npy").argmax(axis=1)
    assert (decided == load_split(find_task("verdicts", data_root), "validation").labels).all()
    assert texts.known["task"] == "verdicts"


@pytest.mark.gpu
def test_memory_is_the_devices(model_folder: Path) -> None:
    with open_on_gpu(model_folder / "model.safetensors", "fp32") as runner:
        runner(make_batch(1, 8, 100))
        small = device_memory(runner)
        runner(make_batch(64, 32, 100))
        large = device_memory(runner)
    weights = (model_folder / "model.safetensors").stat().st_size
    assert 0.9 * weights < small < large < 1e9


@pytest.mark.gpu
def test_a_run_is_scored_and_has_the_devices_memory(
    artifact: Path, data_root: Path, cli: Callable[..., Result], tmp_path: Path
) -> None:
    output = tmp_path / "records.jsonl"
    flags = ("--artifacts", artifact, "--device", "gpu", "--sequence-lengths", "8", "--time-budget", 1)
    done = cli("device_bench.run", *flags, "--data", data_root, "--output", output)
    assert done.code == 0, done.err
    for record in read(output):
        assert record.score == 1.0
        assert 0 < record.peak_memory_bytes < 1e9 or "CUDA" in record.runtime


@pytest.mark.gpu
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_models_logits(
    model_folder: Path, trained_bert: torch.nn.Module, mode: str
) -> None:
    batch = {
        name: np.ones((2, 6), dtype=np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    with torch.inference_mode():
        expected = trained_bert(**{name: torch.from_numpy(rows) for name, rows in batch.items()}).logits
    with open_on_gpu(model_folder / "model.safetensors", mode) as runner:
        np.testing.assert_allclose(runner(batch), expected, atol=1e-3 if mode == "fp32" else 0.1)
