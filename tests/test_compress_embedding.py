"""Sentence embeddings as a user types it: fine-tune, export, predict; folders that others open."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from alike import scored, sentence_folder, together, write_rows, write_splits
from conftest import Result, finetuned, first_slow, manifest_of
from huggingface_hub import ModelCard
from queries import write_queries
from transformers import AutoModel, AutoTokenizer

import edgepress
from edgepress.core.sentence_folder import read_pooling
from export.onnx_graph.text.model import open_with_extensions

Cli = Callable[..., Result]
LEARN = ("--epochs", 8, "--learning-rate", 1e-3, "--batch-size", 8, "--max-length", 32)
TEXTS = ("the film is a quiet delight", "her script falls apart", "its ending holds up well")
FORMATS = ("torchscript", "torch_export", "coreml", "openvino", "executorch")


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of pairs with a score."""
    return write_splits(tmp_path_factory.mktemp("data") / "alike", scored())


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory, bare_encoder: Path, alike: Path) -> Path:
    """An artifact that gives vectors, made by `compress.finetune` once."""
    folder = tmp_path_factory.mktemp("models") / "embedder"
    return finetuned(folder, bare_encoder, alike, "--problem-type", "embedding", *LEARN, "--epochs", 12)


@pytest.fixture(autouse=True)
def _data(own_cache: None, monkeypatch: pytest.MonkeyPatch, alike: Path) -> None:
    monkeypatch.setenv("EDGEPRESS_DATA", str(alike.parent))  # where models find what they were trained on


