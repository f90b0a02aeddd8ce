"""Inputs of 8,192 tokens: the length is the configuration's, and what they take of memory is said."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import SENTENCES
from small_models import MODERNBERT
from transformers import ModernBertConfig, ModernBertForSequenceClassification, PreTrainedTokenizerFast

from device_bench.records import read
from edgepress.core.artifact import open_artifact
from edgepress.core.inputs import longest_input
from edgepress.core.loading import open_model
from edgepress.core.memory import peak_memory_bytes, require_room, scores_bytes

LONGEST = 8192
# One head of local and one layer of global attention: scores take 0.27 GB at the longest input.
SIZES = {
    **MODERNBERT,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 1,
    "num_hidden_layers": 2,
    "global_attn_every_n_layers": 2,
    "max_position_embeddings": LONGEST,
}


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A ModernBERT of 8,192 positions whose tokenizer takes as many."""
    folder = tmp_path_factory.mktemp("models") / "long"
    torch.manual_seed(3)
    labels = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
    ModernBertForSequenceClassification(ModernBertConfig(**SIZES, **labels)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": LONGEST}))
    return folder


@pytest.fixture(scope="module")
def long_texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task one text of which is beyond 8,192 tokens; its first words tell the label, as its last do."""
    folder = tmp_path_factory.mktemp("data") / "long_texts"
    folder.mkdir()
    for split, rows in (("train", SENTENCES[:16]), ("validation", SENTENCES[16:24])):
        texts = [(text, label) for text, label in rows]
        texts[0] = " ".join([texts[0][0], "the film " * 4200, texts[0][0]]), texts[0][1]
        lines = [json.dumps({"text": text, "label": label}) for text, label in texts]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    return folder


def test_length_is_the_configurations(long_model: Path) -> None:
    opened = open_model(str(long_model))
    assert longest_input(opened.model) == opened.longest == opened.text_length == LONGEST


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_finetune_export_and_bench(long_model: Path, long_texts: Path, cli: Callable, tmp_path: Path) -> None:
    task = ("--task", long_texts)
    flags = ("--max-length", LONGEST, "--epochs", 1, "--batch-size", 4, "--output", tmp_path / "tuned")
    done = cli("compress.finetune", "--model", long_model, *task, *flags)
    assert done.code == 0, done.err
    assert "texts of up to 8,192 tokens, 4 a batch" in done.err
    assert "GB, with inputs of up to 8,192 tokens" in done.err
    step = open_artifact(tmp_path / "tuned").manifest.steps[-1]
    assert step.config["max_length"] == step.metrics["evaluation_set"]["max_length"] == LONGEST
    done = cli("export.onnx", "--model", tmp_path / "tuned", *task, "--output", tmp_path / "onnx")
    assert done.code == 0, done.err
    assert "inputs of up to 8,192 tokens: a layer's attention scores take 0.3 GB" in done.err
    assert "GB, with inputs of up to 8,192 tokens" in done.out
    assert "of up to 8192 tokens" in (tmp_path / "onnx/README.md").read_text()
    (parity,) = [file.parity for file in open_artifact(tmp_path / "onnx").manifest.files if file.parity]
    assert parity["max_abs"] < 1e-4
    records = tmp_path / "records.jsonl"
    shape = ("--sequence-lengths", LONGEST, "--launches", 1, "--min-runs", 1, "--time-budget", 1)
    done = cli(
        "device_bench.run", "--artifacts", tmp_path / "onnx", *shape, "--no-accuracy", "--output", records
    )
    assert done.code == 0, done.err
    (record,) = read(records)
    assert (record.sequence_length, record.error) == (LONGEST, "")
    assert record.peak_memory_bytes > scores_bytes(open_model(str(long_model)).model, 1, LONGEST)


FORMATS = ("torchscript", "torch_export", "coreml", "openvino", "executorch")


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long) for name in FORMATS])
def test_each_format_is_compared_at_its_longest_input(
    name: str, long_model: Path, long_texts: Path, cli: Callable, tmp_path: Path
) -> None:
    flags = ("--model", long_model, "--task", long_texts, "--eval-samples", 4, "--output", tmp_path / "out")
    done = cli(f"export.{name}", *flags)
    assert done.code == 0, done.err
    assert "GB, with inputs of up to 8,192 tokens" in done.out


@pytest.mark.parametrize("name", ["onnx", pytest.param("executorch", marks=pytest.mark.long)])
def test_less_may_be_asked_for(
    name: str, long_model: Path, long_texts: Path, cli: Callable, tmp_path: Path
) -> None:
    flags = ("--task", long_texts, "--eval-samples", 4, "--max-length", 40, "--output", tmp_path / "out")
    done = cli(f"export.{name}", "--model", long_model, *flags)
    assert done.code == 0, done.err
    assert "of up to 40 tokens" in (tmp_path / "out/README.md").read_text()
    assert "8,192" not in done.out + done.err


def test_quantized_files_are_compared_as_far(
    long_model: Path, long_texts: Path, cli: Callable, tmp_path: Path
) -> None:
    flags = ("--task", long_texts, "--eval-samples", 4, "--max-length", 40, "--time-budget", 0)
    done = cli("compress.quantize", "--model", long_model, *flags, "--output", tmp_path / "out")
    assert done.code == 0, done.err
    step = open_artifact(tmp_path / "out").manifest.steps[-1]
    assert step.metrics["evaluation_set"]["max_length"] == 40


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--max-length", 8193), "a sequence length of 8193 is beyond the model's 8192 positions"),
        (("--max-length", 0), "--max-length is out of range"),
        (("--max-length", 8, "--sequence-length", 8), "--max-length is for a file that takes any length"),
    ],
)
def test_lengths_that_cannot_be(
    flags: tuple, said: str, long_model: Path, long_texts: Path, cli: Callable, tmp_path: Path
) -> None:
    done = cli(
        "export.onnx", "--model", long_model, "--task", long_texts, *flags, "--output", tmp_path / "out"
    )
    assert done.code == 2
    assert said in done.error
    assert not (tmp_path / "out").exists()


def test_more_memory_than_there_is(
    long_model: Path, long_texts: Path, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=5 * 10**8, total=10**9))
    done = cli("export.onnx", "--model", long_model, "--task", long_texts, "--output", tmp_path / "out")
    assert done.code == 2
    assert "inputs of 8,192 tokens take 0.5 GB of memory in each layer, and 0.5 GB are free" in done.error
    assert "--max-length N" in done.err
    assert not (tmp_path / "out").exists()


def test_nothing_is_said_of_short_inputs(long_model: Path) -> None:
    model = open_model(str(long_model)).model
    assert require_room(model, 512, "") == ""
    assert scores_bytes(model, 2, 100) == 4 * 2 * 100 * 100
    assert peak_memory_bytes() > 10**8
