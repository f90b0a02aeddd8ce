"""`export.android` as a user types it: what it puts into the app, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import run_well

from edgepress.core.files import sha256


@pytest.fixture(scope="module")
def made(tmp_path_factory, model_folder, data_root):
    """An artifact with an fp32, an int8 and a companion file that takes strings, made once."""
    target = tmp_path_factory.mktemp("artifacts") / "small"
    flags = ("--scheme", "fp32", "int8", "--with-tokenizer", "--task", "verdicts", "--data", data_root)
    run_well("export.onnx", "--model", model_folder, *flags, "--output", target)
    return target


@pytest.fixture
def artifact(made, tmp_path):
    """A copy, to be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "artifact"))


@pytest.fixture
def put_in(cli, tmp_path):
    """Run the command for the Android project in tmp_path."""
    project(tmp_path)
    return lambda *flags: cli("export.android", "--app", tmp_path, *flags)


def project(folder):
    """As much of an Android project as the command asks for."""
    (folder / "app/src/main").mkdir(parents=True)
    (folder / "app/src/main/AndroidManifest.xml").write_text("<manifest/>")
    return folder


ASSETS = "app/src/main/assets"


def index(tmp_path):
    return json.loads((tmp_path / ASSETS / "models/index.json").read_text())


def change(path, **fields):
    content = json.loads(path.read_text())
    content["model"].update(fields)
    path.write_text(json.dumps(content))


def test_models_lie_with_what_the_app_reads_beside_them(put_in, artifact, tmp_path):
    result = put_in("--artifacts", artifact, "--precisions", "fp32", "int8")
    assert result.code == 0, result.err
    models = index(tmp_path)["models"]
    assert [(one["name"], one["file"]) for one in models] == [
        ("small fp32", "model.onnx"),
        ("small int8", "model_quantized.onnx"),
    ]
    for one in models:
        folder = tmp_path / ASSETS / "models" / one["folder"]
        assert {path.name: path.stat().st_size for path in folder.iterdir()} == one["files"]
        assert one["files"].keys() >= {one["file"], "manifest.json", "config.json", "tokenizer.json"}
        assert sha256(folder / one["file"]) == sha256(artifact / "onnx" / one["file"])


def test_files_that_take_strings_stay_out(put_in, artifact, tmp_path):
    assert list(artifact.glob("onnx/*_with_tokenizer.onnx"))
    put_in("--artifacts", artifact)
    assert not list((tmp_path / ASSETS).rglob("*_with_tokenizer.onnx"))


def test_int8_goes_in_where_nobody_says(put_in, artifact, tmp_path):
    result = put_in("--artifacts", artifact)
    (one,) = index(tmp_path)["models"]
    assert (one["name"], one["file"]) == ("small", "model_quantized.onnx")
    assert f"{sum(one['files'].values()) / 1e6:.1f} MB" in result.err
    assert "to be built into the app" in result.out
    assert f"gradle --project-dir {tmp_path} :app:installRelease" in result.err


