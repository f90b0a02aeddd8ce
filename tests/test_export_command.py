"""`python -m export` and `python -m export.FORMAT`, typed as a user types them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import SENTENCES, skip_without
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError, ExpectationError
from edgepress.core.files import stored_bytes
from edgepress.core.loading import save_model
from edgepress.core.pretrained import encode
from export.core.registry import formats, open_runner
from export.core.runner import Runner
from export.onnx import FORMAT as ONNX

LIGHT_FORMATS = ("onnx", "torchscript", "torch_export")
# What converts in a second stands for the others where the test is of the command.
QUICK_FIRST = ("onnx", *(pytest.param(name, marks=pytest.mark.slow) for name in LIGHT_FORMATS[1:]))


@pytest.fixture
def export(cli, model_folder, data_root, tmp_path):
    """Export the small trained model to tmp_path/out."""

    def run(module: str, *flags: object):
        task = ("--task", data_root / "verdicts")
        return cli(module, "--model", model_folder, *task, "--output", tmp_path / "out", *flags)

    return run


@pytest.fixture(scope="module")
def onnx_folder(cli, model_folder, data_root, tmp_path_factory):
    """What `export.onnx` leaves of the small trained model."""
    folder = tmp_path_factory.mktemp("onnx") / "out"
    flags = ("--task", data_root / "verdicts", "--output", folder)
    assert cli("export.onnx", "--model", model_folder, *flags).code == 0
    return folder


@pytest.fixture
def written(onnx_folder, tmp_path):
    """The same, where a test may change it."""
    return shutil.copytree(onnx_folder, tmp_path / "out")


def logits_of(path: Path, folder: Path) -> np.ndarray:
    """What a file says of the sentences, one by one, with the tokenizer that lies beside it."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batches = encode(tokenizer, [(text,) for text, _ in SENTENCES], 64)
    with open_runner(path) as runner:
        return np.concatenate([runner(batch) for batch in batches])


@pytest.mark.slow
@pytest.mark.parametrize("name", LIGHT_FORMATS[1:])
def test_each_format_alone(export, tmp_path, name):
    result = export(f"export.{name}")
    assert result.code == 0, result.err
    as_the_model(tmp_path / "out", name)


def test_one_format_alone(onnx_folder, trained_bert):
    as_the_model(onnx_folder, "onnx")
    opened = AutoModelForSequenceClassification.from_pretrained(onnx_folder)
    assert opened.config.id2label == trained_bert.config.id2label


def as_the_model(folder, name):
    """The file of a format is recorded, near to the model, and right of every sentence."""
    artifact = open_artifact(folder)
    file = artifact.file("fp32", name)
    assert file == folder / formats()[name].file
    record = next(one for one in artifact.manifest.files if one.format == name)
    assert record.parity is not None
    assert record.parity["max_abs"] < 1e-4
    assert record.parity["agreement"] == 1
    decided = logits_of(file, folder).argmax(axis=1)
    assert (decided == [label == "positive" for _, label in SENTENCES]).all()


def test_all_formats_into_one_artifact(export, tmp_path):
    result = export("export", "--formats", "onnx", "torchscript", "torch_export")
    assert result.code == 0, result.err
    artifact = open_artifact(tmp_path / "out")
    files = [artifact.file("fp32", name) for name in LIGHT_FORMATS]
    reference = logits_of(files[0], tmp_path / "out")
    for file in files[1:]:
        assert np.abs(logits_of(file, tmp_path / "out") - reference).max() < 1e-4
    step = artifact.manifest.steps[-1]
    assert step.technique == "export"
    assert [entry["file"] for entry in step.metrics["files"]] == [file.name for file in files]
    assert step.metrics["parent_score"] == 1
    for name in ("model.onnx", "model.pt", "model.pt2"):
        assert name in result.out
        assert name in (tmp_path / "out" / "README.md").read_text()


def test_several_precisions_each_say_what_they_are(export, tmp_path):
    schemes = ("--scheme", "fp32", "fp16", "int8", "int4-weights")
    assert export("export.onnx", *schemes, "--opset", 18).code == 0
    folder = tmp_path / "out" / "onnx"
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.onnx", "model_fp16.onnx", "model_quantized.onnx", "model_q4.onnx"}
    for name, precision in (("model.onnx", "fp32"), ("model_quantized.onnx", "int8")):
        model = onnx.load(folder / name)
        facts = {entry.key: entry.value for entry in model.metadata_props}
        assert facts["precision"] == precision
        assert facts["model"] == "small-bert"
        assert json.loads(facts["labels"]) == ["negative", "positive"]
        assert next(entry.version for entry in model.opset_import if not entry.domain) == 18


