"""A recipe that goes on where it was, after a change, a kill, Ctrl-C, or beside another run."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace

import pytest
from conftest import interruptible
from tiny_recipe import command

from compress.recipe.run.plan import plan
from compress.recipe.run.steps import LEDGER, LOCK, Bench, RunLedger, at_work, changed
from compress.recipe.schema.spec import load
from edgepress.core.errors import EdgepressError

# A step is a process of its own, which imports torch: a busy machine takes its time.
# A whole recipe first: test_compress_recipe.py runs one by default.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def bench(copied, data_root):
    """Does runs on the copied outputs, with data that may be changed."""
    data = shutil.copytree(data_root, copied / "data")
    output = copied / "new" / "out"
    with at_work(output) as mark:
        yield Bench(RunLedger(output / LEDGER), mark, data, False, {})


def teacher_of(bench, copied, *said):
    return plan(load(copied / "tiny.yaml", False, said), copied / "new" / "out")[0]


def why(bench, run):
    """Why the run would be done again; None if it would not."""
    return bench.why(run, bench.inputs(run))


def test_nothing_changed_wherever_it_lies(bench, copied):
    assert why(bench, teacher_of(bench, copied)) is None


def test_what_would_not_be_run_again_is_finished(bench, copied):
    runs = plan(load(copied / "tiny.yaml", False, ()), copied / "new" / "out")
    assert runs[0].name in bench.finished(runs)
    again = plan(load(copied / "tiny.yaml", False, ("epochs=21",)), copied / "new" / "out")
    assert not bench.finished([run for run in again if run is again[0] or again[0].name in run.uses])


def test_a_changed_flag_is_named(bench, copied):
    assert why(bench, teacher_of(bench, copied, "epochs=21")) == "flags.epochs changed"


def test_changed_data_is_named(bench, copied):
    with (copied / "data" / "verdicts" / "train.jsonl").open("a") as stream:
        stream.write('{"text": "one more", "label": "negative"}\n')
    assert why(bench, teacher_of(bench, copied)) == "data.verdicts changed"


def test_changed_code_may_be_ignored(bench, copied, monkeypatch):
    monkeypatch.setattr("compress.recipe.run.steps.code_digest", lambda _: "another")
    run = teacher_of(bench, copied)
    assert why(bench, run) == "code changed"
    assert why(Bench(bench.ledger, bench.mark, bench.data, True, {}), run) is None


def test_a_damaged_artifact_is_made_again(bench, copied):
    with (copied / "new" / "out" / "teacher" / "model.safetensors").open("ab") as stream:
        stream.write(b"x")
    assert "truncated or altered" in str(why(bench, teacher_of(bench, copied)))


def test_another_version_of_a_library_that_the_verb_uses_is_named(bench, copied, monkeypatch):
    monkeypatch.setattr(
        "compress.recipe.run.steps.library_versions", lambda names: dict.fromkeys(names, "1.0")
    )
    found = why(bench, teacher_of(bench, copied))
    assert "versions.torch" in found
    assert "versions.tokenizers" in found


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"inputs": 1}', '{"inputs": {}}', "{"])
def test_a_damaged_note_runs_the_step_again(bench, copied, content):
    run = teacher_of(bench, copied)
    (copied / "new" / "out" / LEDGER / f"{run.name}.json").write_text(content)
    assert why(bench, run) is not None


def test_a_note_without_its_manifest_runs_the_step_again(bench, copied):
    run = teacher_of(bench, copied)
    known = bench.ledger.known(run.name)
    bench.ledger.note(run.name, {"inputs": known["inputs"]})
    assert why(bench, run) == "another command wrote its folder"


def test_each_of_several_files_that_a_flag_names_counts(bench, copied):
    """A flag that takes several values is looked through as one that takes one."""
    first, second = copied / "one.txt", copied / "two.txt"
    first.write_text("a")
    second.write_text("b")
    run = teacher_of(bench, copied)
    several = replace(run, flags={**run.flags, "files": (str(first), str(second))})
    before = bench.inputs(several)
    second.write_text("c")
    assert changed(before, bench.inputs(several)) == [f"data.{second}"]


def test_data_that_change_while_a_step_runs_are_not_noted_as_its_own(bench, copied, capsys):
    run = teacher_of(bench, copied, "epochs=21")
    before = bench.ledger.known(run.name)

    def work(_):
        with (copied / "data" / "verdicts" / "train.jsonl").open("a") as stream:
            stream.write('{"text": "one more", "label": "negative"}\n')

    bench.do(run, "[1/1]", work)
    assert "data.verdicts changed while it ran" in capsys.readouterr().err
    assert bench.ledger.known(run.name) == before
    assert "flags.epochs" in why(bench, run)


def test_what_lies_behind_a_changed_step_is_run_again(bench, copied):
    runs = plan(load(copied / "tiny.yaml", False, ()), copied / "new" / "out")
    bench.runs.update({run.name: run for run in runs})
    assert why(bench, runs[1]) is None
    manifest = copied / "new" / "out" / "teacher" / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert why(bench, runs[0]) == "another command wrote its folder"
    assert why(bench, runs[1]) == "uses.teacher changed"


def test_what_another_recipe_made_of_the_same_is_copied(bench, copied, capsys):
    run = plan(load(copied / "tiny.yaml", False, ()), copied / "new" / "second")[0]
    mark = bench.mark
    other = Bench(RunLedger(copied / "new" / "second" / LEDGER), mark, bench.data, False, {})
    other.do(run, "[1/1]")
    assert "copied from" in capsys.readouterr().err
    assert why(other, run) is None


def wait_until(holds, process):
    while process.poll() is None and not holds():
        time.sleep(0.05)
    assert process.poll() is None, "it ended before it was to be stopped"


def start(copied, data_root, log):
    """A run whose student takes long; it speaks into a file, since an orphan would keep a pipe open."""
    where = ("--output", copied / "new" / "out", "--results", copied / "results")
    typed = command(copied / "tiny.yaml", "--data", data_root, "--set", "student_epochs=1000", *where)
    return subprocess.Popen(typed, stderr=log.open("w"), stdout=subprocess.DEVNULL, preexec_fn=interruptible)


def test_killed_then_interrupted_it_goes_on_where_it_was(copied, data_root):
    output, log = copied / "new" / "out", copied / "log"
    checkpoints = ".student-seed0.training/*/checkpoint-*/trainer_state.json"
    process = start(copied, data_root, log)
    wait_until(lambda: list(output.glob(checkpoints)), process)
    process.kill()
    process.wait()

    # Its step has outlived it and still writes.
    noted = {int(mark.name.partition("-")[0]) for mark in (output / LOCK).iterdir()}
    orphans = noted - {process.pid}
    try:
        refused = start(copied, data_root, log)
        assert refused.wait(60) == 2
        assert "is still going on" in log.read_text()
    finally:
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)

    again = start(copied, data_root, log)
    wait_until(lambda: "resuming from step" in log.read_text(), again)
    again.send_signal(signal.SIGINT)
    assert again.wait(60) == 130
    said = log.read_text()
    assert "[1/3] teacher: finetune: nothing changed, not run again" in said
    assert "student (seed 0): distill (again: flags.epochs changed)" in said
    assert "the same command goes on with [2/3] student (seed 0)" in " ".join(said.split())
    assert not list((output / LOCK).iterdir())
    assert not (copied / "results").exists()
    assert list(output.glob(checkpoints))


@pytest.mark.long  # the test above interrupts a step, too
def test_a_changed_step_that_was_interrupted_is_begun_again_when_told_to(cli, capfd, copied, data_root):
    output, log = copied / "new" / "out", copied / "log"
    checkpoints = ".student-seed0.training/*/checkpoint-*/finished"
    process = start(copied, data_root, log)
    wait_until(lambda: list(output.glob(checkpoints)), process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    where = ("--output", output, "--results", copied / "results")
    typed = (copied / "tiny.yaml", "--data", data_root, "--set", "student_epochs=2", *where)
    for _ in range(2):
        assert cli("compress.recipe", *typed).code == 2
        said = capfd.readouterr().err
        assert "--epochs was 1000.0, is 2.0" in said
        assert "--restart" in said
    assert list(output.glob(checkpoints))
    done = cli("compress.recipe", *typed, "--restart")
    assert done.code in (0, 1), done.err  # whatever is expected of the table
    assert "[1/3] teacher: finetune: nothing changed, not run again" in done.err
    assert not list(output.glob(".*.training"))


def test_a_step_that_fails_gives_its_exit_code(cli, capfd, copied, data_root):
    recipe = copied / "tiny.yaml"
    recipe.write_text(recipe.read_text().replace("vocabulary: 150", "vocabulary: 150\n      temperature: -1"))
    done = cli("compress.recipe", recipe, "--data", data_root, "--output", copied / "new" / "out")
    assert done.code == 2
    said = capfd.readouterr().err
    assert "--temperature is out of range: it is above 0, not -1" in said
    assert "--help says what it takes" in said
    assert "student (seed 0): distill failed (exit code 2)" in done.err


def test_two_runs_at_once_are_refused(tmp_path):
    with at_work(tmp_path), pytest.raises(EdgepressError, match="still going on"), at_work(tmp_path):
        pass
    with at_work(tmp_path):
        pass
