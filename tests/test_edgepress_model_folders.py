"""Folders of models: what cannot be read or does not belong together, and what a folder says of itself."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import small_bert
from safetensors.torch import save_file
from small_folder import load, local
from transformers import (
    PreTrainedTokenizerFast,
)

from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model
from edgepress.core.models import find_model
from edgepress.core.pretrained import load_tokenizer

pytestmark = pytest.mark.usefixtures("no_hub_cache")


def test_folder_without_config(model_copy: Path) -> None:
    (model_copy / "config.json").unlink()
    with pytest.raises(EdgepressError, match=r"has no config\.json"):
        find_model(str(model_copy))


def test_folder_without_tokenizer(model_copy: Path) -> None:
    model = load(model_copy)[0]
    for path in model_copy.glob("*tok*"):
        path.unlink()
    with pytest.raises(EdgepressError, match="has no tokenizer that transformers opens"):
        load_tokenizer(local(model_copy), model)


@pytest.mark.parametrize("text", ["", "{", '{"model_type": "no-such-type"}', "{}"])
def test_unreadable_config(model_copy: Path, text: str) -> None:
    (model_copy / "config.json").write_text(text)
    with pytest.raises(EdgepressError, match=r"unreadable config\.json") as refused:
        load(model_copy)
    assert "\n" not in str(refused.value)


def test_config_that_is_a_list(model_copy: Path) -> None:
    (model_copy / "config.json").write_text("[]")
    with pytest.raises(EdgepressError, match=r"unreadable config\.json"):
        load(model_copy)


def test_architecture_that_does_not_classify_text(model_copy: Path) -> None:
    (model_copy / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(EdgepressError, match="no vit that is a text classifier"):
        load(model_copy)


@pytest.mark.parametrize("kept_bytes", [0, 100, 100_000])
def test_truncated_safetensors(model_copy: Path, kept_bytes: int) -> None:
    path = model_copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(EdgepressError, match="unreadable weights") as refused:
        load(model_copy)
    assert str(model_copy) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kept_bytes", [0, 100, 100_000])
def test_truncated_legacy_weights(model_copy: Path, kept_bytes: int) -> None:
    path = model_copy / "pytorch_model.bin"
    torch.save(load(model_copy)[0].state_dict(), path)
    (model_copy / "model.safetensors").unlink()
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(EdgepressError, match="unreadable weights"):
        load(model_copy)


def test_legacy_weights(model_copy: Path) -> None:
    expected = load(model_copy)[0].state_dict()
    torch.save(expected, model_copy / "pytorch_model.bin")
    (model_copy / "model.safetensors").unlink()
    found = load(model_copy)[0].state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_folder_without_weights(model_copy: Path) -> None:
    (model_copy / "model.safetensors").unlink()
    with pytest.raises(EdgepressError, match="unreadable weights"):
        load(model_copy)


def test_weights_of_another_model(model_copy: Path) -> None:
    save_file({"conv.weight": torch.zeros(3)}, model_copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EdgepressError, match="weights"):
        load(model_copy)


def test_config_of_another_size(model_copy: Path) -> None:
    config = json.loads((model_copy / "config.json").read_text())
    (model_copy / "config.json").write_text(json.dumps({**config, "vocab_size": 50}))
    with pytest.raises(EdgepressError, match="word_embeddings"):
        load(model_copy)


def cut_in_half(path: Path) -> None:
    path.write_text(path.read_text()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_text("{}")


@pytest.mark.parametrize("spoil", [cut_in_half, empty])
def test_unreadable_tokenizer(model_copy: Path, spoil: Callable[[Path], None]) -> None:
    model = load(model_copy)[0]
    spoil(model_copy / "tokenizer.json")
    with pytest.raises(EdgepressError, match="unreadable tokenizer"):
        load_tokenizer(local(model_copy), model)


def test_unreadable_tokenizer_config(model_copy: Path) -> None:
    model = load(model_copy)[0]
    cut_in_half(model_copy / "tokenizer_config.json")
    with pytest.raises(EdgepressError, match="unreadable tokenizer"):
        load_tokenizer(local(model_copy), model)


def test_tokenizer_with_more_ids_than_rows(model_copy: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    small_bert(len(tokenizer) - 1).save_pretrained(model_copy)
    rows = len(tokenizer) - 1
    with pytest.raises(EdgepressError, match=f"ids up to {rows}, its embedding table {rows} rows") as refused:
        load_tokenizer(local(model_copy), load(model_copy)[0])
    assert str(model_copy) in str(refused.value)


def test_table_with_more_rows_than_ids(model_copy: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    small_bert(len(tokenizer) + 8).save_pretrained(model_copy)
    assert len(load_tokenizer(local(model_copy), load(model_copy)[0])) == len(tokenizer)


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
def test_language_of_a_folder_is_that_of_its_card(model_copy: Path, card: str, expected: object) -> None:
    (model_copy / "README.md").write_text(card)
    assert open_model(str(model_copy)).language == expected


def test_language_is_carried_along(cli: Callable, model_copy: Path, data_root: Path, tmp_path: Path) -> None:
    (model_copy / "README.md").write_text("---\nlanguage: fr\n---\n# Mine\n")
    data = ("--task", "verdicts", "--data", data_root)
    flags = ("--epochs", 1, "--output", tmp_path / "tuned")
    assert cli("compress.finetune", "--model", model_copy, *data, *flags).code == 0
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
