"""Files of models from elsewhere are opened without running what else is in them."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from conftest import Result, small_bert
from onnx.external_data_helper import convert_model_to_external_data

from edgepress.core.errors import EdgepressError
from edgepress.core.tasks.kinds import kind_of
from export import onnx as onnx_format
from export import torch_export, torchscript
from export.core.config import ExportConfig
from export.core.registry import formats

KIND = kind_of("single_label_classification")


class Touch:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .pt2 file as it is written."""
    path = tmp_path_factory.mktemp("program") / "model.pt2"
    torch_export.export(small_bert(100), path, ExportConfig(model="x"))
    return path


def rewritten(source: Path, target: Path, changes: dict[str, Callable[[bytes], bytes]]) -> Path:
    """The archive with some entries changed; a name that is not in it is added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        names = [name.partition("/")[2] for name in old.namelist()]
        for name in (*names, *(set(changes) - set(names))):
            content = old.read(f"archive/{name}") if name in names else b""
            new.writestr(f"archive/{name}", changes.get(name, lambda same: same)(content))
    return target


def pickled(planted: Path) -> bytes:
    content = io.BytesIO()
    torch.save((Touch(planted),), content)
    return content.getvalue()


def with_pickle(content: bytes) -> bytes:
    return content.replace(b'"use_pickle": false', b'"use_pickle": true', 1)


def first_target(name: str) -> Callable[[bytes], bytes]:
    return lambda content: content.replace(b"torch.ops.aten.tanh.default", name.encode())


def test_program_that_was_written_here_is_opened(program: Path) -> None:
    runner = torch_export.open_file(program, 1)
    runner.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda p: {"data/sample_inputs/model.pt": lambda _: pickled(p)},
        lambda p: {
            "data/weights/weight_0": lambda _: pickled(p),
            "data/weights/model_weights_config.json": with_pickle,
        },
        lambda p: {
            "data/constants/tensor_0": lambda _: pickle.dumps(Touch(p)),
            "data/constants/model_constants_config.json": lambda c: c.replace(b'"tensor_0"', b'"opaque_0"'),
        },
        lambda _: {"models/model.json": first_target("torch.os.mkdir")},
        lambda _: {"models/model.json": first_target("torch.ops.aten.from_file.default")},
        lambda _: {"models/model.json": lambda c: c[:-1] + b', "x": {"expr_str": "__import__(1)"}}'},
        lambda _: {"models/model.json": lambda c: c[:-1] + b', "x": {"expr_str": "exit()"}}'},
        lambda _: {"data/aotinductor/model/model.so": lambda _: b"library"},
    ],
)
def test_program_that_runs_more_than_operators(
    program: Path, tmp_path: Path, change: Callable[[Path], dict[str, Callable[[bytes], bytes]]]
) -> None:
    path = rewritten(program, tmp_path / "model.pt2", change(tmp_path / "planted"))
    with pytest.raises(EdgepressError, match=r"torch\.export cannot open it") as refused:
        torch_export.open_file(path, 1)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("write", [pickle.dumps, None])
def test_pickle_in_the_place_of_torchscript(tmp_path: Path, write: Callable[[Any], bytes] | None) -> None:
    planted = tmp_path / "planted"
    (tmp_path / "model.pt").write_bytes(write(Touch(planted)) if write else pickled(planted))
    with pytest.raises(EdgepressError, match=r"torch\.jit cannot open it"):
        torchscript.open_file(tmp_path / "model.pt", 1)
    assert not planted.exists()


@pytest.fixture
def outside(tmp_path: Path, onnx_file: Path) -> Callable[[str], Path]:
    """Writes a model whose weights lie beside its folder, under the location that it says."""

    def write(location: str) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        model = onnx.load(str(onnx_file))
        convert_model_to_external_data(model, location="weights", size_threshold=0)
        onnx.save(model, str(folder / "model.onnx"))
        (folder / "weights").rename(tmp_path / "weights")
        (folder / "link").symlink_to("../weights")
        shell = onnx.load(str(folder / "model.onnx"), load_external_data=False)
        for tensor in shell.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location.replace("{root}", str(tmp_path))
        (folder / "model.onnx").write_bytes(shell.SerializeToString())
        return folder / "model.onnx"

    return write


@pytest.mark.parametrize("location", ["../weights", "{root}/weights", "link"])
def test_onnx_weights_outside_of_the_folder_are_not_read(
    outside: Callable[[str], Path], tmp_path: Path, location: str
) -> None:
    path = outside(location)
    with pytest.raises(EdgepressError, match="ONNX Runtime cannot open it"):
        onnx_format.OnnxRunner(path)


@pytest.mark.parametrize("location", ["../weights", "{root}/weights", "link"])
def test_device_bench_does_not_measure_them(
    outside: Callable[[str], Path], cli: Callable[..., Result], tmp_path: Path, location: str
) -> None:
    done = cli("device_bench.run", "--artifacts", outside(location), "--output", tmp_path / "records.jsonl")
    assert "external data" in done.err.lower()
    assert "Traceback" not in done.err


def test_code_in_a_card_stays_inside_its_quotes() -> None:
    for own in formats().values():
        name = 'a"); import os; os.abort(); ("'
        asked = own.usage(name, f"{name}/model", ["input_ids"], [name], KIND)
        code = asked.removeprefix("```python\n")
        assert '"a\\"); import os' in code or not code
        compile(code.partition("```")[0], "card", "exec")


def test_deeply_nested_program(program: Path, tmp_path: Path) -> None:
    path = rewritten(program, tmp_path / "model.pt2", {"models/model.json": lambda _: b"[" * 10**5})
    with pytest.raises(EdgepressError, match=r"torch\.export cannot open it"):
        torch_export.open_file(path, 1)
