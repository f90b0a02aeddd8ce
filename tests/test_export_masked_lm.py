"""Masked language models as files: exported, quantized, scored at hidden tokens, asked to fill masks."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Result, first_slow, manifest_of
from huggingface_hub import ModelCard
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerFast, pipeline

import edgepress
from edgepress.core.corpus import load_corpus
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model
from edgepress.core.metrics import scores
from edgepress.core.splits import load_split
from edgepress.core.tasks.kinds import kind_of
from export.core.eager import EagerRunner
from export.validation.sentences import evaluation_sentences
from export.validation.validator import ParentLogits

Cli = Callable[..., Result]
KIND = kind_of("masked_lm")
TEXT = "the film is a quiet [MASK]"


def test_loss_and_accuracy_are_those_of_torch(masked_model: Path, data_root: Path) -> None:
    opened = open_model(str(masked_model), task="verdicts", data=data_root)
    assert (opened.problem_type, opened.scored, opened.labels) == ("masked_lm", True, ())
    sentences = evaluation_sentences(opened, 100, seed=0)
    model = AutoModelForMaskedLM.from_pretrained(masked_model)
    loss = right = hidden = 0.0
    assert sentences.places is not None
    for batch, place in zip(sentences.batches, sentences.places, strict=True):
        with torch.no_grad():
            logits = model(**{name: torch.from_numpy(own) for name, own in batch.items()}).logits[0]
        at, tokens = (torch.from_numpy(own) for own in place.T)
        loss += torch.nn.functional.cross_entropy(logits[at], tokens, reduction="sum").item()
        right += (logits[at].argmax(-1) == tokens).sum().item()
        hidden += len(at)
    assert 0.1 < hidden / sum(batch["input_ids"].size - 2 for batch in sentences.batches) < 0.2
    with EagerRunner(opened.model) as runner:
        outputs = sentences.outputs(runner)
    found = scores("masked_accuracy", outputs, sentences.labels, "masked_lm")
    assert found == pytest.approx({"masked_accuracy": right / hidden, "masked_lm_loss": loss / hidden})
    assert 0.1 < right / hidden < 1


def test_the_same_tokens_are_hidden_each_time(tokenizer, masked_model: Path) -> None:
    texts = [("the acting is warm, sharp and funny, all things considered",)] * 2
    (first, place), (second, again) = zip(
        KIND.judging_batches(tokenizer, texts, 64), KIND.places(tokenizer, texts, 64), strict=True
    )
    assert np.array_equal(place, again)
    assert np.array_equal(first["input_ids"], second["input_ids"])
    (plain,) = KIND.batches(tokenizer, texts[:1], 64)
    assert np.array_equal(plain["input_ids"][0, place[:, 0]], place[:, 1])


def test_its_own_corpus_is_judged_on_what_was_held_out(
    cli: Cli, masked_model: Path, corpus_file: Path, tmp_path: Path
) -> None:
    opened = open_model(str(masked_model), task=str(corpus_file))
    assert opened.task is not None
    held_out = load_corpus(str(corpus_file)).parts()[1].texts
    examples = load_split(opened.task, opened.task.evaluation_split)
    assert [text for (text,) in examples.texts] == held_out
    assert len(load_split(opened.task, "train")) + len(held_out) == len(load_corpus(str(corpus_file)).texts)
    out = tmp_path / "out"
    result = cli("export.onnx", "--model", masked_model, "--task", corpus_file, "--output", out)
    assert result.code == 0, result.err
    again = edgepress.load(out).evaluate()  # by what its manifest says
    metrics = manifest_of(out).steps[-1].metrics
    assert again.evaluation_set.recorded() == metrics["evaluation_set"]
    assert (again.evaluation_set.split, again.evaluation_set.texts) == ("held_out", len(held_out))
    assert again.score == pytest.approx(metrics["parent_score"])


def test_logits_beyond_what_is_kept_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    batches = [{"input_ids": np.full((1, 2), number)} for number in range(3)]

    def parent(batch):
        asked.append(int(batch["input_ids"][0, 0]))
        return np.full((1, 2, 4), asked[-1], dtype=np.float32)

    monkeypatch.setattr("export.validation.validator.MOST_KEPT", 70)
    logits = ParentLogits(parent, batches)
    for _ in range(2):
        assert [float(logits[at][0, 0, 0]) for at in range(3)] == [0, 1, 2]
    assert asked == [0, 1, 2, 2]


FORMATS = ("onnx", *first_slow(("torchscript", "openvino", "torch_export", "coreml", "executorch"), 2))


@pytest.mark.parametrize("name", FORMATS)
def test_files_score_the_same(
    cli: Cli, masked_model: Path, data_root: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    flags = ("--task", "verdicts", "--data", data_root, "--output", out, "--eval-samples", 12)
    fixed = ("--sequence-length", 32) if name == "executorch" else ()
    precise = ("--scheme", "fp32") if name == "coreml" else ()
    result = cli(f"export.{name}", "--model", masked_model, *flags, *fixed, *precise)
    assert result.code == 0, result.err
    metrics = manifest_of(out).steps[-1].metrics
    (record,) = metrics["files"]
    assert record["score"] == pytest.approx(metrics["parent_score"])
    (kept,) = [own.parity for own in manifest_of(out).files if own.parity]
    assert kept["agreement"] > 0.99
    assert "masked-LM loss: " in result.out
    assert f"{record['also']['masked_lm_loss']:.3f} [" in result.out


@pytest.fixture(scope="module")
def quantized(masked_model: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from conftest import run_well

    out = tmp_path_factory.mktemp("masked") / "filler-int8"
    flags = ("--task", "verdicts", "--data", data_root, "--output", out, "--time-budget", 0)
    run_well("compress.quantize", "--model", masked_model, *flags)
    return out


def test_quantizing_is_judged_at_hidden_tokens(quantized: Path) -> None:
    step = manifest_of(quantized).steps[-1]
    (variant,) = step.metrics["variants"]
    assert variant["score"] > step.metrics["parent_score"] - 0.1
    assert variant["agreement"] > 0.8
    assert variant["also"]["masked_lm_loss"] > 0
    low, high = variant["interval"]
    assert low <= variant["score"] <= high


@pytest.mark.slow
def test_the_card_has_a_program_that_runs(quantized: Path) -> None:
    card = ModelCard.load(quantized / "README.md")
    assert card.data.pipeline_tag == "fill-mask"
    (result,) = [own for own in card.data.eval_results if "int8" in own.metric_name]
    assert result.metric_type == "masked_accuracy"
    program = card.text.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=quantized
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split(",")) == 5


def test_transformers_fills_alike(cli: Cli, masked_model: Path) -> None:
    result = cli("export.predict", masked_model, "--json", "--text", TEXT, "[MASK] falls [MASK]")
    assert result.code == 0, result.err
    one, two = (json.loads(line)["masks"] for line in result.out.splitlines())
    fill = pipeline("fill-mask", str(masked_model), device="cpu")
    for ours, theirs in ((one, [fill(TEXT)]), (two, fill("[MASK] falls [MASK]"))):
        assert len(ours) == len(theirs)
        for own, other in zip(ours, theirs, strict=True):
            assert [filling["token"] for filling in own] == [filling["token_str"] for filling in other]
            assert [filling["score"] for filling in own] == pytest.approx(
                [filling["score"] for filling in other], abs=1e-5
            )


def test_the_library_fills_and_evaluates(masked_model: Path, quantized: Path, data_root: Path) -> None:
    model = edgepress.load(masked_model, task="verdicts", data=data_root)
    (filled,) = model.predict([TEXT])
    assert isinstance(filled, edgepress.FillingPrediction)
    assert "delight" in {own.token for own in filled.masks[0]}
    assert filled.probability == filled.masks[0][0].score
    found = model.evaluate()
    assert set(found.metrics) == {"masked_accuracy", "masked_lm_loss"}
    step = manifest_of(quantized).steps[-1]
    assert found.score == pytest.approx(step.metrics["parent_score"])


def test_a_file_fills_as_its_folder_does(cli: Cli, quantized: Path) -> None:
    table = cli("export.predict", quantized, "--text", TEXT)
    assert table.code == 0, table.err
    assert "fillings" in table.out
    assert "delight" in table.out
    assert "model_quantized.onnx" in table.err.replace("\n", "")


@pytest.mark.slow
def test_it_is_measured_and_scored(cli: Cli, quantized: Path, data_root: Path, tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    flags = ("--sequence-lengths", 16, "--launches", 1, "--time-budget", 0.3, "--data", data_root)
    result = cli("device_bench.run", "--artifacts", quantized, "--output", records, *flags)
    assert result.code == 0, result.err
    found = [json.loads(line) for line in records.read_text().splitlines()]
    known = manifest_of(quantized).steps[-1].metrics
    wanted = {"model.onnx": known["parent_score"], "model_quantized.onnx": known["variants"][0]["score"]}
    assert {Path(record["file"]).name: record["score"] for record in found} == pytest.approx(wanted)


@pytest.mark.slow
def test_without_a_task_it_is_compared_and_not_scored(cli: Cli, masked_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = cli("export.onnx", "--model", masked_model, "--output", out, "--eval-samples", 4)
    assert result.code == 0, result.err
    assert "nothing is scored" in result.err.replace("\n", " ")
    assert manifest_of(out).steps[-1].metrics["files"][0]["score"] is None


def test_an_encoder_is_still_fine_tuned(
    cli: Cli, masked_model: Path, data_root: Path, tmp_path: Path
) -> None:
    flags = ("--task", "verdicts", "--data", data_root, "--output", tmp_path / "out", "--epochs", 1)
    assert cli("compress.finetune", "--model", masked_model, *flags).code == 0
    assert manifest_of(tmp_path / "out").data["problem_type"] == "single_label_classification"


REFUSED = {
    "a technique": (("compress.prune", "--ffn", 0.5), "learns from a corpus"),
    "pairs": (("export.onnx", "--text-columns", "text", "label"), "--text-columns label"),
    "no such split": (("export.onnx", "--split", "test"), "no split 'test'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(cli: Cli, masked_model: Path, data_root: Path, tmp_path: Path, case: str) -> None:
    (module, *flags), word = REFUSED[case]
    own = ("--task", "verdicts", "--data", data_root, "--output", tmp_path / "out")
    result = cli(module, "--model", masked_model, *own, *flags)
    assert (result.code, (tmp_path / "out").exists()) == (2, False), result.err
    assert word in result.err.replace("\n", " ")


def test_a_short_corpus_holds_nothing_out(cli: Cli, masked_model: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("the film is a mess")
    flags = ("--task", tmp_path / "short.txt", "--output", tmp_path / "out")
    result = cli("export.onnx", "--model", masked_model, *flags)
    assert result.code == 2
    assert "is too short" in result.error


def test_a_text_needs_a_mask(cli: Cli, masked_model: Path) -> None:
    result = cli("export.predict", masked_model, "--text", "the film is a mess")
    assert (result.code, result.out) == (2, "")
    assert "[MASK] does not stand in the text" in result.error
    far = cli("export.predict", masked_model, "--text", " ".join(["film"] * 70) + " [MASK]")
    assert far.code == 2
    assert "beyond the tokens that are read" in far.error


def test_a_tokenizer_without_a_mask_fills_nothing(tokenizer) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, pad_token="[PAD]")
    with pytest.raises(EdgepressError, match="no mask token"):
        KIND.places(bare, [("the film",)], 64)
    with pytest.raises(EdgepressError, match="no mask token"):
        KIND.card_texts(bare, 1)


def test_a_folder_of_transformers_is_taken(cli: Cli, masked_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    AutoModelForMaskedLM.from_pretrained(masked_model).save_pretrained(folder)
    AutoTokenizer.from_pretrained(masked_model).save_pretrained(folder)
    result = cli("export.predict", folder, "--text", TEXT)
    assert result.code == 0, result.err
    assert "delight" in result.out
