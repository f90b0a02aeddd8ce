"""Named entities as a user types it: fine-tune, distil, compress, quantize, predict."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Result, manifest_of, skip_without
from entities import tagged_texts, write_tagged
from huggingface_hub import ModelCard
from token_files import FORMATS, export_one, file_of
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerFast, pipeline

import edgepress
from compress.distillation.objective import Distillation
from compress.distillation.options import DistillationOptions
from edgepress.core.loading import open_model
from edgepress.core.tasks.kinds import kind_of
from export.core.registry import formats, open_runner

Cli = Callable[..., Result]
TEXT = "The film is a quiet delight, her script falls apart."
FOUND = [("The film", "WORK", 0, 8), ("her script", "PART", 29, 39)]
LEARN = ("--epochs", 6, "--learning-rate", 2e-3, "--batch-size", 8)
KIND = kind_of("token_classification")


@pytest.fixture(autouse=True)
def _data(own_cache: None, monkeypatch: pytest.MonkeyPatch, entities: Path) -> None:
    monkeypatch.setenv("EDGEPRESS_DATA", str(entities.parent))  # where models find what they were trained on


def places(found: Any) -> list[tuple[str, str, int, int]]:
    return [(own["text"], own["label"], own["start"], own["end"]) for own in found]


def test_a_model_learns_to_find_entities(entity_model: Path) -> None:
    manifest = manifest_of(entity_model)
    metrics = manifest.steps[-1].metrics
    assert metrics["entity_f1"] > 0.95
    low, high = metrics["interval"]
    assert low <= metrics["entity_f1"] <= high
    assert metrics["history"][-1]["entity_f1"] == pytest.approx(metrics["entity_f1"])
    assert set(metrics["labels"]) == {"WORK", "PART"}
    assert sum(own["texts"] for own in metrics["labels"].values()) > 12
    (matrix,) = metrics["confusion"].values()
    assert np.sum(matrix) == sum(len(words) for words, _ in tagged_texts()[::4])
    assert manifest.data is not None
    assert manifest.data["problem_type"] == "token_classification"
    assert manifest.data["text_columns"] == ["tokens"]


def test_transformers_finds_the_same_entities(entity_model: Path) -> None:
    finder = pipeline("token-classification", str(entity_model), aggregation_strategy="first", device="cpu")
    theirs = [(own["word"], own["entity_group"], own["start"], own["end"]) for own in finder(TEXT.lower())]
    (ours,) = edgepress.load(entity_model).predict([TEXT.lower()])
    assert isinstance(ours, edgepress.EntityPrediction)
    assert theirs == [(own.text, own.label, own.start, own.end) for own in ours.entities]
    assert type(finder.model).__name__ == "BertForTokenClassification"


def test_the_card_says_what_it_is(entity_model: Path) -> None:
    card = ModelCard.load(entity_model / "README.md")
    assert card.data.pipeline_tag == "token-classification"
    (result,) = card.data.eval_results
    assert (result.task_type, result.metric_type) == ("token-classification", "entity_f1")
    assert "| entity | entities | precision |" in card.text
    pictures = {path.stem for path in (entity_model / "pictures").iterdir()}
    assert pictures == {"epochs", "confusion", "labels"}


def test_a_student_learns_the_words_of_its_teacher(cli: Cli, entity_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "student"
    result = cli("compress.distill", "--teacher", entity_model, "--output", out, *LEARN)
    assert result.code == 0, result.err
    metrics = manifest_of(out).steps[-1].metrics
    known = manifest_of(entity_model).steps[-1].metrics
    assert metrics["teacher"]["entity_f1"] == pytest.approx(known["entity_f1"], abs=0.02)
    assert metrics["teacher"]["labels"].keys() == metrics["labels"].keys()
    assert metrics["entity_f1"] > 0.8
    assert metrics["baseline"]["history"] != metrics["history"]
    assert any("(WORK)" in own for sample in metrics["samples"] for own in sample["label"])
    student = AutoModelForTokenClassification.from_pretrained(out)
    assert type(student).__name__ == "DistilBertForTokenClassification"
    teacher = AutoModelForTokenClassification.from_pretrained(entity_model)
    assert student.classifier.weight.shape == teacher.classifier.weight.shape


def test_only_first_pieces_that_the_teacher_saw_are_learned(entity_model: Path) -> None:
    opened = open_model(str(entity_model))
    options = DistillationOptions(response_weight=1.0, label_weight=0.0)
    module = Distillation(opened.model, options, "token_classification")
    ids = torch.tensor([[2, 10, 11, 12, 3]])
    labels = torch.tensor([[-100, 1, -100, 0, -100]])
    own = opened.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.detach()
    for place, said in ((2, 99.0), (0, 99.0), (3, torch.nan)):
        teacher = own.clone()
        teacher[0, place] = said
        loss = module(ids, torch.ones_like(ids), labels, teacher_logits=teacher)["loss"]
        assert loss.item() == pytest.approx(0, abs=1e-6)
    teacher = own.clone()
    teacher[0, 1] = teacher[0, 1].flip(0)
    assert module(ids, torch.ones_like(ids), labels, teacher_logits=teacher)["loss"].item() > 0.01


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("prune", ("--heads", 0.5, "--ffn", 0.5, "--importance", "taylor", *LEARN)),
        ("qat", ("--max-drop", 0, *LEARN)),
        pytest.param("sparsify", ("--sparsity", 0.3, "--time-budget", 0.5, *LEARN), marks=pytest.mark.long),
        pytest.param("trim_vocab", ("--size", 200, *LEARN), marks=pytest.mark.slow),
    ],
)
def test_techniques_keep_what_it_finds(
    cli: Cli, entity_model: Path, tmp_path: Path, verb: str, flags: tuple[object, ...]
) -> None:
    out = tmp_path / verb
    result = cli(f"compress.{verb}", "--model", entity_model, "--output", out, *flags)
    assert result.code == 0, result.err
    step = manifest_of(out).steps[-1]
    assert step.technique == verb
    last = step.metrics.get("entity_f1") or step.metrics["rounded"]["score"]
    assert last > 0.8
    (found,) = edgepress.load(out).predict([TEXT])
    assert isinstance(found, edgepress.EntityPrediction)
    assert FOUND[0] in [(own.text, own.label, own.start, own.end) for own in found.entities]


LIGHT_FORMATS = ("onnx", "torchscript", "openvino")


@pytest.fixture(scope="module")
def files(cli: Cli, entity_model: Path, entities: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in the formats that are written in a second, by one command."""
    out = tmp_path_factory.mktemp("files") / "out"
    installed = [name for name in LIGHT_FORMATS if all(find_spec(own) for own in formats()[name].modules)]
    flags = ("--data", entities.parent, "--output", out, "--eval-samples", 12, "--formats", *installed)
    result = cli("export", "--model", entity_model, *flags)
    assert result.code == 0, result.err
    return out


