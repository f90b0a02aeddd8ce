"""Weights as people bring them: what is found is said, and the command that is shown makes them readable."""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForSequenceClassification

from edgepress.core.checkpoint import listed, read_checkpoint
from edgepress.core.errors import EdgepressError
from edgepress.core.models import ModelSource, find_model
from edgepress.core.pretrained import load_model


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the small BERT that a test may spoil."""
    return Path(shutil.copytree(model_folder, tmp_path / "a model"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def pickled(folder: Path, content: object) -> None:
    """The folder with this as pytorch_model.bin, and without its safetensors."""
    torch.save(content, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def load(folder: Path) -> dict[str, torch.Tensor]:
    model, head_trained = load_model(ModelSource("it", "local", folder), None, None, seed=0)
    assert head_trained
    return model.state_dict()


def typed(hint: str) -> None:
    """Run the command that a hint shows, in this process, which has its libraries loaded."""
    command = hint[hint.index("python -c") :]
    _, _, program, *arguments = shlex.split(command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["-c", *arguments])
        exec(program, {"__name__": "__main__"})


def as_typed(folder: Path) -> dict[str, torch.Tensor]:
    """The model after each command that is shown was run, one behind the other."""
    for _ in range(3):
        try:
            return load(folder)
        except EdgepressError as error:
            typed(error.hint)
    raise AssertionError("three commands were not enough")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "a.b.c."])
@pytest.mark.parametrize("as_pickle", [False, True])
def test_prefix_of_a_wrapper(folder: Path, prefix: str, as_pickle: bool) -> None:
    own = weights(folder)
    renamed = {prefix + name: value for name, value in own.items()}
    if as_pickle:
        pickled(folder, renamed)
    else:
        save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(EdgepressError, match=f"names of its weights begin with '{prefix}'"):
        load(folder)
    assert all(torch.equal(value, own[name]) for name, value in as_typed(folder).items())


@pytest.mark.parametrize("inner", ["state_dict", "model", "model_state_dict", "ema"])
def test_checkpoint_of_a_trainer(folder: Path, inner: str) -> None:
    own = weights(folder)
    pickled(folder, {"epoch": 3, inner: own, "optimizer": {"lr": 0.1}})
    with pytest.raises(EdgepressError, match=f"tensors are under '{inner}', beside epoch, optimizer"):
        load(folder)
    assert all(torch.equal(value, own[name]) for name, value in as_typed(folder).items())


def test_checkpoint_of_lightning(folder: Path) -> None:
    own = weights(folder)
    pickled(folder, {"state_dict": {"model." + name: value for name, value in own.items()}})
    assert all(torch.equal(value, own[name]) for name, value in as_typed(folder).items())


def whole_model(folder: Path) -> object:
    return BertForSequenceClassification.from_pretrained(folder)


def with_flags(folder: Path) -> object:
    return {"state_dict": weights(folder), "args": argparse.Namespace(lr=0.1)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (whole_model, "a pickle of a whole model"),
        (with_flags, r"a pickle of Python objects \(argparse.Namespace\)"),
    ],
)
def test_pickle_of_more_than_tensors(folder: Path, content: Callable[[Path], object], words: str) -> None:
    own = weights(folder)
    pickled(folder, content(folder))
    with pytest.raises(EdgepressError, match=words) as refused:
        load(folder)
    assert "if you trust it" in refused.value.hint
    assert all(torch.equal(value, own[name]) for name, value in as_typed(folder).items())


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.mark), "w")


def test_code_in_a_pickle_is_not_run(folder: Path, tmp_path: Path) -> None:
    pickled(folder, {**weights(folder), "evil": Evil(tmp_path / "mark")})
    with pytest.raises(EdgepressError, match="which is not done"):
        load(folder)
    assert not (tmp_path / "mark").exists()


def test_numbers_beside_tensors(folder: Path) -> None:
    own = weights(folder)
    pickled(folder, {**own, "epoch": 3})
    with pytest.raises(EdgepressError, match="beside tensors it holds epoch"):
        load(folder)
    assert all(torch.equal(value, own[name]) for name, value in as_typed(folder).items())


@pytest.mark.parametrize("content", [[torch.zeros(2)], torch.zeros(2), {}, "text", {"epoch": 3}])
def test_pickle_of_something_else(folder: Path, content: object) -> None:
    pickled(folder, content)
    with pytest.raises(EdgepressError, match="is not a model's tensors"):
        load(folder)


def test_weights_under_another_name(folder: Path) -> None:
    own = weights(folder)
    (folder / "model.safetensors").rename(folder / "adapter-free.safetensors")
    with pytest.raises(EdgepressError, match=r"does not look for adapter-free\.safetensors") as refused:
        load(folder)
    subprocess.run(shlex.split(refused.value.hint[refused.value.hint.index("cp ") :]), check=True)
    assert all(torch.equal(value, own[name]) for name, value in load(folder).items())


def sharded(folder: Path) -> list[Path]:
    """The folder's weights in several files, which it returns."""
    model = BertForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="100KB")
    parts = sorted(folder.glob("model-*.safetensors"))
    assert len(parts) > 1
    return parts


