"""`compress.distill` as a user types it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import SENTENCES, interruptible, small_bert, write_split
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification

from edgepress.core.artifact import Step, open_artifact
from edgepress.core.loading import open_model

# With --cpu accelerate starts one process only; without a GPU, --multi_gpu starts them on the CPU.
LAUNCH = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--module")
LEARN = ("--epochs", 15, "--learning-rate", 2e-3)
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def flags(model_folder, data_root, tmp_path):
    """The teacher knows the tests' sentences by heart."""
    return (
        *("--teacher", model_folder, "--task", "verdicts"),
        *("--data", data_root, "--output", tmp_path / "work" / "out"),
    )


@pytest.fixture(scope="module")
def twice(cli, model_folder, data_root, tmp_path_factory):
    """The same command typed twice: what each said, and the student."""
    folder = tmp_path_factory.mktemp("twice")
    flags = ("--teacher", model_folder, "--task", "verdicts", "--data", data_root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPRESS_CACHE", str(folder / "cache"))
        typed = (*flags, "--output", folder / "out", "--epochs", 1, "--overwrite")
        return [cli("compress.distill", *typed) for _ in range(2)], folder / "out"


def last_step(tmp_path: Path) -> Step:
    return open_artifact(tmp_path / "work" / "out").manifest.steps[-1]


def test_a_student_learns(cli, flags, tmp_path):
    result = cli("compress.distill", *flags, *LEARN)
    assert result.code == 0, result.err
    step, manifest = last_step(tmp_path), open_artifact(tmp_path / "work" / "out").manifest
    assert step.metrics["accuracy"] > 0.8
    assert step.metrics["teacher"]["accuracy"] == 1
    assert step.metrics["baseline"]["accuracy"] > 0.8
    assert step.metrics["history"][-1]["epoch"] == 15
    assert step.seconds == max(entry.get("seconds", 0) for entry in step.metrics["history"]) > 0
    card = (tmp_path / "work" / "out" / "README.md").read_text()
    assert "| text | label | teacher | student |" in card
    assert {path.name for path in (tmp_path / "work" / "out" / "pictures").iterdir()} == {
        "epochs.png",
        "confusion.png",
        "labels.png",
    }
    assert "![confusion](pictures/confusion.png)" in card
    assert (manifest.model.weights, manifest.model.head_trained) == ("trained", True)
    assert manifest.model.architecture == "distilbert"
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["out"]
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "work" / "out")
    assert (type(model).__name__, model.config.n_layers) == ("DistilBertForSequenceClassification", 1)
    assert manifest.model.parameters == model.num_parameters()


def test_the_table_has_teacher_student_and_baseline(twice):
    printed = twice[0][0].out
    for row in ("teacher", "student", "student without the teacher", "accuracy", "kept"):
        assert row in printed


def test_no_baseline_and_fewer_texts_than_a_batch(cli, flags, tmp_path):
    few = ("--train-samples", 3, "--batch-size", 32)
    result = cli("compress.distill", *flags, "--epochs", 1, "--no-train-baseline", *few)
    assert result.code == 0, result.err
    assert last_step(tmp_path).metrics["history"][-1]["step"] == 1
    assert "baseline" not in last_step(tmp_path).metrics
    assert "without the teacher" not in result.out + result.err


def test_the_baseline_knows_nothing_of_the_teacher(cli, flags, tmp_path):
    """Whatever the student is taught by, the same student without the teacher reaches the same."""
    found, brief = [], ("--epochs", 1, "--train-samples", 64)
    for temperature in (1, 8):
        result = cli("compress.distill", *flags, *brief, "--overwrite", "--temperature", temperature)
        assert result.code == 0, result.err
        found.append(last_step(tmp_path).metrics)
    baseline = [[entry["loss"] for entry in figures["baseline"]["history"]] for figures in found]
    own = [[entry["loss"] for entry in figures["history"]] for figures in found]
    assert baseline[0] == baseline[1]
    assert own[0] != own[1]


@pytest.mark.parametrize("name", ["bilstm", pytest.param("cnn", marks=pytest.mark.slow)])
def test_a_student_from_scratch_with_its_own_vocabulary(cli, flags, data_root, tmp_path, name):
    schedule = ("--epochs", 30, "--no-train-baseline")
    result = cli("compress.distill", *flags, "--student", name, "--vocabulary", 150, *schedule)
    assert result.code == 0, result.err
    assert "vocabularies differ" in result.err
    assert last_step(tmp_path).metrics["accuracy"] > 0.8
    opened = open_model(str(tmp_path / "work" / "out"), data=data_root)
    assert opened.model.config.vocab_size == len(opened.tokenizer) == 150