@pytest.mark.parametrize("name", LIGHT_FORMATS)
def test_light_formats_find_the_same(cli: Cli, files: Path, name: str) -> None:
    skip_without(name)
    finds_the_same(cli, files, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORMATS if name not in LIGHT_FORMATS])
def test_further_formats_find_the_same(cli: Cli, entity_model: Path, tmp_path: Path, name: str) -> None:
    skip_without(name)
    finds_the_same(cli, export_one(cli, name, entity_model, tmp_path / "out"), name)


def finds_the_same(cli: Cli, folder: Path, name: str) -> None:
    path, record, parent_score = file_of(folder, name)
    assert record["score"] == parent_score
    assert set(record["recalls"]) == {"WORK", "PART"}
    said = cli("export.predict", path, "--text", TEXT, "--json")
    assert said.code == 0, said.err
    assert places(json.loads(said.out)["entities"]) == FOUND


def test_parity_does_not_look_at_padding(entity_model: Path, tmp_path: Path, cli: Cli) -> None:
    """A file of one shape pads each text: what it says there is nothing."""
    out = tmp_path / "out"
    flags = ("--sequence-length", 64, "--batch-size", 2, "--eval-samples", 6)
    result = cli("export.onnx", "--model", entity_model, "--output", out, *flags)
    assert result.code == 0, result.err
    with open_runner(out / "onnx" / "model.onnx") as runner:
        batch = {name: np.ones((2, 64), dtype=np.int64) for name in ("input_ids", "attention_mask")}
        logits = runner({**batch, "token_type_ids": np.zeros((2, 64), dtype=np.int64)})
    assert logits.shape == (2, 64, 5)
    real = KIND.compared(logits, np.array([[1] * 3 + [0] * 61, [1] + [0] * 63]))
    assert real.shape == (4, 5)