def by_hand(folder: Path, texts: tuple[str, ...]) -> np.ndarray:
    """Vectors of transformers' own encoder: the mean of the tokens, of length 1."""
    inputs = AutoTokenizer.from_pretrained(folder)(list(texts), padding=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    mean = (states * mask).sum(1) / mask.sum(1)
    return np.asarray(mean / mean.norm(dim=-1, keepdim=True))


def test_a_model_learns_scores(embedder: Path) -> None:
    manifest = manifest_of(embedder)
    metrics = manifest.steps[-1].metrics
    losses = [own["eval_loss"] for own in metrics["history"] if "eval_loss" in own]
    assert metrics["spearman_cosine"] > 0.5
    assert losses[-1] < losses[0]
    assert {"pearson_cosine", "interval"} <= metrics.keys()
    assert manifest.data is not None
    assert (manifest.data["problem_type"], manifest.data["labels"]) == ("embedding", [])
    card = ModelCard.load(embedder / "README.md")
    assert card.data.pipeline_tag == "sentence-similarity"
    assert card.data.library_name == "sentence-transformers"
    assert read_pooling(embedder).max_length == 32


def test_the_folder_is_an_encoder_to_others(embedder: Path) -> None:
    ours = [own.embedding for own in edgepress.load(embedder).predict(TEXTS)]
    assert np.abs(np.asarray(ours) - by_hand(embedder, TEXTS)).max() < 1e-6
    config = json.loads((embedder / "config.json").read_text())
    assert config["architectures"] == ["BertModel"]


@pytest.mark.parametrize(
    ("rows", "metric", "least"),
    [
        (together, "recall_at_1", 0.5),
        pytest.param(write_queries, "map", 0.6, marks=pytest.mark.slow),
    ],
)
def test_a_model_learns_what_belongs_together(
    cli: Cli, bare_encoder: Path, tmp_path: Path, rows: Callable[..., Any], metric: str, least: float
) -> None:
    folder = rows(tmp_path / "data") if rows is write_queries else write_splits(tmp_path / "data", rows())
    out = tmp_path / "out"
    flags = ("--task", folder, "--output", out, "--problem-type", "embedding", *LEARN)
    result = cli("compress.finetune", "--model", bare_encoder, *flags, "--pooling", "cls")
    assert result.code == 0, result.err
    metrics = manifest_of(out).steps[-1].metrics
    assert metrics[metric] > least
    assert read_pooling(out).mode == "cls"


@pytest.mark.parametrize("name", ["onnx", *first_slow(FORMATS, 2)])
def test_files_give_the_same_vectors(cli: Cli, embedder: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    strings = ("--with-tokenizer",) if name == "onnx" else ()
    flags = ("--eval-samples", 12, "--scheme", "fp32", *strings)
    result = cli(f"export.{name}", "--model", embedder, "--output", out, *flags)
    assert result.code == 0, result.err
    if strings:
        with_tokenizer = out / "onnx" / "model_with_tokenizer.onnx"
        session = open_with_extensions(with_tokenizer)
        found = session.run(["sentence_embedding"], {"text": np.array(TEXTS, dtype=object)})[0]
        assert np.abs(found - by_hand(embedder, TEXTS)).max() < 1e-3
        assert [own.name for own in session.get_outputs()] == ["sentence_embedding", "input_ids"]
        assert "labels" not in session.get_modelmeta().custom_metadata_map
    metrics = manifest_of(out).steps[-1].metrics
    record = metrics["files"][0]
    assert record["score"] == pytest.approx(metrics["parent_score"], abs=1e-3)
    assert metrics["evaluation_set"]["texts"] == 12
    said = cli("export.predict", next(out.rglob(record["file"])), "--text", *TEXTS, "--json")
    assert said.code == 0, said.err
    found = [json.loads(line)["embedding"] for line in said.out.splitlines()]
    assert np.abs(np.asarray(found) - by_hand(embedder, TEXTS)).max() < 1e-3
    (parity,) = [own.parity for own in manifest_of(out).files if own.parity]
    assert parity["agreement"] == 1
    if strings:
        (out / "manifest.json").unlink()  # such a folder is taken at its word
        config = json.loads((out / "config.json").read_text())
        (out / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
        other = cli("export.predict", out / "onnx" / "model.onnx", "--text", *TEXTS)
        assert (other.code, "gives 64 numbers, and config.json says 32" in other.error) == (2, True), (
            other.err
        )


def test_a_folder_of_sentence_transformers_needs_no_flag(
    cli: Cli, bare_encoder: Path, alike: Path, tmp_path: Path
) -> None:
    folder = sentence_folder(bare_encoder, tmp_path / "model", ("Transformer", "Pooling"))
    out = tmp_path / "out"
    result = cli("export.onnx", "--model", folder, "--task", alike, "--output", out, "--eval-samples", 12)
    assert result.code == 0, result.err
    assert "neighbours kept" in result.out
    assert not read_pooling(out).normalize
    again = cli("export.torchscript", "--model", out, "--output", tmp_path / "again", "--eval-samples", 12)
    assert again.code == 0, again.err
    manifest = manifest_of(tmp_path / "again")
    assert [own.technique for own in manifest.steps] == ["export", "export"]


@pytest.mark.slow
def test_a_cards_program_gives_the_vector(cli: Cli, embedder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cli("export.onnx", "--model", embedder, "--output", out, "--eval-samples", 12).code == 0
    (program,) = re.findall(r"^```python\n(.*?)^```", (out / "README.md").read_text(), re.M | re.S)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = np.asarray(json.loads(done.stdout))
    assert np.abs(found - by_hand(embedder, ("A man is eating food.",))[0]).max() < 1e-3


def test_predict_shows_the_beginning_of_a_vector(cli: Cli, embedder: Path, tmp_path: Path) -> None:
    table = cli("export.predict", embedder, "--text", *TEXTS)
    assert table.code == 0, table.err
    assert "64 numbers" in table.out
    pairs = write_rows(tmp_path / "pairs.jsonl", scored()[:2])
    refused = cli(
        "export.predict", embedder, "--file", pairs, "--text-columns", "sentence1", "sentence2", "--json"
    )
    assert (refused.code, "the model reads 1 at once" in refused.error) == (2, True)


BROKEN: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no positive": ([{"anchor": "the film", "positive": " "}], "no text in column 'positive'"),
    "a positive is missing": ([{"anchor": "the film", "positive": None}], "no text in column 'positive'"),
    "nan": ([{**scored()[0], "score": float("nan")}, scored()[1]], "is not a number"),
    "nothing beside the texts": ([{"sentence1": "the film", "sentence2": "her script"}], "label"),
    "no relevant passage": (
        [{"query": "the film", "passage": text, "label": 0} for text in TEXTS],
        "no passage is relevant",
    ),
    "one text": ([{"text": "the film", "score": 1.0}], "pairs of texts with one score"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_data_are_one_line_and_nothing_is_written(
    cli: Cli, bare_encoder: Path, tmp_path: Path, case: str
) -> None:
    rows, words = BROKEN[case]
    folder = tmp_path / "data"
    write_rows(folder / "train.jsonl", rows)
    write_rows(folder / "validation.jsonl", rows)
    flags = ("--task", folder, "--output", tmp_path / "out", "--problem-type", "embedding", "--epochs", 1)
    result = cli("compress.finetune", "--model", bare_encoder, *flags)
    assert (result.code, (tmp_path / "out").exists()) == (2, False), result.err
    assert words in result.error


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("prune", ("--ffn", 0.25, "--importance", "taylor", *LEARN)),
        pytest.param("prune", ("--hidden", 0.5, *LEARN), marks=pytest.mark.slow, id="hidden"),
        pytest.param("qat", ("--max-drop", 0, *LEARN), marks=pytest.mark.slow),
        pytest.param("trim_vocab", ("--size", 200, *LEARN), marks=pytest.mark.slow),
        pytest.param("sparsify", ("--sparsity", 0.3, "--time-budget", 0.3, *LEARN), marks=pytest.mark.long),
    ],
)
def test_techniques_keep_the_vectors(
    cli: Cli, embedder: Path, tmp_path: Path, verb: str, flags: tuple[object, ...]
) -> None:
    out = tmp_path / verb
    result = cli(f"compress.{verb}", "--model", embedder, "--output", out, *flags)
    assert result.code == 0, result.err
    step = manifest_of(out).steps[-1]
    assert (step.metrics.get("spearman_cosine") or step.metrics["rounded"]["score"]) > 0.5
    (found,) = edgepress.load(out).predict(TEXTS[:1])
    assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-5)


def test_a_student_learns_vectors_of_several_widths(
    cli: Cli, embedder: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    out = tmp_path / "student"
    flags = ("--teacher", embedder, "--output", out, *LEARN, "--no-train-baseline", "--dimensions", 8, 16)
    result = cli("compress.distill", *flags)
    assert result.code == 0, result.err
    metrics = manifest_of(out).steps[-1].metrics
    assert [*metrics["dimensions"]] == [*metrics["teacher"]["dimensions"]] == ["64", "16", "8"]
    assert metrics["dimensions"]["64"]["spearman_cosine"] == metrics["spearman_cosine"]
    assert "numbers of a vector" in result.out
    assert "| numbers of a vector | teacher | student |" in (out / "README.md").read_text()
    assert json.loads((out / "config.json").read_text())["matryoshka_dimensions"] == [64, 16, 8]
    student = edgepress.load(out)
    judged = student.evaluate(dimensions=8)
    assert judged.score == pytest.approx(metrics["dimensions"]["8"]["spearman_cosine"], abs=1e-3)
    (whole,), (cut,) = student.predict(TEXTS[0]), student.predict(TEXTS[0], dimensions=8)
    first = np.asarray(whole.embedding[:8])
    assert np.asarray(cut.embedding) == pytest.approx(first / np.linalg.norm(first))
    assert not recwarn
    student.predict(TEXTS[0], dimensions=9)
    assert "trained for 64, 16, 8 numbers alone" in str(recwarn.pop(edgepress.EdgepressWarning).message)
    said = cli("export.predict", out, "--text", TEXTS[0], "--dimensions", 8, "--json")
    assert json.loads(said.out)["embedding"] == pytest.approx(list(cut.embedding), abs=1e-6)
    assert metrics["teacher"]["spearman_cosine"] > 0.5
    assert metrics["spearman_cosine"] > 0.5
    assert edgepress.load(out).opened.model.config.num_hidden_layers == 1
    assert isinstance(metrics["samples"][0]["teacher"][0], float)


@pytest.mark.slow
def test_a_student_learns_from_a_corpus_alone(
    cli: Cli, embedder: Path, bare_encoder: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus.txt"
    rng, texts = (
        np.random.default_rng(0),
        [own[name] for own in scored() for name in ("sentence1", "sentence2")],
    )
    # In another order of words: what the task is judged on is refused.
    corpus.write_text("\n".join(" ".join(rng.permutation(text.split())) for text in texts * 3))
    narrow = tmp_path / "narrow"
    flags = ("--hidden", 0.5, "--output", narrow, "--epochs", 0)
    assert cli("compress.prune", "--model", embedder, *flags).code == 0
    for student in ("half", narrow):
        out = tmp_path / f"student-{Path(student).name}"
        flags = ("--teacher", embedder, "--student", student, "--transfer", corpus, "--output", out)
        result = cli("compress.distill", *flags, *LEARN)
        assert result.code == 0, result.err
        assert "without labels" in result.err.replace("\n", " ")
        step = manifest_of(out).steps[-1]
        assert (step.config["label_weight"], "baseline" in step.metrics) == (0, False)
        assert step.metrics["spearman_cosine"] > 0.4


WIDTHS: dict[str, tuple[tuple[object, ...], str]] = {
    "0": (("--dimensions", 0), "--dimensions is out of range: it is 1 or more, not 0"),
    "above the width": (("--dimensions", 16, 65), "--dimensions 65: the vectors of"),
    "no number": (("--dimensions", "wide"), "--dimensions takes"),
}


@pytest.mark.parametrize("case", WIDTHS)
def test_widths_that_vectors_do_not_have(
    cli: Cli, embedder: Path, bare_encoder: Path, alike: Path, tmp_path: Path, case: str
) -> None:
    flags, words = WIDTHS[case]
    out = ("--output", tmp_path / "out", *flags)
    tuned = ("--model", bare_encoder, "--task", alike, "--problem-type", "embedding")
    for found in (
        cli("compress.finetune", *tuned, *out),
        cli("compress.distill", "--teacher", embedder, *out),
        cli("export.predict", embedder, "--text", "the film", "--dimensions", flags[-1]),
    ):
        assert (found.code, (tmp_path / "out").exists()) == (2, False)
        assert words in found.error


def test_widths_are_of_vectors(cli: Cli, model_folder: Path, bare_encoder: Path, tmp_path: Path) -> None:
    out = ("--output", tmp_path / "out", "--dimensions", 8)
    narrow, task = ("--student", "narrow", "--hidden-size", 32), ("--task", "movie_reviews")
    for found in (
        cli("compress.finetune", "--model", bare_encoder, *task, *out),
        cli("compress.distill", "--teacher", model_folder, *narrow, *task, *out),
        cli("export.predict", model_folder, "--text", "the film", "--dimensions", 8),
    ):
        assert (found.code, (tmp_path / "out").exists()) == (2, False)
        assert "it is of models that give vectors" in found.err.replace("\n", " ")
    stage = cli("compress.distill", "--teacher", "x", "--stage", "pretrain", "--corpus", "y", *out)
    assert (stage.code, "--dimensions belongs to --stage task" in stage.error) == (2, True)


@pytest.mark.slow
def test_widths_are_learned_and_kept_by_further_trainings(
    cli: Cli, bare_encoder: Path, alike: Path, tmp_path: Path
) -> None:
    flags = ("--problem-type", "embedding", *LEARN, "--epochs", 12)
    plain, nested, cut = (tmp_path / name for name in ("plain", "nested", "cut"))
    finetuned(plain, bare_encoder, alike, *flags)
    finetuned(nested, bare_encoder, alike, *flags, "--dimensions", 4)
    with pytest.warns(edgepress.EdgepressWarning, match="for whole vectors alone"):
        before = edgepress.load(plain).evaluate("train", dimensions=4).score
    after = edgepress.load(nested).evaluate("train", dimensions=4).score
    assert before is not None
    assert after is not None
    assert after > before
    assert cli("compress.prune", "--model", nested, "--hidden", 0.5, "--output", cut, *LEARN).code == 0
    assert [*manifest_of(cut).steps[-1].metrics["dimensions"]] == ["32", "4"]
    assert json.loads((cut / "config.json").read_text())["matryoshka_dimensions"] == [32, 4]
    files = tmp_path / "files"
    result = cli("export.onnx", "--model", cut, "--output", files, "--scheme", "fp32", "int8")
    assert result.code == 0, result.err
    assert "spearman_cosine of 4 numbers: " in result.out
    records = manifest_of(files).steps[-1].metrics["files"]
    wanted = edgepress.load(cut).evaluate(dimensions=4).score
    assert records[0]["also"]["spearman_cosine of 4 numbers"] == pytest.approx(wanted, abs=1e-3)
    said = cli(
        "export.predict", files / "onnx" / records[1]["file"], "--text", TEXTS[0], "--dimensions", 4, "--json"
    )
    assert np.linalg.norm(json.loads(said.out)["embedding"]) == pytest.approx(1)


def test_vectors_are_not_augmented(cli: Cli, embedder: Path, tmp_path: Path) -> None:
    flags = ("--teacher", embedder, "--augment", 2, "--output", tmp_path / "out")
    result = cli("compress.distill", *flags)
    assert (result.code, "the texts of the train split stay as they are" in result.error) == (2, True)


@pytest.mark.slow
def test_quantizing_keeps_neighbours(cli: Cli, embedder: Path, tmp_path: Path) -> None:
    out = tmp_path / "auto"
    flags = ("--model", embedder, "--scheme", "auto", "--max-drop", 5, "--time-budget", 0)
    result = cli("compress.quantize", *flags, "--output", out)
    assert result.code == 0, result.err
    assert "of the nearest neighbours stay" in result.err.replace("\n", " ")
    (variant,) = manifest_of(out).steps[-1].metrics["variants"]
    assert variant["agreement"] >= 0.97
    (parent, child) = (own.parity for own in manifest_of(out).files if own.parity)
    assert parent["mean_cosine"] == pytest.approx(1, abs=1e-6)
    assert 0.9 < child["mean_cosine"] <= 1


@pytest.mark.slow
def test_what_is_lost_of_neighbours_is_limited(
    cli: Cli, embedder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgepress.core.tasks.embedding.Embedding.worst_drop", lambda *_: (4.0, "96.0 % stay")
    )
    monkeypatch.setattr("compress.quantize.search.KEPT_LAYERS", ())
    flags = ("--model", embedder, "--scheme", "auto", "--max-drop", 90, "--time-budget", 0)
    result = cli("compress.quantize", *flags, "--output", tmp_path / "out", "--eval-samples", 8)
    assert (result.code, (tmp_path / "out").exists()) == (1, False)
    assert "and 3 % of the nearest neighbours" in result.error.replace("\n", " ")


@pytest.mark.slow
def test_device_bench_scores_the_file(cli: Cli, embedder: Path, tmp_path: Path) -> None:
    out, results = tmp_path / "out", tmp_path / "results.jsonl"
    assert cli("export.onnx", "--model", embedder, "--output", out, "--eval-samples", 12).code == 0
    flags = ("--output", results, "--sequence-lengths", 16, "--time-budget", 0.3, "--eval-samples", 1000)
    result = cli("device_bench", "run", "--artifacts", out, *flags)
    assert result.code == 0, result.err
    record = json.loads(results.read_text().splitlines()[0])
    judged = edgepress.load(out).evaluate()
    assert (record["metric"], judged.metric) == ("spearman_cosine", "spearman_cosine")
    assert record["score"] == pytest.approx(judged.score, abs=1e-4)
