"""Bad input, one by one: one clear line, the right exit code, nothing half-written, the old one intact."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import SENTENCES, interruptible, small_bert, write_split

QUICK = ("--time-budget", 1, "--sequence-lengths", 8)


@pytest.fixture
def attempt(cli, model_folder, data_root, tmp_path):
    """Quantize with some flags replaced; what it may have written lies below tmp_path/outputs."""

    def run(*typed, **flags):
        values = {
            "model": model_folder,
            "task": "verdicts",
            "data": data_root,
            "output": tmp_path / "outputs" / "out",
        }
        values.update(flags)
        pairs = [item for name, value in values.items() for item in (f"--{name.replace('_', '-')}", value)]
        return cli("compress.quantize", *pairs, *QUICK, *typed)

    return run


def refused(result, *words, code=2):
    """One error line with these words, no traceback."""
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    assert result.error, result.err
    for word in words:
        assert word in result.err


@pytest.fixture
def nothing_written(tmp_path):
    yield
    left = list((tmp_path / "outputs").rglob("*")) if (tmp_path / "outputs").exists() else []
    assert left == []


pytestmark = pytest.mark.usefixtures("nothing_written")


def test_unknown_model(attempt):
    refused(attempt(model="distilbrt"), "unknown model", "did you mean 'distilbert'")


def test_missing_folder(attempt):
    refused(attempt(model="./no/such/folder"), "no such folder")


def test_unknown_task(attempt):
    refused(attempt(task="sst3"), "unknown task", "did you mean 'sst2'")


def test_unknown_scheme(attempt):
    refused(attempt(scheme="int8-dinamic"), "unknown scheme", "did you mean 'int8-dynamic'")


def test_unknown_flag(cli):
    result = cli("compress.quantize", "--model", "bert", "--shceme", "fp16")
    assert result.code == 2
    assert "--scheme" in result.err + result.out


def test_folder_without_config(attempt, model_folder, tmp_path):
    folder = copy_of(model_folder, tmp_path)
    (folder / "config.json").unlink()
    refused(attempt(model=folder), "config.json")


def test_folder_without_tokenizer(attempt, model_folder, tmp_path):
    folder = copy_of(model_folder, tmp_path)
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)
    refused(attempt(model=folder), "no tokenizer")


def test_unreadable_config(attempt, model_folder, tmp_path):
    folder = copy_of(model_folder, tmp_path)
    (folder / "config.json").write_text("{")
    refused(attempt(model=folder), "config.json")


def test_truncated_weights(attempt, model_folder, tmp_path):
    folder = copy_of(model_folder, tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refused(attempt(model=folder), "unreadable weights")


def test_altered_weights_of_an_artifact(cli, attempt, model_folder, data_root, tmp_path):
    tuned = tmp_path / "tuned"
    flags = ("--task", "verdicts", "--data", data_root, "--epochs", 1, "--output", tuned)
    assert cli("compress.finetune", "--model", model_folder, *flags).code == 0
    weights = tuned / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    refused(attempt(model=tuned), "SHA-256")


def test_labels_that_do_not_fit_the_head(attempt, tokenizer, tmp_path):
    folder = tmp_path / "three"
    small_bert(len(tokenizer), ("a", "b", "c")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    refused(attempt(model=folder), "labels do not fit")


def with_row(root: Path, text: str) -> Path:
    write_split(root / "verdicts" / "train.jsonl", SENTENCES)
    write_split(root / "verdicts" / "validation.jsonl", [*SENTENCES[:3], (text, "positive")])
    return root


def test_empty_text(attempt, tmp_path):
    refused(attempt(data=with_row(tmp_path / "data", "  ")), "row 4", "no text")


def test_text_of_100_000_characters(attempt, tmp_path):
    refused(attempt(data=with_row(tmp_path / "data", "word " * 20_000)), "row 4", "100,000 characters")


def test_text_that_is_not_utf8(attempt, tmp_path):
    folder = tmp_path / "data" / "verdicts"
    folder.mkdir(parents=True)
    for split in ("train", "validation"):
        (folder / f"{split}.csv").write_bytes("text,label\ncaf\xe9 noir,positive\n".encode("latin-1"))
    refused(attempt(data=tmp_path / "data"), "not UTF-8")


def test_missing_column(attempt, tmp_path):
    folder = tmp_path / "data" / "verdicts"
    folder.mkdir(parents=True)
    (folder / "validation.csv").write_text("sentense,label\nfine,positive\n")
    refused(attempt(data=tmp_path / "data"), "no column 'text'", "sentense")


def test_empty_split(attempt, tmp_path):
    write_split(tmp_path / "data" / "verdicts" / "train.jsonl", SENTENCES)
    (tmp_path / "data" / "verdicts" / "validation.csv").write_text("text,label\n")
    refused(attempt(data=tmp_path / "data"), "no rows")


def test_missing_data_root(attempt, tmp_path):
    refused(attempt(data=tmp_path / "nowhere"), "no such data folder")


@pytest.mark.parametrize(
    ("flag", "value"),
    [("opset", 3), ("max_drop", -1), ("threads", 0), ("smooth_quant", 2), ("eval_samples", 0)],
)
def test_value_out_of_range(attempt, flag, value):
    refused(attempt(**{flag: value}), "opset" if flag == "opset" else flag.replace("_", "-"))


def test_output_below_a_file(attempt, tmp_path):
    (tmp_path / "file").touch()
    refused(attempt(output=tmp_path / "file" / "out"), "cannot write")


def test_output_is_the_model(cli, model_folder):
    before = sorted(p.name for p in model_folder.iterdir())
    result = cli("compress.quantize", "--model", model_folder, "--output", model_folder, "--overwrite")
    refused(result, "is what the command reads")
    assert sorted(p.name for p in model_folder.iterdir()) == before


def test_existing_output_stays(attempt, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    (old / "precious").write_text("kept")
    refused(attempt(output=old), "exists", "--overwrite")
    assert (old / "precious").read_text() == "kept"


def test_what_is_no_artifact_is_never_replaced(attempt, tmp_path):
    old = tmp_path / "thesis"
    old.mkdir()
    (old / "precious").write_text("kept")
    refused(attempt("--overwrite", output=old), "holds something else than an artifact")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert (old / "precious").read_text() == "kept"


@pytest.mark.parametrize("name", [".", "..", "here/.."])
def test_the_folder_that_one_is_in_is_never_replaced(attempt, tmp_path, monkeypatch, name):
    (tmp_path / "work" / "here").mkdir(parents=True)
    (tmp_path / "work" / "manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "work")
    refused(attempt("--overwrite", output=name), "is the folder that you are in")
    assert (tmp_path / "work" / "manifest.json").exists()


@pytest.fixture
def tiny_disk(small_disk):
    """A file system that the weights alone fill."""
    return small_disk(300_000)


def test_full_output_folder(attempt, tiny_disk):
    refused(attempt(output=tiny_disk / "out"), "No space left")
    assert list(tiny_disk.iterdir()) == []


def test_read_only_output_folder(attempt, tiny_disk):
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    refused(attempt(output=tiny_disk / "out"), "cannot write", "Read-only")


def start(*args: object) -> subprocess.Popen[str]:
    """The real command in a process of its own, with an old output to protect."""
    command = [sys.executable, "-m", "compress.quantize", *map(str, args)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
        preexec_fn=interruptible,
    )


def wait_for_stage(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until the command is in the middle of writing."""
    while process.poll() is None and not list(folder.glob(".out.*.partial/onnx/*.onnx")):
        time.sleep(0.05)
    assert process.poll() is None, process.stderr.read()


