"""Question answering as a user types it: fine-tune, distil, compress, quantize, predict."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Result, manifest_of, skip_without
from huggingface_hub import ModelCard
from onnxruntime import InferenceSession
from questions import entries, write_columns, write_squad
from token_files import FORMATS, export_one, file_of
from transformers import AutoModelForQuestionAnswering, pipeline
from transformers.pipelines import SUPPORTED_TASKS

import edgepress
from edgepress.core.loading import open_model
from edgepress.core.own_split import split_beside
from edgepress.core.splits import load_split
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TaskOptions
from edgepress.core.tasks.kinds import kind_of
from export.core.registry import open_runner

Cli = Callable[..., Result]
LEARN = ("--epochs", 30, "--learning-rate", 2e-3, "--max-length", 24)
LITTLE = ("--epochs", 4, "--learning-rate", 1e-3, "--max-length", 24)
QUESTION, ANSWER = "falls apart", "her script"
CONTEXT = f"{ANSWER} {QUESTION}. the film is a quiet delight."
KIND = kind_of("question_answering")


@pytest.fixture(autouse=True)
def _data(own_cache: None, monkeypatch: pytest.MonkeyPatch, questions: Path) -> None:
    monkeypatch.setenv("EDGEPRESS_DATA", str(questions.parent))  # where models find what they were trained on


def test_a_model_learns_to_answer(answer_model: Path) -> None:
    manifest = manifest_of(answer_model)
    metrics = manifest.steps[-1].metrics
    assert metrics["answer_f1"] > 0.8
    assert metrics["exact_match"] <= metrics["answer_f1"]
    assert metrics["history"][-1]["answer_f1"] == pytest.approx(metrics["answer_f1"])
    low, high = metrics["interval"]
    assert low <= metrics["answer_f1"] <= high
    assert (manifest.task, metrics["evaluation_set"]["texts"]) == ("asked", len(entries()[::3]))
    assert manifest.data is not None
    assert manifest.data["text_columns"] == ["question", "context"]
    stock = AutoModelForQuestionAnswering.from_pretrained(answer_model)
    ours = open_model(str(answer_model))
    assert ours.scored
    assert torch.equal(stock.qa_outputs.weight, ours.model.qa_outputs.weight)
    assert not hasattr(stock.config, "edgepress_thresholds")  # every question has an answer


def test_the_card_says_what_it_is(answer_model: Path) -> None:
    card = ModelCard.load(answer_model / "README.md")
    assert card.data.pipeline_tag == "question-answering"
    (result,) = card.data.eval_results
    assert (result.task_type, result.metric_type) == ("question-answering", "answer_f1")
    assert "exact match" in card.text
    assert {path.stem for path in (answer_model / "pictures").iterdir()} == {"epochs"}


@pytest.mark.skipif("question-answering" not in SUPPORTED_TASKS, reason="transformers 5 has no such pipeline")
def test_transformers_gives_the_same_answer(answer_model: Path) -> None:
    """Of a context in one window; of several the two choose by another rule."""
    asked = pipeline("question-answering", str(answer_model), device="cpu")
    theirs = asked(question=QUESTION, context=CONTEXT)
    (ours,) = edgepress.load(answer_model).predict([(QUESTION, CONTEXT)])
    assert isinstance(ours, edgepress.AnswerPrediction)
    assert ours.answer == CONTEXT[ours.start : ours.end] == ANSWER
    assert (theirs["answer"], theirs["start"], theirs["end"]) == (ours.answer, ours.start, ours.end)
    assert theirs["score"] == pytest.approx(ours.score, abs=1e-3)


def test_a_student_learns_from_its_teacher(
    cli: Cli, answer_model: Path, questions: Path, tmp_path: Path
) -> None:
    flags = ("--teacher", answer_model, "--task", questions, "--output", tmp_path / "out", *LEARN)
    result = cli("compress.distill", *flags)
    assert result.code == 0, result.err
    metrics = manifest_of(tmp_path / "out").steps[-1].metrics
    known = manifest_of(answer_model).steps[-1].metrics
    assert metrics["teacher"]["answer_f1"] == pytest.approx(known["answer_f1"], abs=0.05)
    assert metrics["answer_f1"] > 0.5
    assert set(metrics["baseline"]) >= {"answer_f1", "exact_match", "seconds", "history"}
    assert metrics["baseline"]["history"] != metrics["history"]
    assert any(sample["teacher"][0] in sample["label"] for sample in metrics["samples"])
    assert "answer_f1" in result.out
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "out")
    assert type(model).__name__ == "DistilBertForQuestionAnswering"
    assert model.config.n_layers == 1
    again = cli("compress.distill", *flags, "--overwrite", "--epochs", 1, "--no-train-baseline")
    assert again.err.count("as computed before") == 2


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("prune", ("--heads", 0.5, "--ffn", 0.25, "--importance", "taylor", *LEARN)),
        pytest.param("qat", ("--max-drop", 0, *LITTLE), marks=pytest.mark.long),
        pytest.param("trim_vocab", ("--size", 200, *LEARN), marks=pytest.mark.slow),
        pytest.param("prune", ("--ffn", 0.25, "--importance", "activation", *LEARN), marks=pytest.mark.slow),
        pytest.param("sparsify", ("--sparsity", 0.3, "--time-budget", 0.5, *LEARN), marks=pytest.mark.long),
    ],
)
def test_techniques_keep_what_it_answers(
    cli: Cli, answer_model: Path, tmp_path: Path, verb: str, flags: tuple[object, ...]
) -> None:
    out = tmp_path / verb
    result = cli(f"compress.{verb}", "--model", answer_model, "--output", out, *flags)
    assert result.code == 0, result.err
    step = manifest_of(out).steps[-1]
    assert step.technique == verb
    last = step.metrics.get("answer_f1") or step.metrics["rounded"]["score"]
    assert last > 0.6
    (found,) = edgepress.load(out).predict([(QUESTION, CONTEXT)])
    assert isinstance(found, edgepress.AnswerPrediction)
    assert found.answer == CONTEXT[found.start : found.end]


@pytest.fixture(scope="module")
def files(cli: Cli, answer_model: Path, questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as ONNX, whole and in int8."""
    out = tmp_path_factory.mktemp("files") / "out"
    flags = ("--data", questions.parent, "--output", out, "--eval-samples", 12, "--scheme", "fp32", "int8")
    result = cli("export.onnx", "--model", answer_model, *flags)
    assert result.code == 0, result.err
    return out


