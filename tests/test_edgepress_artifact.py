"""Artifacts: what is written is what is read, and what was touched in between is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgepress.core.artifact import (
    MANIFEST,
    Artifact,
    Manifest,
    ModelRecord,
    Step,
    create_artifact,
    is_artifact,
    open_artifact,
    versions,
)
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256

RECORD = ModelRecord("small", "bert", 1234, "local", head_trained=True)
STEP = Step("quantize", {"scheme": "int8-dynamic", "keep": ["a"]}, 1.5, {"drop": 0.25})
PARITY = {"max_abs": 0.5, "agreement": 1.0}


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """An artifact with weights, an fp32 and an int8 ONNX file, and a text."""
    target = tmp_path / "out"
    with create_artifact(target, overwrite=False) as draft:
        (draft.folder / "onnx").mkdir()
        (draft.folder / "model.safetensors").write_bytes(b"weights")
        (draft.folder / "onnx" / "model.onnx").write_bytes(b"fp32 graph")
        (draft.folder / "onnx" / "model_int8.onnx").write_bytes(b"int8 graph")
        (draft.folder / "vocab.txt").write_text("[PAD]\n")
        (draft.folder / "README.md").write_text("# small-int8\n")
        draft.precisions["onnx/model_int8.onnx"] = "int8"
        draft.parities["onnx/model_int8.onnx"] = PARITY
        draft.manifest = Manifest("small-int8", RECORD, "sst2", seed=7, steps=(STEP,), parent="ab" * 32)
    return open_artifact(target)


def rewrite_manifest(artifact: Artifact, **changes: Any) -> None:
    content = json.loads(artifact.manifest_path.read_text())
    artifact.manifest_path.write_text(json.dumps({**content, **changes}))


def test_what_was_written_is_read(artifact: Artifact) -> None:
    manifest = artifact.manifest
    assert (manifest.name, manifest.task, manifest.seed, manifest.parent) == (
        "small-int8",
        "sst2",
        7,
        "ab" * 32,
    )
    assert manifest.model == RECORD
    assert manifest.steps == (STEP,)
    assert manifest.versions == versions()


def test_every_file_is_recorded_but_the_manifest(artifact: Artifact) -> None:
    paths = [record.path for record in artifact.manifest.files]
    assert paths == [
        "README.md",
        "model.safetensors",
        "onnx/model.onnx",
        "onnx/model_int8.onnx",
        "vocab.txt",
    ]


def test_records_have_size_and_hash(artifact: Artifact) -> None:
    for record in artifact.manifest.files:
        path = artifact.folder / record.path
        assert record.size_bytes == path.stat().st_size
        assert record.sha256 == sha256(path)


def test_precisions_and_parities_are_recorded(artifact: Artifact) -> None:
    found = {r.path: (r.format, r.precision, r.parity) for r in artifact.manifest.files}
    assert found == {
        "model.safetensors": ("safetensors", "fp32", None),
        "onnx/model.onnx": ("onnx", "fp32", None),
        "onnx/model_int8.onnx": ("onnx", "int8", PARITY),
        "README.md": ("card", "", None),
        "vocab.txt": ("text", "", None),
    }


def test_file_is_found_by_precision_and_format(artifact: Artifact) -> None:
    assert artifact.file("int8") == artifact.folder / "onnx" / "model_int8.onnx"
    assert artifact.file("fp32", "safetensors") == artifact.folder / "model.safetensors"


def test_missing_precision_is_named(artifact: Artifact) -> None:
    with pytest.raises(EdgepressError, match="no int4 onnx file"):
        artifact.file("int4")


def test_is_artifact(artifact: Artifact, tmp_path: Path) -> None:
    assert is_artifact(artifact.folder)
    assert not is_artifact(tmp_path)


@pytest.mark.parametrize("data", [b"int8 grapj", b"int8 gra", b"", b"int8 graph, and more"])
def test_altered_or_truncated_file_is_refused(artifact: Artifact, data: bytes) -> None:
    path = artifact.file("int8")
    path.write_bytes(data)
    with pytest.raises(EdgepressError, match="truncated or altered") as refused:
        open_artifact(artifact.folder)
    assert str(path) in str(refused.value)


def test_missing_file_is_refused(artifact: Artifact) -> None:
    artifact.file("int8").unlink()
    with pytest.raises(EdgepressError, match=r"model_int8\.onnx is missing"):
        open_artifact(artifact.folder)


@pytest.mark.parametrize("edit", [lambda card: card.write_text("My own words."), Path.unlink])
def test_the_card_is_the_users_to_edit(artifact: Artifact, edit: Callable[[Path], object]) -> None:
    edit(artifact.folder / "README.md")
    assert open_artifact(artifact.folder) == artifact
    edit(artifact.folder / "vocab.txt")
    with pytest.raises(EdgepressError, match=r"vocab\.txt"):
        open_artifact(artifact.folder)


def test_unknown_schema_is_refused(artifact: Artifact) -> None:
    rewrite_manifest(artifact, schema_version=99)
    with pytest.raises(EdgepressError, match="unreadable manifest"):
        open_artifact(artifact.folder)


def test_unknown_field_is_refused(artifact: Artifact) -> None:
    rewrite_manifest(artifact, colour="blue")
    with pytest.raises(EdgepressError, match="unreadable manifest"):
        open_artifact(artifact.folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema_version": 1}', "\x00\x01"])
def test_unreadable_manifest_is_refused(artifact: Artifact, text: str) -> None:
    artifact.manifest_path.write_text(text)
    with pytest.raises(EdgepressError, match="unreadable manifest") as refused:
        open_artifact(artifact.folder)
    assert str(artifact.manifest_path) in str(refused.value)


def test_truncated_manifest_is_refused(artifact: Artifact) -> None:
    text = artifact.manifest_path.read_text()
    artifact.manifest_path.write_text(text[: len(text) // 2])
    with pytest.raises(EdgepressError, match="unreadable manifest"):
        open_artifact(artifact.folder)


def test_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=MANIFEST):
        open_artifact(tmp_path)


def write_half(target: Path) -> None:
    with create_artifact(target, overwrite=True) as draft:
        (draft.folder / "model.onnx").write_bytes(b"graph")
        raise RuntimeError("no disk")


def test_nothing_is_left_if_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no disk"):
        write_half(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_old_artifact_survives_a_failed_one(artifact: Artifact) -> None:
    with pytest.raises(RuntimeError, match="no disk"):
        write_half(artifact.folder)
    assert open_artifact(artifact.folder) == artifact


def test_existing_artifact_is_refused(artifact: Artifact) -> None:
    with pytest.raises(EdgepressError, match="exists"), create_artifact(artifact.folder, overwrite=False):
        pytest.fail("the block must not be entered")


def test_versions_leave_out_what_is_not_installed() -> None:
    found = versions(("onnx", "no-such-package-anywhere"))
    assert sorted(found) == ["onnx", "python"]


def test_a_manifest_nested_too_deep_is_refused(artifact: Artifact) -> None:
    artifact.manifest_path.write_text("[" * 5000 + "]" * 5000)
    with pytest.raises(EdgepressError, match="unreadable manifest"):
        open_artifact(artifact.folder)


@pytest.mark.parametrize(
    "changes",
    [{"steps": {}}, {"files": ["model.safetensors"]}, {"model": []}, {"seed": "7"}, {"schema_version": True}],
)
def test_a_value_of_another_type_in_the_manifest_is_named(
    artifact: Artifact, changes: dict[str, Any]
) -> None:
    rewrite_manifest(artifact, **changes)
    with pytest.raises(EdgepressError, match=r"unreadable manifest: .* (is|in the place of) .*a "):
        open_artifact(artifact.folder)