@pytest.fixture
def running(model_folder, data_root, tmp_path):
    """The command in the middle of its work, about to replace an old output."""
    old = tmp_path / "work" / "out"
    old.mkdir(parents=True)
    (old / "precious").write_text("kept")
    (old / "manifest.json").write_text("{}")  # an artifact, or nothing would replace it
    flags = ("--task", "verdicts", "--data", data_root, "--output", old, "--overwrite")
    process = start("--model", model_folder, *flags, "--time-budget", 60, "--sequence-lengths", 8, 16, 32, 64)
    wait_for_stage(old.parent, process)
    yield process, old
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_ctrl_c(running):
    process, old = running
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert [p.name for p in old.parent.iterdir()] == ["out"]
    assert (old / "precious").read_text() == "kept"


@pytest.mark.slow
def test_kill_9_leaves_the_old_output_and_the_next_run_clears_up(running, cli, model_folder, data_root):
    process, old = running
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert (old / "precious").read_text() == "kept"
    flags = ("--task", "verdicts", "--data", data_root, "--output", old, "--overwrite", *QUICK)
    assert cli("compress.quantize", "--model", model_folder, *flags).code == 0
    assert [p.name for p in old.parent.iterdir()] == ["out"]
    assert not (old / "precious").exists()


def copy_of(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))