def test_a_file_gives_the_same_answer(cli: Cli, files: Path) -> None:
    gives_the_same(cli, files, "onnx")


# Those that named entities show of tokens' logits are long.
MARKS = {"executorch": pytest.mark.long, "coreml": pytest.mark.long}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=MARKS.get(name, pytest.mark.slow)) for name in FORMATS if name != "onnx"],
)
def test_every_format_gives_the_same_answer(cli: Cli, answer_model: Path, tmp_path: Path, name: str) -> None:
    skip_without(name)
    gives_the_same(cli, export_one(cli, name, answer_model, tmp_path / "out"), name)


def gives_the_same(cli: Cli, folder: Path, name: str) -> None:
    path, record, parent_score = file_of(folder, name)
    assert record["score"] == parent_score
    said = cli("export.predict", path, "--text", QUESTION, CONTEXT, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["answer"], found["start"], found["end"]) == (ANSWER, 0, 10)
    assert 0 < found["score"] <= 1
    assert found["text"] == [QUESTION, CONTEXT]


@pytest.mark.slow
def test_a_file_has_the_outputs_that_others_ask_for(files: Path) -> None:
    batch = {name: np.ones((2, 9), dtype=np.int64) for name in ("input_ids", "attention_mask")}
    batch["token_type_ids"] = np.zeros((2, 9), dtype=np.int64)
    for name in ("model.onnx", "model_quantized.onnx"):
        session = InferenceSession(str(files / "onnx" / name), providers=["CPUExecutionProvider"])
        assert [entry.name for entry in session.get_outputs()] == ["start_logits", "end_logits"]
        both = session.run(None, batch)
        assert both[0].shape == both[1].shape == (2, 9)
        with open_runner(files / "onnx" / name) as runner:
            assert np.array_equal(runner(batch), np.stack(both, -1))
    program = (files / "README.md").read_text().split("```python\n")[1].split("```")[0]
    program = program.replace("Where was Ada Lovelace born?", QUESTION)
    program = program.replace("Ada Lovelace was born in London.", CONTEXT)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=files, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['her', 'script']"