@pytest.mark.slow
def test_quantizing_is_judged_by_the_worst_label_too(cli: Cli, entity_model: Path, tmp_path: Path) -> None:
    flags = ("--model", entity_model, "--time-budget", 0.3, "--sequence-lengths", 16)
    out = tmp_path / "int8"
    sought = ("--scheme", "auto", "--minimize", "size", "--max-label-drop", 100)
    result = cli("compress.quantize", *flags, "--output", out, *sought)
    assert result.code == 0, result.err
    (variant,) = manifest_of(out).steps[-1].metrics["variants"]
    assert set(variant["recalls"]) == {"WORK", "PART"}
    assert ModelCard.load(out / "README.md").data.pipeline_tag == "token-classification"
    refused = cli("compress.quantize", *flags, "--output", tmp_path / "no", "--max-label-drop", -1)
    assert refused.code == 2
    assert "--max-label-drop" in refused.error


def test_a_label_that_loses_too_much_ends_the_search(
    cli: Cli, entity_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgepress.core.tasks.kind.TaskKind.worst_drop",
        lambda *_: (40.0, "most of 'PART': 40.00 points of recall"),
    )
    flags = ("--model", entity_model, "--scheme", "auto", "--max-drop", 100, "--max-label-drop", 5)
    result = cli("compress.quantize", *flags, "--output", tmp_path / "no")
    assert result.code == 1
    assert "and 5 of any label" in result.error
    assert "most of 'PART': 40.00 points of recall" in result.err
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_the_card_of_a_file_has_a_program_that_runs(files: Path) -> None:
    program = (files / "README.md").read_text().split("```python\n")[1].split("```")[0]
    program = program.replace("Ada Lovelace was born in London", TEXT)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=files, capture_output=True, text=True, check=True
    )
    assert "('film', 'I-WORK')" in done.stdout


