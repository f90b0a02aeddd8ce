"""Folders of models: what cannot be read or does not belong together, and what a folder says of itself."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import small_bert
from safetensors.torch import save_file
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
)

from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model
from edgepress.core.models import ModelSource, find_model
from edgepress.core.pretrained import load_model, load_tokenizer


@pytest.fixture(autouse=True)
def _no_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's user has in the Hub's cache must not decide a test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the small BERT that a test may spoil."""
    return Path(shutil.copytree(model_folder, tmp_path / "copy"))


def local(folder: Path) -> ModelSource:
    return ModelSource("small", "local", folder)


def load(
    folder: Path, labels: tuple[str, ...] | None = None
) -> tuple[AutoModelForSequenceClassification, bool]:
    return load_model(local(folder), labels, None, seed=0)


def test_folder_without_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(EdgepressError, match=r"has no config\.json"):
        find_model(str(folder))


def test_folder_without_tokenizer(folder: Path) -> None:
    model = load(folder)[0]
    for path in folder.glob("*tok*"):
        path.unlink()
    with pytest.raises(EdgepressError, match="has no tokenizer that transformers opens"):
        load_tokenizer(local(folder), model)


@pytest.mark.parametrize("text", ["", "{", '{"model_type": "no-such-type"}', "{}"])
def test_unreadable_config(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(EdgepressError, match=r"unreadable config\.json") as refused:
        load(folder)
    assert "\n" not in str(refused.value)


def test_config_that_is_a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[]")
    with pytest.raises(EdgepressError, match=r"unreadable config\.json"):
        load(folder)


def test_architecture_that_does_not_classify_text(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(EdgepressError, match="no vit that is a text classifier"):
        load(folder)


@pytest.mark.parametrize("kept_bytes", [0, 100, 100_000])
def test_truncated_safetensors(folder: Path, kept_bytes: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(EdgepressError, match="unreadable weights") as refused:
        load(folder)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kept_bytes", [0, 100, 100_000])
def test_truncated_legacy_weights(folder: Path, kept_bytes: int) -> None:
    path = folder / "pytorch_model.bin"
    torch.save(load(folder)[0].state_dict(), path)
    (folder / "model.safetensors").unlink()
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(EdgepressError, match="unreadable weights"):
        load(folder)


def test_legacy_weights(folder: Path) -> None:
    expected = load(folder)[0].state_dict()
    torch.save(expected, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = load(folder)[0].state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(EdgepressError, match="unreadable weights"):
        load(folder)


def test_weights_of_another_model(folder: Path) -> None:
    save_file({"conv.weight": torch.zeros(3)}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EdgepressError, match="weights"):
        load(folder)


def test_config_of_another_size(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 50}))
    with pytest.raises(EdgepressError, match="word_embeddings"):
        load(folder)


def cut_in_half(path: Path) -> None:
    path.write_text(path.read_text()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_text("{}")


@pytest.mark.parametrize("spoil", [cut_in_half, empty])
def test_unreadable_tokenizer(folder: Path, spoil: Callable[[Path], None]) -> None:
    model = load(folder)[0]
    spoil(folder / "tokenizer.json")
    with pytest.raises(EdgepressError, match="unreadable tokenizer"):
        load_tokenizer(local(folder), model)


def test_unreadable_tokenizer_config(folder: Path) -> None:
    model = load(folder)[0]
    cut_in_half(folder / "tokenizer_config.json")
    with pytest.raises(EdgepressError, match="unreadable tokenizer"):
        load_tokenizer(local(folder), model)


def test_tokenizer_with_more_ids_than_rows(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    small_bert(len(tokenizer) - 1).save_pretrained(folder)
    rows = len(tokenizer) - 1
    with pytest.raises(EdgepressError, match=f"ids up to {rows}, its embedding table {rows} rows") as refused:
        load_tokenizer(local(folder), load(folder)[0])
    assert str(folder) in str(refused.value)


def test_table_with_more_rows_than_ids(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    small_bert(len(tokenizer) + 8).save_pretrained(folder)
    assert len(load_tokenizer(local(folder), load(folder)[0])) == len(tokenizer)


def test_folder_of_a_zoo_name_is_named(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model_folder, tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    assert find_model("bert", "random").origin == "random"
    assert "the zoo's, not the folder of that name here: that one is ./bert" in capsys.readouterr().err
    assert find_model("./bert").origin == "local"
    assert capsys.readouterr().err == ""


def test_folder_of_a_zoo_name_has_not_the_zoos_license(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model_folder, tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    opened = open_model("./bert")
    assert (opened.license, opened.language) == (None, None)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlanguage: fr\n---\n# Mine\n", "fr"),
        ("---\nlanguage:\n- de\n- fr\n---\n", ["de", "fr"]),
        ("---\nlicense: mit\n---\n", None),
        ("# No metadata\n", None),
        ("---\nlanguage: [\n---\n", None),
        ("---\nlanguage: 3\n---\n", None),
        ("---\nlanguage: !!python/object/apply:os.system [ls]\n---\n", None),
    ],
)
def test_language_of_a_folder_is_that_of_its_card(folder: Path, card: str, expected: object) -> None:
    (folder / "README.md").write_text(card)
    assert open_model(str(folder)).language == expected


def test_language_is_carried_along(cli: Callable, folder: Path, data_root: Path, tmp_path: Path) -> None:
    (folder / "README.md").write_text("---\nlanguage: fr\n---\n# Mine\n")
    data = ("--task", "verdicts", "--data", data_root)
    flags = ("--epochs", 1, "--output", tmp_path / "tuned")
    assert cli("compress.finetune", "--model", folder, *data, *flags).code == 0
    flags = ("--eval-samples", 20, "--output", tmp_path / "onnx")
    assert cli("export.onnx", "--model", tmp_path / "tuned", "--data", data_root, *flags).code == 0
    assert "language: fr\n" in (tmp_path / "onnx" / "README.md").read_text()


def test_language_that_nobody_says_is_left_out(
    cli: Callable, model_folder: Path, data_root: Path, tmp_path: Path
) -> None:
    flags = ("--eval-samples", 20, "--output", tmp_path / "onnx")
    data = ("--task", "verdicts", "--data", data_root)
    assert cli("export.onnx", "--model", model_folder, *data, *flags).code == 0
    assert "\nlanguage:" not in (tmp_path / "onnx" / "README.md").read_text()