def test_weights_in_parts(folder: Path) -> None:
    own = weights(folder)
    sharded(folder)
    assert all(torch.equal(value, own[name]) for name, value in load(folder).items())


def test_part_that_is_missing(folder: Path) -> None:
    part = sharded(folder)[1]
    part.unlink()
    with pytest.raises(EdgepressError, match=f"names {part.name}, which is not there"):
        load(folder)


def test_part_of_another_model(folder: Path) -> None:
    part = sharded(folder)[1]
    save_file({"other": torch.zeros(1)}, part, {"format": "pt"})
    with pytest.raises(EdgepressError, match="do not hold the same tensors"):
        load(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"weight_map": 3}', "{}"])
def test_index_that_is_none(folder: Path, content: str) -> None:
    sharded(folder)
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(EdgepressError, match="unreadable index"):
        load(folder)


def test_adapter_without_a_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base"}))
    with pytest.raises(EdgepressError, match=r"holds an adapter .* of org/base") as refused:
        find_model(str(folder))
    assert "merge_and_unload" in refused.value.hint


def test_adapter_that_was_not_merged(folder: Path) -> None:
    own = weights(folder)
    name = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.default.weight"
    save_file({**own, name: torch.zeros(2)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(EdgepressError, match="tensors of a LoRA adapter"):
        load(folder)


def test_folder_of_a_trainer_names_its_last_checkpoint(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for step in (500, 1000):
        shutil.copytree(folder, run / f"checkpoint-{step}")
    with pytest.raises(EdgepressError, match=r"has no config\.json") as refused:
        find_model(str(run))
    assert f"--model {run / 'checkpoint-1000'}" in refused.value.hint


def test_names_and_shapes_are_read_without_values(folder: Path) -> None:
    found = read_checkpoint(folder)
    own = weights(folder)
    assert {name: stored.shape for name, stored in found.tensors.items()} == {
        name: tuple(value.shape) for name, value in own.items()
    }
    assert all(stored.floating for stored in found.tensors.values())
    assert torch.equal(found.load(["classifier.bias"])["classifier.bias"], own["classifier.bias"])


@pytest.mark.parametrize(
    ("names", "words"), [("a", "a"), ("cba", "a, b, c"), ("edcba", "a, b, c and 2 more")]
)
def test_names_that_are_shown(names: str, words: str) -> None:
    assert listed(names) == words


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_opened_in_single(folder: Path, kind: torch.dtype) -> None:
    halved = {name: value.to(kind) for name, value in weights(folder).items()}
    save_file(halved, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": str(kind).removeprefix("torch.")}))
    opened = load(folder)
    assert all(torch.equal(opened[name], value.float()) for name, value in halved.items())
    assert {value.dtype for value in opened.values() if value.is_floating_point()} == {torch.float32}
