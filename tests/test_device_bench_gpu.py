"""The GPU's worker: what it says without one, and on one where there is one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Result

from device_bench.gpu import MODES, OnnxGpuRunner, has_provider, open_on_gpu
from edgepress.errors import EdgepressError

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


@pytest.mark.skipif(has_provider(), reason="ONNX Runtime has its CUDA provider here")
def test_onnx_without_the_provider_is_one_line(onnx_file: Path) -> None:
    with pytest.raises(EdgepressError, match="no CUDAExecutionProvider"):
        OnnxGpuRunner(onnx_file)


def test_it_loads_nothing_of_what_makes_models() -> None:
    script = "import sys, device_bench.gpu; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "onnx", "optimum", "datasets", "tyro"} & set(done.stdout.split())


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