def test_without_fp32_its_file_is_not_kept(export, tmp_path):
    assert export("export.torchscript", "--scheme", "int8").code == 0
    assert {path.name for path in (tmp_path / "out" / "torchscript").iterdir()} == {"model_int8.pt"}
    decided = logits_of(tmp_path / "out" / "torchscript" / "model_int8.pt", tmp_path / "out").argmax(axis=1)
    assert (decided == [label == "positive" for _, label in SENTENCES]).mean() > 0.9


@pytest.mark.parametrize("name", QUICK_FIRST)
def test_fixed_shapes(export, tmp_path, name):
    result = export(f"export.{name}", "--batch-size", 2, "--sequence-length", 24)
    assert result.code == 0, result.err
    ids = np.full((2, 24), 7, dtype=np.int64)
    batch = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    with open_runner(tmp_path / "out" / formats()[name].file) as runner:
        assert runner(batch).shape == (2, 2)


def test_fixed_shapes_stand_in_the_onnx_file(export, tmp_path):
    assert export("export.onnx", "--sequence-length", 24).code == 0
    graph = onnx.load(tmp_path / "out" / "onnx" / "model.onnx").graph
    sizes = [axis.dim_value or axis.dim_param for axis in graph.input[0].type.tensor_type.shape.dim]
    assert sizes == ["batch_size", 24]


def test_an_artifact_is_exported_with_its_lineage(onnx_folder, cli, tmp_path, data_root):
    first = open_artifact(onnx_folder)
    data = ("--data", data_root)
    second = cli("export.torchscript", "--model", onnx_folder, "--output", tmp_path / "two", *data)
    assert second.code == 0, second.err
    manifest = open_artifact(tmp_path / "two").manifest
    assert [step.technique for step in manifest.steps] == ["export", "export"]
    assert manifest.parent is not None
    assert manifest.model == first.manifest.model


def test_random_head_is_exported_and_says_so(cli, tmp_path, bare_encoder, data_root):
    task = ("--task", data_root / "verdicts")
    result = cli("export.onnx", "--model", bare_encoder, *task, "--output", tmp_path / "out")
    assert result.code == 0, result.err
    assert "has no trained classifier" in result.err
    assert "Not for use" in (tmp_path / "out" / "README.md").read_text()
    assert not open_artifact(tmp_path / "out").manifest.model.head_trained
    facts = onnx.load(tmp_path / "out" / "onnx" / "model.onnx").metadata_props
    assert {entry.key: entry.value for entry in facts}["weights"] == "local, classifier random"


class Shifted(Runner):
    """A runtime that gives every logit a little more."""

    def __init__(self, inner: Runner) -> None:
        self.runtime = inner.runtime
        self._inner = inner

    def __call__(self, batch):
        return self._inner(batch) + np.float32(0.5)

    def close(self) -> None:
        self._inner.close()


def test_failed_parity_is_exit_1_and_leaves_nothing(export, tmp_path, monkeypatch):
    opened = type(ONNX).open
    monkeypatch.setattr(type(ONNX), "open", lambda self, path, threads: Shifted(opened(self, path, threads)))
    result = export("export.onnx")
    assert result.code == ExpectationError.exit_code
    assert "parity of model.onnx failed: a logit differs by 5.00e-01" in result.err
    assert list(tmp_path.iterdir()) == []


BAD_FLAGS = {
    "precision": (("--scheme", "fp16"), "TorchScript has no fp16"),
    "scheme": (("--scheme", "int9"), "TorchScript has no int9"),
    "length": (("--sequence-length", 65), "a sequence length of 65 is beyond the model's 64 positions"),
    "negative length": (("--sequence-length", 0), "--sequence-length is out of range"),
    "batch": (("--batch-size", -1), "--batch-size is out of range"),
    "atol": (("--atol", -1), "--atol is out of range"),
    "samples": (("--eval-samples", 0), "--eval-samples is out of range"),
}


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_bad_flags(export, tmp_path, name):
    flags, message = BAD_FLAGS[name]
    result = export("export.torchscript", *flags)
    assert result.code == EdgepressError.exit_code
    assert message in result.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opset", [7, 13, 40])
def test_opset_that_cannot_be_written(export, opset):
    result = export("export.onnx", "--opset", opset)
    assert result.code == 2
    assert f"--opset is out of range: it is 14 to 20, not {opset}" in result.error


def test_unknown_format(export):
    result = export("export", "--formats", "onnx", "torchscrip")
    assert result.code == 2
    assert "unknown format 'torchscrip'" in result.error
    assert "did you mean 'torchscript'" in result.err


def test_missing_library_names_the_extra(export, monkeypatch):
    monkeypatch.setattr(type(ONNX), "modules", ("surely_not_installed",))
    monkeypatch.setattr(type(ONNX), "extra", "onnx")
    result = export("export.onnx")
    assert result.code == 2
    assert result.error == "error: ONNX needs surely_not_installed, which is not installed"
    assert "pip install 'edgepress[onnx]'" in result.err


