"""What an interrupted training is recognized by, as a user meets it: resumed, refused, begun again."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import SENTENCES, first_slow, write_split
from interrupting import ctrl_c_at, killed_writing, one_thread, stop, weights  # noqa: F401  # a fixture
from questions import write_squad
from transformers import AutoModelForSequenceClassification, BertForMaskedLM

from edgepress.core.artifact import open_artifact

# 15 steps an epoch, a checkpoint every 5.
TYPED = ("--epochs", 3, "--batch-size", 8)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def data(data_root, tmp_path):
    """Data that a test may change."""
    return shutil.copytree(data_root, tmp_path / "data")


@pytest.fixture
def model(model_folder, tmp_path):
    """A model that a test may change."""
    return shutil.copytree(model_folder, tmp_path / "model")


@pytest.fixture
def typed(data, model, tmp_path):
    return (
        *("compress.finetune", "--model", model, "--task", "verdicts"),
        *("--data", data, "--output", tmp_path / "out", *TYPED),
    )


@pytest.fixture
def checkpoints(tmp_path):
    return tmp_path / ".out.training"


@pytest.fixture(scope="module")
def undisturbed():
    """The digest of the weights, once it is known."""
    return []


@pytest.fixture
def whole(cli, typed, undisturbed, tmp_path):
    """What the command leaves that nothing interrupts."""
    if not undisturbed:
        assert cli(*typed, "--output", tmp_path / "whole").code == 0
        undisturbed.append(weights(tmp_path / "whole"))
        shutil.rmtree(tmp_path / "whole")
    return undisturbed[0]


def steps(folder):
    return sorted(int(path.name.partition("-")[2]) for path in folder.glob("checkpoint-*"))


def refused(result, *words):
    assert result.code == 2, result.err
    assert "Traceback" not in result.err
    assert "--restart" in result.err
    assert "--output" in result.err
    for word in words:
        assert word in result.error


def resumed(result, step):
    assert result.code == 0, result.err
    assert f"resuming from step {step}" in result.err


def turned(split):
    """Corrects wrong labels."""
    rows = [json.loads(line) for line in split.read_text().splitlines()]
    other = {"positive": "negative", "negative": "positive"}
    write_split(split, [(row["text"], other[row["label"]]) for row in rows])


def test_corrected_labels_are_not_trained_on_with_the_wrong_ones_before_them(
    cli, typed, data, checkpoints, tmp_path
):
    stop(cli, 12, *typed)
    turned(data / "verdicts" / "train.jsonl")
    for _ in range(2):  # nothing is lost by being refused
        refused(cli(*typed), "train labels differ (was 115 rows, ", "; is 115 rows, ")
        assert steps(checkpoints) == [10]
    again = cli(*typed, "--restart")
    assert again.code == 0, again.err
    assert "resuming" not in again.err
    assert not checkpoints.exists()
    assert cli(*typed, "--output", tmp_path / "fresh").code == 0
    assert weights(tmp_path / "out") == weights(tmp_path / "fresh")


def test_another_output_keeps_both(cli, typed, data, checkpoints, tmp_path):
    stop(cli, 7, *typed)
    turned(data / "verdicts" / "train.jsonl")
    assert cli(*typed, "--output", tmp_path / "other").code == 0
    turned(data / "verdicts" / "train.jsonl")
    assert steps(checkpoints) == [5]
    resumed(cli(*typed), 5)


def test_a_third_class_is_refused_and_not_loaded(cli, bare_encoder, typed, data, checkpoints):
    typed = (*typed, "--model", bare_encoder)
    stop(cli, 7, *typed)
    split = data / "verdicts" / "train.jsonl"
    with split.open("a") as stream:
        stream.write('{"text": "the film is a film", "label": "neutral"}\n')
    for _ in range(2):
        refused(cli(*typed), "train texts differ (was 115 rows", "is 116 rows")
    assert steps(checkpoints) == [5]
    assert cli(*typed, "--restart").code == 0


def test_one_text_of_the_same_length_counts(cli, typed, data):
    stop(cli, 7, *typed)
    split = data / "verdicts" / "train.jsonl"
    split.write_text(split.read_text().replace("delight", "deligth", 1))
    result = cli(*typed)
    refused(result, "train texts differ")
    assert "labels" not in result.error


CHANGING = [
    ("--learning-rate", 1e-4, "--learning-rate was 5e-05, is 0.0001"),
    ("--batch-size", 4, "--batch-size was 8, is 4"),
    ("--epochs", 4, "--epochs was 3.0, is 4.0"),
    ("--seed", 1, "--seed was 0, is 1"),
    ("--weight-decay", 0.5, "--weight-decay was 0.01, is 0.5"),
    ("--warmup-ratio", 0.5, "--warmup-ratio was 0.06, is 0.5"),
    ("--gradient-accumulation", 2, "--gradient-accumulation was 1, is 2"),
    ("--keep", "best", "--keep was last, is best"),
    ("--train-samples", 50, "train texts differ (was 115 rows"),
    ("--train-samples", 50, "--train-samples was none, is 50"),
    ("--max-length", 5, "longest input of the model [tokens] was 64, is 5"),
    ("--head", "mlp", "model weights differ"),
]


def test_flags_that_change_the_training_are_refused_and_named(cli, typed, checkpoints):
    stop(cli, 7, *typed)
    for flag, value, said in CHANGING:
        refused(cli(*typed, flag, value), said)
    assert steps(checkpoints) == [5]
    resumed(cli(*typed), 5)


def test_flags_that_change_no_training_resume_to_the_same_weights(cli, typed, whole, tmp_path):
    stop(cli, 12, *typed)
    beside = ("--eval-samples", 5, "--train-samples", 10_000, "--max-length", 64, "--learning-rate", 5e-5)
    beside += ("--weights", "pretrained", "--debug", "--overwrite")
    resumed(cli(*typed, *beside), 10)
    assert weights(tmp_path / "out") == whole


def test_moved_data_model_and_working_folder_resume(cli, typed, data, model, tmp_path, monkeypatch):
    stop(cli, 7, *typed)
    data.rename(tmp_path / "moved data")
    model.rename(tmp_path / "moved model")
    monkeypatch.chdir(tmp_path)
    moved = ("--data", "moved data", "--model", "moved model", "--output", "out")
    resumed(cli(*typed, *moved), 5)


def test_evaluation_texts_count_where_they_choose_the_weights(cli, typed, data):
    turned(data / "verdicts" / "validation.jsonl")
    stop(cli, 7, *typed)
    turned(data / "verdicts" / "validation.jsonl")
    with ctrl_c_at(3):
        assert "resuming from step 5" in cli(*typed).err
    best = (*typed, "--keep", "best", "--restart")
    stop(cli, 7, *best)
    result = cli(*best[:-1], "--eval-samples", 10)
    refused(result, "evaluation texts differ (was 29 rows", "--eval-samples was 1000, is 10")


def changed_model(folder, change):
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    change(model)
    model.save_pretrained(folder)


def test_another_weight_is_another_run(cli, typed, model):
    stop(cli, 7, *typed)
    changed_model(model, lambda own: own.classifier.bias.data.add_(1e-3))
    result = cli(*typed)
    refused(result, "model weights differ")
    assert "config" not in result.error


def test_another_dropout_is_another_run(cli, typed, model):
    stop(cli, 7, *typed)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.3}))
    refused(cli(*typed), "model config.hidden_dropout_prob was 0.1, is 0.3")


def test_other_names_of_the_classes_are_another_run(cli, typed, data):
    stop(cli, 7, *typed)
    for split in (data / "verdicts").iterdir():
        split.write_text(split.read_text().replace('"negative"', '"no"').replace('"positive"', '"yes"'))
    result = cli(*typed)
    assert result.code == 2
    assert "negative" in result.err


def test_another_tokenizer_is_another_run(cli, typed, model):
    stop(cli, 7, *typed)
    content = json.loads((model / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = False
    (model / "tokenizer.json").write_text(json.dumps(content))
    refused(cli(*typed), "model tokenizer files differ")


def test_another_version_of_a_library_is_another_run(cli, typed, monkeypatch):
    stop(cli, 7, *typed)
    monkeypatch.setattr("compress.training.identity.library_versions", lambda: {"torch": "1.0"})
    refused(cli(*typed), "versions.torch was ", ", is 1.0")


def test_another_command_is_another_run(cli, typed, data, model, tmp_path):
    stop(cli, 7, *typed)
    flags = ("--model", model, "--task", "verdicts", "--data", data, "--output", tmp_path / "out")
    refused(cli("compress.prune", *flags, "--ffn", 0.5, "--epochs", 1), "command was finetune, is prune")


def test_the_identity_is_readable(cli, typed, checkpoints):
    stop(cli, 7, *typed)
    content = json.loads((checkpoints / "identity.json").read_text())
    assert content["decides"]["--learning-rate"] == 5e-5
    assert content["decides"]["train texts"]["rows"] == 115
    assert content["decides"]["classes"] == ["negative", "positive"]
    assert content["decides"]["processes"] == 1
    assert "torch" in content["decides"]["versions"]
    assert content["typed"]["--task"] == "verdicts"


def test_what_an_older_version_left_is_refused_not_removed(cli, typed, checkpoints):
    stop(cli, 7, *typed)
    (checkpoints / "identity.json").unlink()
    (checkpoints / "run.sha256").write_text("ab" * 32)
    refused(cli(*typed), "no identity.json")
    assert steps(checkpoints) == [5]
    assert cli(*typed, "--restart").code == 0


def test_a_damaged_identity_is_refused(cli, typed, checkpoints):
    stop(cli, 7, *typed)
    for content in ("", "{", "[]", '{"decides": 1, "typed": {}}', "\xff"):
        (checkpoints / "identity.json").write_bytes(content.encode("latin-1"))
        refused(cli(*typed), "no identity.json")
    assert steps(checkpoints) == [5]


def test_interrupted_before_a_checkpoint_it_leaves_nothing_and_other_flags_are_free(cli, typed, checkpoints):
    assert "begins again" in stop(cli, 2, *typed)
    assert not checkpoints.exists()
    assert cli(*typed, "--learning-rate", 1e-4).code == 0


def test_restart_begins_again_also_where_nothing_differs(cli, typed):
    stop(cli, 12, *typed)
    again = cli(*typed, "--restart")
    assert again.code == 0, again.err
    assert "resuming" not in again.err


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "flipped": flip,
    "gone": lambda p: p.unlink(),
}


@pytest.mark.slow
def test_a_damaged_checkpoint_is_one_line_each_time(cli, typed, checkpoints, whole, tmp_path):
    stop(cli, 7, *typed)
    for name in ("pytorch_model.bin", "optimizer.pt", "rng_state.pth", "trainer_state.json"):
        content = (checkpoints / "checkpoint-5" / name).read_bytes()
        for damage in DAMAGES.values():
            damage(checkpoints / "checkpoint-5" / name)
            refused(cli(*typed), "no whole checkpoint", f"checkpoint-5: {name} is missing or damaged")
            (checkpoints / "checkpoint-5" / name).write_bytes(content)
    resumed(cli(*typed), 5)
    assert weights(tmp_path / "out") == whole


def test_the_newest_whole_checkpoint_is_taken(cli, typed, checkpoints, whole, tmp_path):
    stop(cli, 7, *typed)
    shutil.copytree(checkpoints / "checkpoint-5", tmp_path / "kept")
    stop(cli, 7, *typed)
    assert steps(checkpoints) == [10]
    shutil.copytree(tmp_path / "kept", checkpoints / "checkpoint-5")
    cut(checkpoints / "checkpoint-10" / "optimizer.pt")
    again = cli(*typed)
    resumed(again, 5)
    assert "checkpoint-10 is not whole and left out: optimizer.pt is missing or damaged" in again.err
    assert weights(tmp_path / "out") == whole


# It knows all by heart, and goes on: the first look is the best.
GENTLE = ("--learning-rate", 1e-6, "--keep", "best")


@pytest.mark.slow
def test_the_best_weights_are_found_where_the_folder_was_moved(cli, typed, checkpoints, tmp_path):
    typed = (*typed, *GENTLE)
    assert cli(*typed, "--output", tmp_path / "whole").code == 0
    stop(cli, 22, *typed)
    assert steps(checkpoints) == [5, 20]
    checkpoints.rename(tmp_path / ".moved.training")
    resumed(cli(*typed, "--output", tmp_path / "moved"), 20)
    assert weights(tmp_path / "moved") == weights(tmp_path / "whole")
    assert open_artifact(tmp_path / "moved").manifest.steps[-1].metrics["kept_epoch"] < 1


def test_damaged_best_weights_are_not_replaced_by_the_last(cli, typed, checkpoints):
    typed = (*typed, *GENTLE)
    stop(cli, 22, *typed)
    cut(checkpoints / "checkpoint-5" / "pytorch_model.bin")
    refused(cli(*typed), "no whole checkpoint", "the best weights, checkpoint-5, are missing or damaged")


class Planted:
    """Runs a command where it is unpickled by anything but torch's weights_only."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["optimizer.pt", "rng_state.pth"])
