"""Question answering as a user types it: fine-tune, distil, run again."""

import pytest
import torch
from conftest import SUBJECTS, VERDICTS
from test_edgepress_squad import write_squad
from transformers import AutoModelForQuestionAnswering

from compress.training.question_answering import span_kl
from edgepress.core.artifact import open_artifact
from edgepress.core.loading import open_model

LEARN = ("--epochs", 30, "--learning-rate", 2e-3, "--max-length", 24)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def squad(tmp_path_factory):
    """Two sentences a context; asked for the subject of one, by its verdict."""
    verdicts = [verdict for kind in VERDICTS.values() for verdict in kind]
    entries = []
    for number, subject in enumerate(SUBJECTS * 8):
        other = SUBJECTS[(number * 5 + 1) % len(SUBJECTS)]
        if other == subject:
            continue
        verdict, second = verdicts[number % 8], verdicts[(number * 3 + 1) % 8]
        if verdict != second:
            entries.append((verdict, f"{subject} {verdict}. {other} {second}.", [subject]))
    folder = tmp_path_factory.mktemp("data") / "asked"
    write_squad(folder, "train", entries)
    return write_squad(folder, "dev", entries[::3])


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("teachers") / "teacher"


@pytest.fixture
def teacher(cli, bare_encoder, squad, teacher_folder):
    """Trained once."""
    if not teacher_folder.exists():
        flags = ("--model", bare_encoder, "--task", squad, "--output", teacher_folder)
        result = cli("compress.finetune", *flags, *LEARN)
        assert result.code == 0, result.err
    return teacher_folder


def test_a_model_learns_to_answer(teacher, squad):
    manifest = open_artifact(teacher).manifest
    metrics = manifest.steps[-1].metrics
    assert metrics["answer_f1"] > 0.8
    assert metrics["exact_match"] <= metrics["answer_f1"]
    assert metrics["history"][-1]["answer_f1"] == metrics["answer_f1"]
    assert manifest.task == "asked"
    stock = AutoModelForQuestionAnswering.from_pretrained(teacher)
    ours = open_model(str(teacher), task=str(squad))
    assert ours.head_trained
    assert torch.equal(stock.qa_outputs.weight, ours.model.qa_outputs.weight)


def test_a_student_learns_from_its_teacher(cli, teacher, squad, tmp_path):
    flags = ("--teacher", teacher, "--task", squad, "--output", tmp_path / "out", *LEARN)
    result = cli("compress.distill", *flags)
    assert result.code == 0, result.err
    metrics = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
    known = open_artifact(teacher).manifest.steps[-1].metrics
    assert metrics["teacher"]["answer_f1"] == pytest.approx(known["answer_f1"], abs=0.05)
    assert metrics["answer_f1"] > 0.5
    assert set(metrics["baseline"]) >= {"answer_f1", "exact_match", "seconds", "history"}
    assert metrics["baseline"]["history"] != metrics["history"]
    assert "answer_f1" in result.out
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "out")
    assert type(model).__name__ == "DistilBertForQuestionAnswering"
    assert model.config.n_layers == 1
    again = cli("compress.distill", *flags, "--overwrite", "--epochs", 1, "--no-baseline")
    assert again.err.count("as computed before") == 2


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (("--student", "bilstm"), "not a place in it"),
        (("--cosine-weight", 1), "KL of logits alone"),
        (("--response", "mse"), "KL of logits alone"),
        (("--head", "mlp"), "a classifier's"),
        (("--max-length", 12), "no room"),
    ],
)
def test_what_cannot_be(cli, teacher, squad, tmp_path, changed, word):
    flags = ("--teacher", teacher, "--task", squad, "--output", tmp_path / "out", "--epochs", 1)
    result = cli("compress.distill", *flags, *changed)
    assert result.code == 2, result.err
    assert word in result.err
    assert list(tmp_path.iterdir()) == []


def test_no_other_command_takes_it(cli, teacher, squad, tmp_path):
    result = cli("export.onnx", "--model", teacher, "--task", squad, "--output", tmp_path / "out")
    assert result.code == 2, result.err
    assert "questions and contexts" in result.err
    assert list(tmp_path.iterdir()) == []


def test_answers_that_stand_in_no_window(cli, bare_encoder, tmp_path):
    context = "this story never comes alive " * 10
    squad = write_squad(tmp_path / "asked", "train", [("what", context, [context.strip()])])
    write_squad(squad, "dev", [("what", context, [context.strip()])])
    flags = ("--model", bare_encoder, "--task", squad, "--output", tmp_path / "out", "--max-length", 20)
    result = cli("compress.finetune", *flags)
    assert result.code == 2
    assert "stands in a window of 20 tokens" in result.err


def test_divergence_is_over_tokens_and_leaves_padding_out():
    """Start: even against even; end: (1/2, 1/2) against (3/4, 1/4); the third token is padding."""
    three = torch.log(torch.tensor(3.0))
    ours = torch.zeros(1, 3, 2)
    theirs = torch.tensor([[[0.0, three], [0.0, 0.0], [9.0, 9.0]]])
    expected = 0.75 * torch.log(torch.tensor(1.5)) + 0.25 * torch.log(torch.tensor(0.5))
    found = span_kl(ours, theirs, torch.tensor([[1, 1, 0]]), 1)
    assert found.item() == pytest.approx(expected.item() / 2, abs=1e-6)
    softened = span_kl(2 * ours, 2 * theirs, torch.tensor([[1, 1, 0]]), 2)
    assert softened.item() == pytest.approx(4 * found.item(), abs=1e-5)