def test_an_output_that_exists(export, written):
    before = (written / "manifest.json").read_bytes()
    again = export("export.torchscript")
    assert again.code == 2
    assert "exists" in again.error
    assert (written / "manifest.json").read_bytes() == before
    assert export("export.torchscript", "--overwrite").code == 0
    assert [path.name for path in written.glob("*/model.*")] == ["model.pt"]


def test_altered_artifact(written, cli, tmp_path, data_root):
    weights = written / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    result = cli("export.onnx", "--model", written, "--output", tmp_path / "two", "--data", data_root)
    assert result.code == 2
    assert "truncated or altered" in result.error


def test_library_that_fails_is_one_line(export, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/3\nand a page of C++")

    monkeypatch.setattr("export.torchscript.export", fail)
    result = export("export.torchscript")
    assert result.code == 2
    assert result.error == (
        "error: TorchScript cannot write model.pt: PytorchStreamWriter failed writing file data/3"
    )
    assert list(tmp_path.iterdir()) == []


DISK_MARKS = {"executorch": pytest.mark.long, "litert": pytest.mark.long}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=DISK_MARKS.get(name, pytest.mark.slow)) for name in formats()]
)
def test_disk_that_is_full_in_the_middle(cli, model_folder, data_root, small_disk, name):
    skip_without(name)
    disk = small_disk(stored_bytes(model_folder) + 100_000)
    flags = ("--model", model_folder, "--task", data_root / "verdicts", "--output", disk / "out")
    result = cli(f"export.{name}", *flags)
    assert result.code == 2, result.err
    assert result.error
    assert "Traceback" not in result.err
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("name", QUICK_FIRST)
@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04"])
def test_damaged_file(tmp_path, name, content):
    path = tmp_path / Path(formats()[name].file).name
    path.write_bytes(content)
    with pytest.raises(EdgepressError, match="cannot open it"):
        open_runner(path)


def test_help_imports_nothing_heavy():
    heavy = "{'torch', 'transformers', 'onnx', 'onnxruntime', 'coremltools', 'openvino', 'datasets'}"
    modules = ["export", *(f"export.{name}" for name in formats())]
    program = (
        "import runpy, sys\n"
        "sys.argv = ['x', '--help']\n"
        f"for module in {modules}:\n"
        "    try:\n"
        "        runpy.run_module(module, run_name='__main__')\n"
        "    except SystemExit:\n"
        f"        print(module, 'loads', {heavy} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if " loads " in line]
    assert said == [f"{module} loads set()" for module in modules]


@pytest.mark.parametrize("name", formats())
def test_help_names_every_format_and_its_precisions(cli, name):
    assert name in cli("export", "--help").out
    assert cli(f"export.{name}", "--help").code == 0


def test_with_tokenizer_takes_strings(export, tmp_path, trained_bert, tokenizer):
    pytest.importorskip("onnxruntime_extensions")
    from export.onnx_graph.text.model import open_with_extensions

    result = export("export.onnx", "--with-tokenizer", "--scheme", "fp32", "int8")
    assert result.code == 0, result.err
    artifact = open_artifact(tmp_path / "out")
    kinds = {record.path: record.precision for record in artifact.manifest.files if record.format == "onnx"}
    assert kinds["onnx/model_with_tokenizer.onnx"] == "fp32"
    assert kinds["onnx/model_quantized_with_tokenizer.onnx"] == "int8"
    texts = [text for text, _ in SENTENCES]
    session = open_with_extensions(tmp_path / "out" / "onnx" / "model_with_tokenizer.onnx")
    probabilities = session.run(["probabilities"], {"text": np.array(texts, dtype=object)})[0]
    with torch.inference_mode():
        logits = trained_bert(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    assert np.abs(probabilities - logits.softmax(-1).numpy()).max() < 1e-4


def test_with_tokenizer_needs_any_shape(export):
    pytest.importorskip("onnxruntime_extensions")
    result = export("export.onnx", "--with-tokenizer", "--sequence-length", 16)
    assert result.code == 2
    assert "takes texts of any length" in result.error


def test_tokenizer_that_changed_is_exit_1(export, tmp_path, monkeypatch):
    saved = "export.command.session.save_model"

    def save_another(opened, folder):
        save_model(opened, folder)
        path = folder / "tokenizer.json"
        path.write_text(
            path.read_text()
            .replace('"lowercase":true', '"lowercase":false')
            .replace('"lowercase": true', '"lowercase": false')
        )

    monkeypatch.setattr(saved, save_another)
    result = export("export.onnx")
    assert result.code == 1
    assert "tokenizer parity of" in result.error
    assert list(tmp_path.iterdir()) == []