def test_code_in_a_checkpoint_is_not_run(cli, typed, checkpoints, tmp_path, name):
    stop(cli, 22, *typed)
    torch.save({"state": Planted(tmp_path / "run")}, checkpoints / "checkpoint-20" / name)
    refused(cli(*typed), "checkpoint-20 holds more than tensors")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_at_once_do_not_share_checkpoints(cli, typed, checkpoints):
    long = [str(part) for part in (*typed, "--epochs", 300)]
    process = subprocess.Popen(
        [sys.executable, "-m", *long], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not steps(checkpoints):
            assert process.poll() is None
            time.sleep(0.05)
        for flags in ((), ("--restart",), ("--seed", 1)):
            second = cli(*typed, *flags)
            assert second.code == 2
            assert f"still at work (process {process.pid})" in second.error
        assert process.poll() is None
        assert steps(checkpoints)
    finally:
        process.kill()
        process.wait()
    refused(cli(*typed), "--epochs was 300.0, is 3.0")
    assert cli(*typed, "--restart").code == 0


@pytest.mark.parametrize("number", [24, pytest.param(26, marks=pytest.mark.slow)])
def test_killed_in_the_middle_of_a_file_it_ends_with_the_same_weights(cli, typed, whole, tmp_path, number):
    killed_writing(number, *typed)
    assert not (tmp_path / "out").exists()
    again = cli(*typed)
    assert again.code == 0, again.err
    assert "resuming from step" in again.err
    assert weights(tmp_path / "out") == whole
    assert {path.name for path in tmp_path.iterdir()} == {"data", "model", "out"}


@pytest.mark.slow
def test_killed_in_its_first_checkpoint_it_begins_again(cli, typed, whole, checkpoints, tmp_path):
    killed_writing(2, *typed)
    assert steps(checkpoints) == [5]
    again = cli(*typed)
    assert again.code == 0, again.err
    assert weights(tmp_path / "out") == whole


@pytest.mark.slow
def test_killed_in_its_first_checkpoint_there_is_nothing_to_lose(cli, typed, checkpoints):
    killed_writing(2, *typed)
    assert cli(*typed, "--learning-rate", 1e-4).code == 0
    assert not checkpoints.exists()


@pytest.mark.parametrize("number", first_slow(random.Random(1).sample(range(36), 3), 1))
def test_killed_in_the_middle_of_a_file_it_keeps_the_best(cli, typed, tmp_path, number):
    typed = (*typed, "--keep", "best", "--learning-rate", 1e-3)
    assert cli(*typed, "--output", tmp_path / "whole").code == 0
    killed_writing(number, *typed)
    assert cli(*typed).code == 0
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")


@pytest.mark.parametrize("seed", first_slow(range(6), 2))
def test_killed_at_any_moment_it_ends_with_the_same_weights(cli, typed, whole, tmp_path, seed):
    started = [sys.executable, "-m", *map(str, typed)]
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / ".out.training"
    while process.poll() is None and not checkpoints.exists():
        time.sleep(0.01)
    time.sleep(random.Random(seed).uniform(0, 2))
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = cli(*typed, "--overwrite")
    assert done.code == 0, done.err
    assert weights(tmp_path / "out") == whole


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(text for text, _ in SENTENCES), encoding="utf-8")
    return path


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
def commands(data, model, corpus, teacher, bare_encoder, tmp_path):
    """Every command that trains -> what is typed, and what then changes the texts that it trains on."""

    def labels():
        turned(data / "verdicts" / "train.jsonl")

    def lines():
        corpus.write_text(corpus.read_text().replace("film", "FILMS"))

    task = ("--task", "verdicts", "--data", data, *TYPED)
    own = ("--model", model, *task)
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
        "distill": (("compress.distill", "--teacher", model, "--no-baseline", *task), labels),
        "distill, the baseline": (("compress.distill", "--teacher", model, *task), labels),
        "distill, hidden states": (
            ("compress.distill", "--teacher", model, "--no-baseline", "--hidden-weight", 1, *task),
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


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("distill") or name == "prune"])
def test_what_teaches_counts(cli, commands, tmp_path, model, teacher, name):
    typed, _ = commands[name]
    typed = (*typed, "--output", tmp_path / "out")
    stop(cli, 8, *typed)
    for folder in (model, teacher):
        own = BertForMaskedLM if folder == teacher else AutoModelForSequenceClassification
        changed = own.from_pretrained(folder)
        next(changed.parameters()).data.add_(1e-3)
        changed.save_pretrained(folder)
    refused(cli(*typed), f"{'model' if name == 'prune' else 'teacher'} weights differ")