def test_outside_of_an_app_nothing_is_written(cli, artifact, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("export.android", "--artifacts", artifact)
    assert (result.code, "no Android app in" in result.error, "--app" in result.err) == (2, True, True)
    assert not (tmp_path / "android_demo").exists()


def test_one_precision_needs_no_suffix(put_in, artifact, tmp_path):
    assert put_in("--artifacts", artifact, "--precisions", "int8").code == 0
    assert [one["name"] for one in index(tmp_path)["models"]] == ["small"]


def test_artifacts_of_one_name_are_told_apart(put_in, artifact, tmp_path):
    assert put_in("--artifacts", artifact, artifact, "--precisions", "int8").code == 0
    assert [one["name"] for one in index(tmp_path)["models"]] == ["small (1)", "small (2)"]


def test_a_changed_model_gets_another_folder(put_in, artifact, tmp_path):
    put_in("--artifacts", artifact, "--precisions", "int8")
    before = index(tmp_path)["models"][0]["folder"]
    put_in("--artifacts", artifact, "--precisions", "int8")
    assert index(tmp_path)["models"][0]["folder"] == before
    change(artifact / "manifest.json", name="renamed")
    put_in("--artifacts", artifact, "--precisions", "int8")
    after = index(tmp_path)["models"][0]["folder"]
    assert after != before
    assert [path.name for path in (tmp_path / ASSETS / "models").iterdir() if path.is_dir()] == [after]


@pytest.mark.parametrize("fields", [{"weights": "random"}, {"head_trained": False}])
def test_random_weights_are_refused(put_in, artifact, tmp_path, fields):
    change(artifact / "manifest.json", **fields)
    result = put_in("--artifacts", artifact)
    assert result.code == 2
    assert "random" in result.error
    assert "--allow-random" in result.err
    assert not (tmp_path / ASSETS).exists()
    assert put_in("--artifacts", artifact, "--allow-random").code == 0


def spoil_nothing(artifact):
    """As it is."""


def truncate_model(artifact):
    path = artifact / "onnx/model.onnx"
    path.write_bytes(path.read_bytes()[:1000])


def drop_manifest(artifact):
    (artifact / "manifest.json").unlink()


def change_recorded(artifact, name, edit):
    """Alter a file together with what the manifest says of it, so that it is the file that is wrong."""
    content = json.loads((artifact / name).read_text())
    edit(content)
    (artifact / name).write_text(json.dumps(content))
    manifest = json.loads((artifact / "manifest.json").read_text())
    for record in manifest["files"]:
        if record["path"] == name:
            record.update(size_bytes=(artifact / name).stat().st_size, sha256=sha256(artifact / name))
    (artifact / "manifest.json").write_text(json.dumps(manifest))


def use_another_tokenizer(artifact):
    change_recorded(artifact, "tokenizer.json", lambda content: content["model"].update(type="BPE"))


def be_no_classifier(artifact):
    kinds = ["BertForQuestionAnswering"]
    change_recorded(artifact, "config.json", lambda content: content.update(architectures=kinds))


def keep_no_onnx(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["files"] = [record for record in manifest["files"] if record["format"] != "onnx"]
    (artifact / "manifest.json").write_text(json.dumps(manifest))


def read_pairs(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["data"]["text_columns"] = ["title", "body"]
    (artifact / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("spoil", "flags", "said"),
    [
        (spoil_nothing, ("--precisions", "fp16"), "has no fp16 ONNX file, only fp32, int8"),
        (truncate_model, (), "truncated or altered"),
        (drop_manifest, (), "is no artifact"),
        (shutil.rmtree, (), "no such folder"),
        (use_another_tokenizer, (), "BPE tokenizer"),
        (be_no_classifier, (), "BertForQuestionAnswering"),
        (keep_no_onnx, (), "has no ONNX file"),
        (read_pairs, (), "reads pairs (title and body), and the app takes one text"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_the_app_cannot_run_is_refused_and_the_old_models_stay(
    put_in, made, artifact, tmp_path, spoil, flags, said
):
    assert put_in("--artifacts", made).code == 0
    before = index(tmp_path)
    spoil(artifact)
    result = put_in("--artifacts", made, artifact, *flags)
    assert (result.code, said in result.error) == (2, True), result.err
    assert index(tmp_path) == before
    assert [path.name for path in (tmp_path / ASSETS).iterdir()] == ["models"]


def test_a_folder_of_something_else_is_not_replaced(put_in, artifact, tmp_path):
    other = tmp_path / ASSETS / "models/mine.txt"
    other.parent.mkdir(parents=True)
    other.write_text("mine")
    result = put_in("--artifacts", artifact)
    assert (result.code, "something else" in result.error) == (2, True)
    assert other.read_text() == "mine"


def test_a_full_disk_leaves_the_old_models(cli, artifact, small_disk):
    disk = project(small_disk(1_200_000))
    assert cli("export.android", "--app", disk, "--artifacts", artifact).code == 0
    before = index(disk)
    flags = ("--precisions", "fp32", "int8", "--artifacts", artifact, artifact, artifact)
    assert cli("export.android", "--app", disk, *flags).code == 2
    assert index(disk) == before