def test_hidden_states_and_attention_maps(cli, flags, tmp_path):
    weights = ("--cosine-weight", 1, "--hidden-weight", 1, "--attention-weight", 1)
    result = cli("compress.distill", *flags, *LEARN, *weights, "--no-train-baseline")
    assert result.code == 0, result.err
    assert last_step(tmp_path).metrics["accuracy"] > 0.8
    assert "the teacher's logits" not in result.err


def test_the_second_run_reads_the_teachers_logits(twice):
    (first, second), _ = twice
    assert "as computed before" not in first.err
    assert second.err.count("as computed before") == 2


def test_distilled_twice(cli, flags, twice, tmp_path):
    """A student that was distilled before, taught again: both steps are in its manifest."""
    again = ("--student", twice[1], "--output", tmp_path / "again", "--epochs", 1, "--no-train-baseline")
    assert cli("compress.distill", *flags, *again).code == 0
    manifest = open_artifact(tmp_path / "again").manifest
    assert [step.technique for step in manifest.steps] == ["distill", "distill"]
    assert manifest.parent is not None


def multi_label(root: Path) -> Path:
    folder = root / "shades"
    folder.mkdir(parents=True)
    flags = [(text, "film" in text, label == "positive") for text, label in SENTENCES]
    for split, part in (("train", flags), ("validation", flags[::5])):
        lines = [f"{text!r},{int(first)},{int(second)}".replace("'", '"') for text, first, second in part]
        (folder / f"{split}.csv").write_text("\n".join(["text,film,good", *lines]) + "\n")
    return root


def regression(root: Path) -> Path:
    folder = root / "shades"
    folder.mkdir(parents=True)
    for split, part in (("train", SENTENCES), ("validation", SENTENCES[::5])):
        lines = [f'"{text}",{len(text) / 10 + (label == "positive")}' for text, label in part]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return root


@pytest.mark.slow
@pytest.mark.parametrize(("make", "metric"), [(multi_label, "f1_micro"), (regression, "spearman")])
def test_other_kinds_of_labels(cli, bare_encoder, tmp_path, make, metric):
    common = ("--task", "shades", "--data", make(tmp_path / "data"), *LEARN)
    teacher, output = tmp_path / "teacher", tmp_path / "work" / "out"
    kind = ("--problem-type", "multi_label_classification") if make is multi_label else ()
    tuned = cli("compress.finetune", "--model", bare_encoder, "--output", teacher, *common, *kind)
    assert tuned.code == 0, tuned.err
    result = cli("compress.distill", "--teacher", teacher, "--output", output, *common, "--no-train-baseline")
    assert result.code == 0, result.err
    metrics = last_step(tmp_path).metrics
    assert metrics["teacher"][metric] > 0.8
    assert metrics[metric] > 0.7


def refused(result, tmp_path, *words):
    assert result.code == 2, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err
    work = tmp_path / "work"
    assert not work.exists() or not any(work.iterdir())


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (("--temperature", 0), "--temperature is out of range: it is above 0, not 0"),
        (("--temperature", -2), "--temperature is out of range: it is above 0, not -2"),
        (("--response-weight", 0, "--label-weight", 0), "nothing to learn"),
        (("--response-weight", -1), "--response-weight is out of range"),
        (("--depth", 0), "--depth is out of range"),
        (("--depth", 5), "the teacher has 2 layers"),
        (("--layers", "0", "2"), "the teacher's layers are 0 to 1"),
        (("--student", "bilstn"), "did you mean 'bilstm'"),
        (("--vocabulary", 100), "was trained with a vocabulary"),
        (("--student", "bilstm", "--vocabulary", 100, "--cosine-weight", 1), "different vocabularies"),
        (("--student", "bilstm", "--hidden-weight", 1), "different vocabularies"),
    ],
)
def test_flags_that_cannot_be(cli, flags, tmp_path, changed, word):
    refused(cli("compress.distill", *flags, *changed), tmp_path, word)


def test_a_student_with_another_vocabulary(cli, flags, tokenizer, tmp_path):
    """Logits are of whole texts, so it may be taught by them; hidden states are of tokens."""
    other = type(tokenizer).from_pretrained(save_other(tokenizer, tmp_path / "other"))
    assert len(other) == len(tokenizer) + 1
    student = ("--student", tmp_path / "other", "--epochs", 1, "--no-train-baseline")
    refused(
        cli("compress.distill", *flags, *student, "--cosine-weight", 1), tmp_path, "different vocabularies"
    )
    result = cli("compress.distill", *flags, *student)
    assert result.code == 0, result.err
    assert "each model reads the texts in its own tokens" in result.err


