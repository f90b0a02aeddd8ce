"""Every architecture in every format and scheme that the table in docs/architectures.md names."""

import pytest
import torch
from small_models import ARCHITECTURES, LONGEST, VOCABULARY

from edgepress.core.inputs import input_names
from export.core.config import ExportConfig
from export.core.eager import EagerRunner
from export.core.registry import find_format, open_runner
from export.core.scheme import CPU_TARGETS, Options
from export.onnx_graph.schemes import SCHEMES
from export.validation.parity import compare, parity_batches

pytestmark = pytest.mark.slow

# fp16 rounds; Core ML's default is fp16.
ATOL = {"onnx": 1e-4, "torchscript": 1e-4, "torch_export": 1e-4, "coreml": 0.05}


def batches(model):
    torch.manual_seed(5)
    ids = torch.randint(5, VOCABULARY, (2, 12)).numpy()
    batch = {"input_ids": ids, "attention_mask": (ids > 0).astype("int64"), "token_type_ids": ids * 0}
    return [{name: batch[name] for name in input_names(model)}]


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("name", ATOL)
def test_parity(kind, name, tmp_path):
    model, form = ARCHITECTURES[kind]().eval(), find_format(name)
    path = tmp_path / form.file
    path.parent.mkdir(parents=True)
    form.write(model, path, form.config(model="x"))
    with open_runner(path) as runner:
        found = compare(EagerRunner(model), runner, parity_batches(batches(model), LONGEST), None)
    assert found.max_abs < ATOL[name]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_schemes_of_onnx(kind, tmp_path):
    model, form = ARCHITECTURES[kind]().eval(), find_format("onnx")
    path = tmp_path / "model.onnx"
    form.write(model, path, ExportConfig(model="x"))
    options = Options(CPU_TARGETS["avx2"], calibration_batches=batches(model))
    for scheme in SCHEMES.values():
        scheme.quantize(path, path.with_name(scheme.file_name), options)
        with open_runner(path.with_name(scheme.file_name)) as runner:
            found = compare(EagerRunner(model), runner, batches(model), None)
        assert found.max_abs < 1.5, scheme.name