def test_agreement_is_of_starts_and_ends_without_padding() -> None:
    parent = np.zeros((2, 3, 2))
    parent[0, 1], parent[1, 0] = 5, 5
    child = parent.copy()
    child[0, 2, 1] = 9  # another end
    mask = np.array([[1, 1, 1], [1, 1, 0]])
    child[1, 2] = 99  # padding
    choices = (KIND.choices(own, mask) for own in (parent, child))
    assert KIND.agreement(*choices, None) == 3 / 4
    assert KIND.compared(child, mask).shape == (5, 2)


@pytest.mark.slow
def test_quantizing_is_judged_by_f1(cli: Cli, answer_model: Path, tmp_path: Path) -> None:
    flags = ("--model", answer_model, "--time-budget", 0.3, "--sequence-lengths", 16)
    out = tmp_path / "int8"
    more = ("--scheme", "auto", "--minimize", "size", "--max-drop", 100)
    result = cli("compress.quantize", *flags, "--output", out, *more)
    assert result.code == 0, result.err
    (variant,) = manifest_of(out).steps[-1].metrics["variants"]
    assert variant["score"] is not None
    assert ModelCard.load(out / "README.md").data.pipeline_tag == "question-answering"
    assert "answer_f1" in result.out


@pytest.mark.slow
def test_device_bench_scores_the_file(cli: Cli, answer_model: Path, files: Path, tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    quick = ("--sequence-lengths", 16, "--time-budget", 0.3, "--launches", 1, "--min-runs", 1)
    flags = ("--output", records, "--precisions", "fp32", "--eval-samples", 12)
    result = cli("device_bench", "run", "--artifacts", files, *flags, *quick)
    assert result.code == 0, result.err
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    scored = [line for line in lines if line["metric"] == "answer_f1"]
    assert scored
    judged = edgepress.load(answer_model).evaluate(samples=12)
    assert all(line["score"] == pytest.approx(judged.score) and line["scored_rows"] == 12 for line in scored)


def test_a_long_context_is_read_in_windows(cli: Cli, answer_model: Path, tmp_path: Path) -> None:
    filler = "this story never comes alive. the acting is dull. " * 12
    rows = [(QUESTION, f"{filler}{CONTEXT} {filler}", [ANSWER])]
    table = write_columns(tmp_path / "some.jsonl", rows)
    said = cli("export.predict", answer_model, "--file", table, "--json")
    assert said.code == 0, said.err
    found, context = json.loads(said.out), rows[0][1]
    assert context[found["start"] : found["end"]] == found["answer"] != ""
    shown = cli("export.predict", answer_model, "--text", QUESTION, CONTEXT)
    assert ANSWER in shown.out
    assert "answer" in shown.out.splitlines()[0] + shown.out.splitlines()[1]


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of the questions have no answer: their verdict is not in the context."""
    rows = entries()
    without = [("what is this", context, []) for _, context, _ in rows]
    both = [own for pair in zip(rows, without, strict=True) for own in pair]
    folder = tmp_path_factory.mktemp("data") / "doubtful"
    write_squad(folder, "train", both)
    return write_squad(folder, "dev", both[:24])


def test_questions_without_an_answer(cli: Cli, bare_encoder: Path, doubtful: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    auto = ("--null-threshold", "auto", "--hold-out", 0.25)
    flags = ("--task", doubtful, "--output", out, *LEARN, *auto)
    result = cli("compress.finetune", "--model", bare_encoder, *flags)
    assert result.code == 0, result.err
    assert "some without an answer" in " ".join(result.err.split())
    metrics = manifest_of(out).steps[-1].metrics
    assert metrics["exact_match"] > 0.7
    table = metrics["thresholds"]
    assert [*table] == ["0", "validation", "held out of train"]
    assert table["0"]["answer_f1"] == pytest.approx(metrics["history"][-1]["answer_f1"])
    (chosen,) = table["held out of train"]["values"].values()
    assert table["held out of train"]["answer_f1"] == metrics["answer_f1"] <= table["validation"]["answer_f1"]
    count = table["held out of train"]["rows"]
    assert 0 < count < len(entries())
    assert f"| held out of train, {count} rows |" in (out / "README.md").read_text()
    config = json.loads((out / "config.json").read_text())
    assert config["edgepress_thresholds"] == [chosen]
    asked = ("--text", "what is this", CONTEXT)
    found = json.loads(cli("export.predict", out, *asked, "--json").out)
    assert (found["answer"], found["start"], found["end"]) == ("", 0, 0)
    assert found["score"] > 0.25
    always = json.loads(cli("export.predict", out, *asked, "--json", "--null-threshold", 100).out)
    assert always["answer"] != ""
    opened = edgepress.load(out, task=str(doubtful))
    assert opened.opened.text_task.null_threshold == chosen  # what is trained further keeps it
    assert opened.evaluate(max_length=24).score == pytest.approx(metrics["answer_f1"])
    never = edgepress.load(out, task=str(doubtful), null_threshold=100)
    assert never.evaluate(max_length=24).score < metrics["answer_f1"] - 0.2


def test_a_threshold_is_chosen_on_rows_that_are_not_reported(
    cli: Cli, bare_encoder: Path, answer_model: Path, doubtful: Path, questions: Path, tmp_path: Path
) -> None:
    out, auto = ("--output", tmp_path / "out"), ("--null-threshold", "auto")
    held = (*auto, "--hold-out", 0.1)
    refused = {
        "which is reported": ("finetune", "--model", bare_encoder, "--task", doubtful, *auto),
        "has an answer to every question": ("finetune", "--model", bare_encoder, "--task", questions, *held),
        "is for text-classification": ("finetune", "--model", bare_encoder, "--task", "movie_reviews", *held),
        "is chosen by compress.finetune": ("prune", "--model", answer_model, "--ffn", 0.5, *auto),
        "any number, and finite": ("finetune", "--model", "x", "--task", "y", "--null-threshold", "inf"),
    }
    for words, (verb, *flags) in refused.items():
        result = cli(f"compress.{verb}", *flags, *out)
        assert (result.code, words in result.error) == (2, True), result.err
    assert list(tmp_path.iterdir()) == []


def test_a_single_file_is_split_by_context(tmp_path: Path) -> None:
    rows = [(f"{question} {turn}", context, texts) for question, context, texts in entries() for turn in "ab"]
    folder = write_squad(tmp_path / "whole", "all", rows)
    table = folder / "all.json"
    (folder / "all-v1.1.json").rename(table)
    split = split_beside(table, tmp_path / "out", TaskOptions(), overwrite=False)
    task = find_task(str(split))
    sides = [{context for _, context in load_split(task, own).texts} for own in ("train", "validation")]
    assert sides[1]
    assert not sides[0] & sides[1]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (("--student", "bilstm"), "is a model for question answering"),
        (("--student", "static"), "is a model for question answering"),
        (("--head", "mlp"), "--head mlp reads whole texts"),
        (("--thresholds", "gmean"), "several labels at once"),
        (("--max-length", 12), "no room"),
    ],
)
def test_what_cannot_be(
    cli: Cli, answer_model: Path, questions: Path, tmp_path: Path, changed: Any, word: str
) -> None:
    flags = ("--teacher", answer_model, "--task", questions, "--output", tmp_path / "out", "--epochs", 1)
    result = cli("compress.distill", *flags, *changed)
    assert result.code == 2, result.err
    assert word in result.err
    assert list(tmp_path.iterdir()) == []


def test_hidden_states_are_compared_too(
    cli: Cli, answer_model: Path, questions: Path, tmp_path: Path
) -> None:
    flags = ("--teacher", answer_model, "--task", questions, "--output", tmp_path / "out", *LITTLE)
    result = cli("compress.distill", *flags, "--hidden-weight", 1, "--no-train-baseline")
    assert result.code == 0, result.err


def test_a_model_of_texts_is_not_asked_questions(
    cli: Cli, model_folder: Path, answer_model: Path, questions: Path, data_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = cli("export.onnx", "--model", model_folder, "--task", questions, "--output", out)
    assert result.code == 2
    assert "the data are a question_answering" in result.error
    other = cli("export.onnx", "--model", answer_model, "--task", data_root / "verdicts", "--output", out)
    assert other.code == 2
    assert "is a model for question answering" in other.error
    strings = cli("export.onnx", "--model", answer_model, "--output", out, "--with-tokenizer")
    assert strings.code == 2
    assert "question-answering" in strings.error
    blank = cli("export.predict", answer_model, "--text", " ", CONTEXT)
    assert (blank.code, "an empty text" in blank.error) == (2, True)
    alone = cli("export.predict", answer_model, "--text", QUESTION)
    assert (alone.code, "reads 2 texts at once (question and context)" in alone.error) == (2, True)
    assert not out.exists()


def test_logits_that_are_no_numbers_are_no_answer(cli: Cli, answer_model: Path, tmp_path: Path) -> None:
    model = AutoModelForQuestionAnswering.from_pretrained(answer_model)
    model.qa_outputs.weight.data[:] = torch.nan
    model.save_pretrained(tmp_path / "damaged")
    edgepress.load(answer_model).tokenizer.save_pretrained(tmp_path / "damaged")
    said = cli("export.predict", tmp_path / "damaged", "--text", QUESTION, CONTEXT)
    assert said.code == 2
    assert "no finite numbers" in said.error
    assert said.out == ""


def test_answers_that_stand_in_no_window(cli: Cli, bare_encoder: Path, tmp_path: Path) -> None:
    context = "this story never comes alive " * 10
    squad = write_squad(tmp_path / "asked", "train", [("what", context, [context.strip()])])
    write_squad(squad, "dev", [("what", context, [context.strip()])])
    flags = ("--model", bare_encoder, "--task", squad, "--output", tmp_path / "out", "--max-length", 20)
    result = cli("compress.finetune", *flags)
    assert result.code == 2
    assert "stands in a window of 20 tokens" in result.err


def test_divergence_is_over_tokens_and_leaves_padding_out() -> None:
    """Start: even against even; end: (1/2, 1/2) against (3/4, 1/4); the third token is padding."""
    three = torch.log(torch.tensor(3.0))
    ours = torch.zeros(1, 3, 2)
    theirs = torch.tensor([[[0.0, three], [0.0, 0.0], [9.0, 9.0]]])
    expected = 0.75 * torch.log(torch.tensor(1.5)) + 0.25 * torch.log(torch.tensor(0.5))
    mask = torch.tensor([[1, 1, 0]])

    def divergence(factor: float, temperature: float) -> float:
        pair = KIND.compared_logits(factor * ours, factor * theirs, torch.zeros(1, 2), mask)
        return float(KIND.divergence(*pair, temperature))

    assert divergence(1, 1) == pytest.approx(expected.item() / 2, abs=1e-6)
    assert divergence(2, 2) == pytest.approx(4 * divergence(1, 1), abs=1e-5)