def save_other(tokenizer, folder):
    """The small BERT with a tokenizer that knows one word more."""
    small_bert(len(tokenizer) + 1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    grown = type(tokenizer).from_pretrained(folder)
    grown.add_tokens(["splendid"])
    grown.save_pretrained(folder)
    return folder


def test_labels_that_are_not_the_teachers(cli, flags, tmp_path):
    rows = [(text, ("good", "bad", "neither")[index % 3]) for index, (text, _) in enumerate(SENTENCES)]
    for split in ("train", "validation"):
        write_split(tmp_path / "data" / "moods" / f"{split}.jsonl", rows)
    others = ("--task", "moods", "--data", tmp_path / "data")
    refused(cli("compress.distill", *flags, *others), tmp_path, "labels do not fit")


def test_labels_that_are_not_the_students(cli, flags, tokenizer, tmp_path):
    small_bert(len(tokenizer), ("a", "b", "c")).save_pretrained(tmp_path / "three")
    tokenizer.save_pretrained(tmp_path / "three")
    result = cli("compress.distill", *flags, "--student", tmp_path / "three")
    refused(result, tmp_path, "labels do not fit")


def test_a_teacher_without_a_trained_head(cli, flags, bare_encoder, tmp_path):
    result = cli("compress.distill", *flags, "--teacher", bare_encoder)
    refused(result, tmp_path, "nothing to teach", "compress.finetune")


def test_a_teacher_from_scratch_that_was_never_trained(cli, flags, tmp_path):
    refused(cli("compress.distill", *flags, "--teacher", "bilstm"), tmp_path, "no pretrained weights")


def test_a_teacher_that_nobody_named_a_task_for(cli, model_folder, tmp_path):
    flags = ("--teacher", model_folder, "--output", tmp_path / "work" / "out")
    refused(cli("compress.distill", *flags), tmp_path, "--task")


def test_an_existing_output_stays(cli, flags, tmp_path):
    old = tmp_path / "work" / "out"
    old.mkdir(parents=True)
    (old / "precious").write_text("kept")
    result = cli("compress.distill", *flags)
    assert result.code == 2
    assert "--overwrite" in result.err
    assert (old / "precious").read_text() == "kept"


def typed(*args: object) -> list[str]:
    return [sys.executable, "-m", "compress.distill", *map(str, args)]


def interrupt(command: list[str], checkpoints: Path, signal_number: int) -> tuple[int, str]:
    """Start the command and stop it after its first checkpoint below `checkpoints`."""
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=interruptible
    )
    while process.poll() is None and not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        time.sleep(0.02)
    process.send_signal(signal_number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def same_numbers(first: Step, second: Step) -> None:
    timed = ("eval_seconds", "seconds")

    def curve(step: Step) -> list[dict[str, float]]:
        return [
            {name: value for name, value in entry.items() if name not in timed}
            for entry in step.metrics["history"]
        ]

    assert curve(first) == curve(second)
    assert first.metrics["accuracy"] == second.metrics["accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase", "signal_number", "code"),
    [
        ("distilled", signal.SIGINT, 130),
        pytest.param("baseline", signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.long),
    ],
)
def test_an_interrupted_run_resumes_to_the_same_numbers(
    cli, flags, tmp_path, one_thread, phase, signal_number, code
):
    flags = (*flags, "--epochs", 20)
    checkpoints = tmp_path / "work" / ".out.training" / phase
    stopped, err = interrupt(typed(*flags), checkpoints, signal_number)
    assert stopped == code, err
    assert ("resumes" in err) == (code == 130)
    assert not (tmp_path / "work" / "out").exists()
    resumed = cli("compress.distill", *flags)
    assert resumed.code == 0, resumed.err
    assert "resuming from step" in resumed.err
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["out"]
    assert cli("compress.distill", *flags, "--output", tmp_path / "whole").code == 0
    same_numbers(last_step(tmp_path), open_artifact(tmp_path / "whole").manifest.steps[-1])
    folders = tmp_path / "work" / "out", tmp_path / "whole"
    ours, theirs = (load_file(folder / "model.safetensors") for folder in folders)
    assert all((ours[name] == theirs[name]).all() for name in theirs)


@pytest.mark.slow
def test_two_processes_under_accelerate(flags, tmp_path):
    command = [sys.executable, "-m", *LAUNCH, "compress.distill", *flags, "--epochs", 2]
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    step = last_step(tmp_path)
    assert step.technique == "distill"
    assert step.metrics["history"][-1]["step"] == 4  # of 115 texts, 2 x 32 a step, 2 epochs
    assert "baseline" in step.metrics
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["out"]
