"""Every command that trains: it resumes to the same weights, and says what makes it another training."""

import shutil

import pytest
import torch
from interrupting import stop, weights
from questions import write_squad
from resuming import TYPED, refused, turned
from transformers import AutoModelForSequenceClassification, BertForMaskedLM

pytestmark = pytest.mark.usefixtures("one_thread", "own_cache")


@pytest.fixture
def teacher(tmp_path, tokenizer, trained_bert):
    """A small BERT with a head over the vocabulary."""
    torch.manual_seed(2)
    BertForMaskedLM(trained_bert.config).save_pretrained(tmp_path / "mlm")
    tokenizer.save_pretrained(tmp_path / "mlm")
    return tmp_path / "mlm"


def asked(folder, turn=False):
    entries = [
        ("what is it", f"the film is {word} here.", [word if not turn else "film"]) for word in "abcdefgh" * 6
    ]
    write_squad(folder, "train", entries)
    return write_squad(folder, "dev", entries[:8])


@pytest.fixture
def commands(own_data, own_model, corpus, teacher, bare_encoder, tmp_path):
    """Every command that trains -> what is typed, and what then changes the texts that it trains on."""

    def labels():
        turned(own_data / "verdicts" / "train.jsonl")

    def lines():
        corpus.write_text(corpus.read_text().replace("film", "FILMS"))

    task = ("--task", "verdicts", "--data", own_data, *TYPED)
    own = ("--model", own_model, *task)
    squad = asked(tmp_path / "asked")
    spans = ("--epochs", 3, "--batch-size", 8, "--max-length", 24, "--task", squad)
    blocks = ("--corpus", corpus, "--epochs", 3, "--batch-size", 4, "--max-length", 32)
    return {
        "finetune": (("compress.finetune", *own), labels),
        "finetune on SQuAD": (
            ("compress.finetune", "--model", bare_encoder, *spans),
            lambda: asked(squad, turn=True),
        ),
        "pretrain": (("compress.pretrain", "--model", teacher, *blocks), lines),
        "distill": (("compress.distill", "--teacher", own_model, "--no-train-baseline", *task), labels),
        "distill, the baseline": (("compress.distill", "--teacher", own_model, *task), labels),
        "distill, hidden states": (
            ("compress.distill", "--teacher", own_model, "--no-train-baseline", "--hidden-weight", 1, *task),
            labels,
        ),
        "distill a masked LM": (
            ("compress.distill", "--stage", "pretrain", "--teacher", teacher, *blocks),
            lines,
        ),
        "prune": (("compress.prune", *own, "--ffn", 0.5, "--importance", "taylor"), labels),
        "sparsify": (("compress.sparsify", *own, "--formats", "--method", "movement"), labels),
        "qat": (("compress.qat", "--model", bare_encoder, *task), labels),
        "trim_vocab": (("compress.trim_vocab", *own), labels),
    }


NAMES = (
    *("finetune", "finetune on SQuAD", "pretrain", "distill", "distill, the baseline"),
    *("distill, hidden states", "distill a masked LM", "prune", "sparsify", "qat", "trim_vocab"),
)


QUICK_NAMES = ("finetune",)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK_NAMES else pytest.mark.slow) for name in NAMES]
)
def test_every_training_resumes_to_the_same_weights_and_refuses_other_texts(cli, commands, tmp_path, name):
    typed, change = commands[name]
    assert cli(*typed, "--output", tmp_path / "whole").code == 0
    typed = (*typed, "--output", tmp_path / "out")
    stop(cli, 8, *typed)
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / ".out.training", kept)
    again = cli(*typed)
    assert again.code == 0, again.err
    assert "resuming from step" in again.err
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")
    shutil.rmtree(tmp_path / "out")
    kept.rename(tmp_path / ".out.training")
    change()
    refused(cli(*typed), "train ")


# Command -> flags that change its training, and what is said of each.
CHANGING = {
    "distill": [
        (("--temperature", 3), "--temperature was 2.0, is 3.0"),
        (("--response-weight", 1), "--response-weight was 0.5, is 1.0"),
        (("--init", "random"), "student weights differ"),
        (("--depth", 2), "--depth was none, is 2"),
    ],
    "distill, the baseline": [],
    "distill, hidden states": [],
    "distill a masked LM": [(("--max-length", 16), "train texts differ")],
    "pretrain": [(("--only-head",), "--only-head was false, is true")],
    "prune": [
        (("--ffn", 0.25), "--ffn was 0.5, is 0.25"),
        (("--importance", "l1"), "--importance was taylor, is l1"),
    ],
    "sparsify": [(("--sparsity", 0.75), "--sparsity was 0.5, is 0.75")],
    "trim_vocab": [
        (("--subword-dropout", 0.5), "--subword-dropout was 0.1, is 0.5"),
        (("--min-count", 40), "kept tokens differ"),
    ],
}
TAUGHT = {**{name: "teacher" for name in CHANGING if name.startswith("distill")}, "prune": "model"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if flags else pytest.mark.slow) for name, flags in CHANGING.items()]
)
def test_flags_and_teachers_of_each_command_that_change_its_training(
    cli, commands, tmp_path, own_model, teacher, name
):
    typed, _ = commands[name]
    typed = (*typed, "--output", tmp_path / "out")
    stop(cli, 8, *typed)
    for flags, said in CHANGING[name]:
        refused(cli(*typed, *flags), said)
    if name in TAUGHT:
        for folder in (own_model, teacher):
            own = BertForMaskedLM if folder == teacher else AutoModelForSequenceClassification
            changed = own.from_pretrained(folder)
            next(changed.parameters()).data.add_(1e-3)
            changed.save_pretrained(folder)
        refused(cli(*typed), f"{TAUGHT[name]} weights differ")


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("distill", ("--layers", "0")),
        pytest.param("distill", ("--eval-samples", 7), marks=pytest.mark.slow),
        pytest.param("sparsify", ("--sequence-length", 8, "--time-budget", 1), marks=pytest.mark.slow),
        pytest.param("qat", ("--max-drop", 1), marks=pytest.mark.slow),
    ],
)
def test_flags_of_each_command_that_do_not(cli, commands, tmp_path, name, flags):
    typed, _ = commands[name]
    typed = (*typed, "--output", tmp_path / "out")
    stop(cli, 8, *typed)
    again = cli(*typed, *flags)
    assert again.code == 0, again.err
    assert "resuming from step" in again.err