@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        ("distill", ("--temperature", 3), "--temperature was 2.0, is 3.0"),
        ("distill", ("--response-weight", 1), "--response-weight was 0.5, is 1.0"),
        ("distill", ("--init", "random"), "student weights differ"),
        ("distill", ("--depth", 2), "--depth was none, is 2"),
        ("distill a masked LM", ("--max-length", 16), "train texts differ"),
        ("pretrain", ("--only-head",), "--only-head was false, is true"),
        ("prune", ("--ffn", 0.25), "--ffn was 0.5, is 0.25"),
        ("prune", ("--importance", "l1"), "--importance was taylor, is l1"),
        ("sparsify", ("--sparsity", 0.75), "--sparsity was 0.5, is 0.75"),
        ("trim_vocab", ("--subword-dropout", 0.5), "--subword-dropout was 0.1, is 0.5"),
        ("trim_vocab", ("--min-count", 40), "kept tokens differ"),
    ],
)
def test_flags_of_each_command_that_change_its_training(cli, commands, tmp_path, name, flags, said):
    typed, _ = commands[name]
    typed = (*typed, "--output", tmp_path / "out")
    stop(cli, 8, *typed)
    refused(cli(*typed, *flags), said)


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


@pytest.mark.slow
def test_processes_of_one_launch_decide_together(cli, typed, data, tmp_path):
    launch = (
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--module",
    )
    started = [*launch, *map(str, (*typed, "--epochs", 25))]
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / ".out.training"
    while not list(checkpoints.glob("checkpoint-*/finished")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait()
    refused(cli(*typed, "--epochs", 25), "processes was 2, is 1")
    turned(data / "verdicts" / "train.jsonl")
    other = subprocess.run(started, capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert "train labels differ" in other.stderr
    turned(data / "verdicts" / "train.jsonl")
    again = subprocess.run(started, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "resuming from step" in again.stderr
    assert not checkpoints.exists()