def test_device_bench_scores_the_file(cli: Cli, files: Path, tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    quick = ("--sequence-lengths", 16, "--time-budget", 0.3, "--launches", 1, "--min-runs", 1)
    flags = ("--output", records, "--formats", "onnx", "--eval-samples", 12)
    result = cli("device_bench", "run", "--artifacts", files, *flags, *quick)
    assert result.code == 0, result.err
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    scored = [line for line in lines if line["metric"] == "entity_f1"]
    assert scored
    assert all(line["score"] > 0.9 and line["scored_rows"] == 12 for line in scored)


def test_predictions_of_a_folder_a_table_and_the_library_agree(
    cli: Cli, entity_model: Path, tmp_path: Path
) -> None:
    rows = write_tagged(tmp_path / "some.jsonl", [(TEXT.replace(",", " ,").split(), ["O"] * 11)])
    said = cli("export.predict", entity_model, "--file", rows, "--json")
    assert said.code == 0, said.err
    table = cli("export.predict", entity_model, "--text", TEXT)
    assert "The film (WORK)" in table.out
    assert [own["text"] for own in json.loads(said.out)["entities"]] == [own[0] for own in FOUND]
    model = edgepress.load(entity_model)
    assert model.evaluate().metrics.keys() == {"entity_f1", "entity_precision", "entity_recall"}
    (nothing,) = model.predict(["   "])
    assert nothing == edgepress.EntityPrediction(())


def test_words_of_a_table_stay_words(cli: Cli, entity_model: Path, tmp_path: Path) -> None:
    """A text is parted again; a table of words is read as it was judged."""
    words = ["The", "film.", *["quiet"] * 80]
    rows = write_tagged(tmp_path / "some.jsonl", [(words, ["O"] * len(words))])
    said = cli("export.predict", entity_model, "--file", rows, "--json")
    assert json.loads(said.out)["entities"][0]["text"] == "The film."
    assert "1 of 1 texts have more than 48 tokens" in said.err
    text = cli("export.predict", entity_model, "--text", "The film.", "--json")
    assert json.loads(text.out)["entities"][0]["text"] == "The film"
    assert "the rest is not read" not in text.err
    model = edgepress.load(entity_model)
    own, other = model.predict([words, "The film."])
    assert [found.entities[0].text for found in (own, other)] == ["The film.", "The film"]
    for bad in (["The film"], [""], []):
        with pytest.raises(edgepress.EdgepressError, match=r"row 0: .* is no word"):
            model.predict([bad])


def test_two_columns_are_not_one_text(cli: Cli, entity_model: Path, tmp_path: Path) -> None:
    table = tmp_path / "two.csv"
    table.write_text("a,b\nthe film,her script\n")
    result = cli("export.predict", entity_model, "--file", table, "--text-columns", "a", "b")
    assert (result.code, "the model reads 1 at once" in result.error) == (2, True)


def test_a_head_of_another_order_is_judged_and_written_the_same(
    cli: Cli, entity_model: Path, entities: Path, tmp_path: Path
) -> None:
    """A folder of transformers with O last, as others name their labels."""
    model = AutoModelForTokenClassification.from_pretrained(entity_model)
    order = [2, 1, 4, 3, 0]
    names = [model.config.id2label[number] for number in order]
    for parameter in (model.classifier.weight, model.classifier.bias):
        parameter.data = parameter.data[order]
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: number for number, name in enumerate(names)}
    foreign = tmp_path / "foreign"
    model.save_pretrained(foreign)
    edgepress.load(entity_model).tokenizer.save_pretrained(foreign)
    ours, theirs = edgepress.load(entity_model), edgepress.load(foreign, task=str(entities))
    assert theirs.labels == tuple(names)
    assert theirs.evaluate(max_length=48).metrics == pytest.approx(ours.evaluate(max_length=48).metrics)
    assert theirs.predict([TEXT])[0].recorded["entities"] == [
        pytest.approx(own, abs=1e-4) for own in ours.predict([TEXT])[0].recorded["entities"]
    ]
    flags = ("--model", foreign, "--task", entities, "--output", tmp_path / "out", "--eval-samples", 6)
    assert cli("export.onnx", *flags).code == 0
    more = ("--epochs", 1, "--train-samples", 8, "--learning-rate", 1e-5, "--output", tmp_path / "more")
    assert cli("compress.finetune", "--model", foreign, "--task", entities, *more).code == 0
    assert manifest_of(tmp_path / "more").steps[-1].metrics["entity_f1"] > 0.9


def test_words_that_are_not_read_are_said_and_count_as_missed(
    cli: Cli, bare_encoder: Path, entities: Path, tmp_path: Path
) -> None:
    flags = ("--task", entities, "--output", tmp_path / "out", "--max-length", 6, *LEARN)
    result = cli("compress.finetune", "--model", bare_encoder, *flags)
    assert result.code == 0, result.err
    assert "not among the 6 tokens that are read: entities there count as missed" in " ".join(
        result.err.split()
    )
    metrics = manifest_of(tmp_path / "out").steps[-1].metrics
    assert metrics["entity_recall"] < 0.8 < metrics["entity_precision"]


def test_a_classifier_of_texts_is_not_asked_for_entities(
    cli: Cli, model_folder: Path, entities: Path, data_root: Path, entity_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = cli("export.onnx", "--model", model_folder, "--task", entities, "--output", out)
    assert result.code == 2
    assert "the data are a token_classification" in result.error
    other = cli("export.onnx", "--model", entity_model, "--task", data_root / "verdicts", "--output", out)
    assert other.code == 2
    assert "the model is for token_classification" in other.error
    head = ("--head", "mlp", "--output", out)
    assert cli("compress.finetune", "--model", entity_model, "--task", entities, *head).code == 2


def test_a_text_that_is_cut_misses_what_it_does_not_see(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [("the film is dull",), ("her script",)]
    found = KIND.places(tokenizer, texts, 4)
    assert found is not None
    assert [own.tolist() for own in found] == [[1, 2, -1, -1], [1, 2]]
    raw = [np.eye(3)[[0, 1, 2, 0]], np.eye(3)[[0, 1, 2, 0]]]
    outputs = KIND.collect(raw, found, ("O", "B-WORK", "I-WORK"))
    assert KIND.decide(outputs).tolist() == [[1, 2, 0, 0], [1, 2, 0, 0]]
